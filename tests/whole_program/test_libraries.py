"""./dev audit: what is in the programs is known, reviewed, and without a known hole that applies."""

import json
import subprocess
import sys

from conftest import ROOT

LIST = ROOT / "packaging" / "audit" / "libraries.json"


def audit(*words):
    return subprocess.run([sys.executable, str(ROOT / "packaging" / "audit" / "audit.py"), *words], capture_output=True, text=True, timeout=60)


def test_every_library_is_reviewed():
    done = audit()
    assert done.returncode == 0, done.stderr
    assert "CVE-2018-25032" in done.stdout and " 0 problems" in done.stdout


def test_what_nobody_reviewed_fails(tmp_path):
    """A version, a hole that applies, a library that is not in the list, and one that is not installed: each is named."""
    listed = json.loads(LIST.read_text())
    by_name = {library["name"]: library for library in listed["libraries"]}
    by_name["V8"]["reviewed"] = ["1.0"]
    by_name["c-ares"]["advisories"][0]["applies"] = True
    by_name["libnl"]["from"] = "debian:libno-such-dev"
    listed["libraries"].remove(by_name["yaml-cpp"])
    (tmp_path / "list.json").write_text(json.dumps(listed))
    done = audit(str(tmp_path / "list.json"))
    assert done.returncode == 1
    for problem in ("V8 14", "CVE-2023-32067 applies", "libno-such-dev is not installed", "libyaml-cpp.a is in our programs"):
        assert problem in done.stderr, done.stderr
