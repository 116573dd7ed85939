"""Rooms: each folder with code is a library of its own, and includes of others what docs/design.md says and nothing else.

The tables there are this test's data. A wrong arrow in C++ mostly does not compile (cmake/Room.cmake); here it is told with its line,
and an arrow that nobody uses any more is told as well. Unit tests are one program (tests/CMakeLists.txt) and may use any room.
"""

import json
import posixpath
import re
import shlex
import subprocess

import pytest
from conftest import RELEASE, ROOT

DOORS = ("tests", "bench", "fuzz")  # they go in wherever they must
RUNTIME = "worker/runtime"


def table(title):
    """{room: (what it may use, …)} of the table below that heading; a room that may use all has None."""
    section = (ROOT / "docs" / "design.md").read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): set(re.findall(r"`([^`]+)`", row[2])) if row[2] != "everything" else None for row in rows}


ROOMS, PARTS = table("Rooms"), table("Rooms of the runtime")


def room_of(path, rooms):
    while path and path not in rooms:
        path = posixpath.dirname(path)
    return path


def sources(*suffixes):
    for folder in {room.split("/")[0] for room in ROOMS}:
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in suffixes and "_test." not in file.name:
                yield file.relative_to(ROOT).as_posix(), file.read_text()


def arrows():
    """(file, what it includes, its room, the other's)"""
    for path, text in sources(".cc", ".h"):
        for name in re.findall(r'^#include "([^"]+)"', text, re.M):
            if "/" in name:
                yield path, name, room_of(path, ROOMS), room_of(name, ROOMS)


def imports():
    for path, text in sources(".js"):
        inside = path.removeprefix(f"{RUNTIME}/")
        for name in re.findall(r"^(?:import|export)\b[^;]*?['\"](\.[^'\"]+)['\"];", text, re.M):
            other = posixpath.normpath(posixpath.join(posixpath.dirname(inside), name))
            if not other.startswith(".."):
                yield path, name, room_of(inside, PARTS), room_of(other, PARTS)


def test_every_file_has_a_room():
    code = [path for path, _ in sources(".cc", ".h")]
    assert len(code) > 200 and {room_of(path, ROOMS) for path in code} == set(ROOMS)
    for top in ROOT.iterdir():
        if top.is_dir() and top.name not in (*DOORS, "build", "node_modules") and any(top.rglob("*.cc")):
            assert any(room.split("/")[0] == top.name for room in ROOMS), f"docs/design.md does not have {top.name}/"


def test_headers_are_named_from_the_root():
    for path, text in sources(".cc", ".h"):
        for name in re.findall(r'^#include "([^"]+)"', text, re.M):
            generated = name in ("seccomp_filters.inc", "report_page.h", "ada.h")
            assert generated or (ROOT / name).exists(), f'{path}: "{name}"'


@pytest.mark.parametrize("found,rooms", [(arrows, ROOMS), (imports, PARTS)], ids=["C++", "JavaScript"])
def test_arrows_are_those_of_the_table(found, rooms):
    used = {room: set() for room in rooms}
    for path, name, here, there in found():
        if here == there or rooms[here] is None:
            continue
        assert there in rooms[here], f"{path} includes {name}: docs/design.md has no arrow from {here} to {there}"
        used[here].add(there)
    unused = {room: sorted(may - used[room]) for room, may in rooms.items() if may is not None and may - used[room]}
    assert not unused, f"arrows of docs/design.md that nothing uses: {unused}"


@pytest.mark.parametrize("rooms", [ROOMS, PARTS], ids=["C++", "JavaScript"])
def test_no_arrow_leads_back(rooms):
    left = {room: set(may or ()) for room, may in rooms.items()}
    while left:
        free = {room for room, may in left.items() if not may & set(left)}
        assert free, f"these use each other in a circle: {sorted(left)}"
        left = {room: may for room, may in left.items() if room not in free}


def test_cmake_has_the_same_arrows():
    """What a room's library, or its program, is linked with."""
    names = {room.replace("/", "_"): room for room in ROOMS}
    for room, may in ROOMS.items():
        text = (ROOT / room / "CMakeLists.txt").read_text()
        text = re.sub(r"PRECOMPILED \w+", "", text)
        lists = re.findall(r"(?:postern_room|target_link_libraries)\(([^)]*)\)", text)
        linked = {names[word] for words in lists for word in words.split() if word in names} - {room}
        assert linked == may, f"{room}/CMakeLists.txt: {sorted(linked ^ may)}"


def test_a_wrong_arrow_does_not_compile(tmp_path):
    command = next(each for each in json.loads((RELEASE / "compile_commands.json").read_text()) if each["file"].endswith("/channel/control.cc"))
    words = [word for word in shlex.split(command["command"]) if word.startswith(("-I", "-std"))]
    for header, found in (("channel/control.h", True), ("base/result.h", True), ("supervisor/run.h", False), ("policy/policy.h", False)):
        (tmp_path / "arrow.cc").write_text(f'#include "{header}"\n')
        done = subprocess.run(["c++", *words, "-fsyntax-only", tmp_path / "arrow.cc"], capture_output=True, text=True)
        assert (done.returncode == 0) == found and found != (f"fatal error: {header}" in done.stderr), done.stderr
