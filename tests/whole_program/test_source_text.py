"""Rules of the house that the source's own text shows."""

import re

from conftest import ROOT

ROOMS = ["base", "broker", "channel", "cli", "clients", "har", "loop", "policy", "report", "run_api", "sandbox", "server", "supervisor", "worker"]
# CLI11 writes its help into a stream.
STREAMS = {"cli/command_line.cc"}
OTHERWISE = re.compile(r'" \+|\+ "|\bto_string\([^;]*\) \+|\+ std::to_string|\b(?:s|sn|vsn|f)?printf\(|std::(?:cout|cerr|ostringstream|stringstream)\b')


def sources():
    for room in ROOMS:
        for file in [*(ROOT / room).rglob("*.cc"), *(ROOT / room).rglob("*.h")]:
            if not file.name.endswith("_test.cc"):
                yield str(file.relative_to(ROOT)), file.read_text()


def code_of(text):
    """Without comments and raw strings."""
    return re.sub(r'R"(\w*)\(.*?\)\1"', '""', re.sub(r"//[^\n]*", "", text), flags=re.S)


def test_text_is_put_together_by_fmt():
    """Each of these is `fmt::format`, whose formats the compiler checks."""
    found = [f"{name}: {line.strip()}" for name, text in sources() if name not in STREAMS for line in code_of(text).splitlines() if OTHERWISE.search(line)]
    assert found == []


def test_of_fmt_only_what_is_small_is_included():
    """<fmt/format.h> costs three seconds of compiling in each file that has it."""
    found = {name for name, text in sources() if re.search(r"#include <fmt/(?!core\.h)", text)}
    assert found == {"base/format.cc"}
