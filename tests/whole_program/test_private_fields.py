"""Fields of Postern's own have one list, channel/postern_fields.h, which the JavaScript side keeps to as well."""

import re

from conftest import ROOT

SPELLED = re.compile(r"['\"](postern-[a-z-]+)['\"]")


def test_the_runtime_uses_no_field_that_the_list_does_not_have():
    listed = set(SPELLED.findall((ROOT / "channel" / "postern_fields.h").read_text()))
    assert len(listed) >= 10
    used = {name: file.relative_to(ROOT) for file in (ROOT / "worker" / "runtime").rglob("*.js") for name in SPELLED.findall(file.read_text())}
    assert "postern-raw" in used
    assert {name: str(file) for name, file in used.items() if name not in listed} == {}


def test_no_other_file_spells_one():
    homes = {"channel/postern_fields.h", "channel/files_protocol.h", "channel/files_protocol.cc"}
    names = set()
    for home in homes:
        names |= set(SPELLED.findall((ROOT / home).read_text()))
    spelled = {}
    for room in ["broker", "channel", "loop", "server", "supervisor", "worker"]:
        for file in [*(ROOT / room).rglob("*.cc"), *(ROOT / room).rglob("*.h")]:
            where = str(file.relative_to(ROOT))
            if where not in homes and not where.endswith("_test.cc"):
                for name in names & set(SPELLED.findall(file.read_text())):
                    spelled[name] = where
    assert spelled == {}
