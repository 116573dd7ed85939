"""The tables of docs/errors.md, from channel/failure_kinds.h.

    errors_doc.py          prints the page with its tables made anew
"""

import pathlib
import re

ROOT = pathlib.Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "errors.md"


def kinds():
    """The members of each FailureKind by their names, in the order of the header."""
    text = (ROOT / "channel" / "failure_kinds.h").read_text()
    found = {}
    for name, body in re.findall(r"^inline constexpr FailureKind (\w+)\{(.*?)\};", text, re.M | re.S):
        members = {}
        for member, literals in re.findall(r"\.(\w+) =\s*((?:\"(?:[^\"\\]|\\.)*\"\s*)+)", body):
            members[member] = "".join(re.findall(r"\"((?:[^\"\\]|\\.)*)\"", literals)).replace('\\"', '"')
        found[name] = members
    return found


def codes():
    """Each code with its own table's words, and all types under which it travels."""
    by_code = {}
    for members in kinds().values():
        first = by_code.setdefault(members["code"], {**members, "types": []})
        if "type" in members:
            first["types"].append(members["type"])
    return by_code


def node_table():
    """Codes that Node calls something else; those that it calls the same stand in one row."""
    rows = {}
    for code, kind in codes().items():
        names = (kind.get("fetch_code", "the same"), kind.get("node_code", "the same"))
        rows.setdefault(names, []).append(code)
    rows.pop(("the same", "the same"))
    lines = ["| `cause.posternCode` | fetch's `cause.code` | `code` in node:http, node:net |", "|---|---|---|"]
    lines += [f"| {', '.join(group)} | {fetch} | {node} |" for (fetch, node), group in rows.items()]
    return lines + ["| any other | the same | the same |"]


def failure_table():
    lines = ["| `posternCode` | RFC 9209 | when |", "|---|---|---|"]
    types = {code: ", ".join(kind["types"]) for code, kind in codes().items()}
    return lines + [f"| {code} | {types[code]}{' ' if types[code] else ''}| {kind['when']} |" for code, kind in codes().items()]


def document():
    text = PAGE.read_text()
    for table in (node_table(), failure_table()):
        old = text[text.index(table[0]):].split("\n\n")[0]
        text = text.replace(old, "\n".join(table))
    return text


if __name__ == "__main__":
    print(document(), end="")
