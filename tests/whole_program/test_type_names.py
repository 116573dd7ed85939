"""One name, one thing: no type has the name of another, wherever they are."""

import collections
import re

from conftest import ROOT

# What a class has of its own, by a name that says nothing without the class: "RunQueue::Options".
OF_A_CLASS = {"Callbacks", "Free", "Kind", "Options", "State"}
FOLDERS = ("base", "broker", "channel", "cli", "clients", "har", "loop", "policy", "report", "run_api", "sandbox", "server", "supervisor", "worker")
DECLARED = re.compile(r"^( *)(?:class|struct|union|enum class|enum) ((?:\w+::)*\w+)(?: final)?(?: ?: ?[^;{]*)? ?\{", re.M)


def declared():
    """{name: [where]}"""
    found = collections.defaultdict(list)
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in (".cc", ".h") and "_test." not in file.name:
                for indented, name in DECLARED.findall(file.read_text()):
                    if not (indented and name in OF_A_CLASS):
                        found[name.rsplit("::")[-1]].append(file.relative_to(ROOT).as_posix())
    return found


def test_each_type_has_a_name_of_its_own():
    found = declared()
    assert len(found) > 300
    assert {name: where for name, where in found.items() if len(where) > 1} == {}
