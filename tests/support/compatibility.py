"""Writes docs/compatibility.md: what packages from npm do in a guest, by what test_packages.py runs, and by packages/by_hand.json.

    python3 tests/support/compatibility.py          prints the page
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from conftest import ROOT  # noqa: E402
from package_programs import BY_VALUE, LIKE_NODE, REFUSED, TOOLS  # noqa: E402

PACKAGES = ROOT / "tests" / "packages"
RESULTS = {"same": "same as Node.js", "differs": "differs", "fails": "fails"}
HEAD = """# Packages from npm

Packages that were run as npm installs them, unmodified, in a guest. `tests/support/compatibility.py` writes this page (`./dev docs`) from the lists that the
tests run; a test compares. What is said here holds for the version that is named, and for what was run of it. Node.js is the one whose V8 a guest has.

What fails does so for one of few reasons, and the error says which: a guest starts no processes and no threads, listens at no port, is told of no
changes of files, and loads no native addons ([runtime.md](runtime.md)). Clients of databases and services run over `node:net` and `node:http`, for what the policy
allows ([permissions.md](permissions.md)). Of a package with a native part, its JavaScript or WebAssembly runs where it has one.
"""


def table(rows):
    return "".join(f"| {' | '.join(row)} |\n" for row in [("package", "version", "what was run", "result"), ("---",) * 4, *rows])


def tested():
    """Rows of what test_packages.py runs, with the versions that npm installs for it."""
    locked = json.loads((PACKAGES / "package-lock.json").read_text())["packages"]
    rows = [(name, what, "as expected") for name, what in BY_VALUE.items()]
    rows += [(name, what, RESULTS["same"]) for name, (what, _) in LIKE_NODE.items()]
    rows += [(name, f"`postern run node_modules/.bin/{words[0]}`", RESULTS["same"]) for name, words in TOOLS.items()]
    rows += [(name, what, f"{RESULTS['fails']}: `{sentence}`") for name, (what, _, sentence) in REFUSED.items()]
    return sorted((name, locked[f"node_modules/{name}"]["version"], what, result) for name, what, result in rows)


def by_hand():
    tried = json.loads((PACKAGES / "by_hand.json").read_text())
    rows = [(r["package"], r["version"], r["ran"], RESULTS[r["result"]] + (f": {r['why']}" if r["why"] else "")) for r in tried["rows"]]
    return tried["date"], rows


def document():
    date, rows = by_hand()
    return (f"{HEAD}\n## Run by the tests\n\n\"As expected\" is a value that the test names; \"{RESULTS['same']}\" is a program that prints in a guest what it prints in Node.js.\n\n{table(tested())}"
            f"\n## Tried by hand\n\nRun once, on {date}, in Node.js and in a guest, and not again since: no test holds these.\n\n{table(rows)}")  # fmt: skip


if __name__ == "__main__":
    print(document(), end="")
