"""What README and docs/ show is run: each "$ postern …" of a console block must print what stands below it, where a
"…" stands for anything."""

import json
import pathlib
import re
import shlex
import subprocess

import compatibility
import errors_doc
import package_programs
import pytest
import runtime_doc
import test_packages
from conftest import BUILD, POSTERN, ROOT


def examples():
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.S):
            for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
                command, _, expected = part.partition("\n")
                yield pytest.param(command, expected, id=f"{page.name}: {command[:60]}")


@pytest.mark.parametrize("command,expected", examples())
def test_example(command, expected):
    words = shlex.split(command)
    assert words[0] == "postern"
    done = subprocess.run([POSTERN, *words[1:]], capture_output=True, text=True, timeout=30, cwd=ROOT)
    pattern = ".*".join(re.escape(piece) for piece in expected.rstrip("\n").split("…"))
    assert re.fullmatch(pattern, (done.stdout + done.stderr).rstrip("\n"), re.S), done.stdout + done.stderr


def test_the_tables_of_system_calls_are_those_of_the_policies():
    made = subprocess.run(["python3", ROOT / "seccomp-policies" / "make_docs.py"], capture_output=True, text=True, check=True).stdout
    assert made == (ROOT / "docs" / "seccomp.md").read_text(), "docs/seccomp.md is not current: ./dev docs writes it"


def test_what_a_guest_has_is_what_docs_runtime_lists():
    assert runtime_doc.document(BUILD) == (ROOT / "docs" / "runtime.md").read_text(), "docs/runtime.md is not current: ./dev docs writes it"


def test_what_packages_do_is_what_their_tests_run():
    """The page is made from the tests' lists; these have every package that is installed for them, and what is tested stands there."""
    assert compatibility.document() == (ROOT / "docs" / "compatibility.md").read_text(), "docs/compatibility.md is not current: ./dev docs writes it"
    installed = set(json.loads((compatibility.PACKAGES / "package.json").read_text())["dependencies"])
    assert installed == {row[0] for row in compatibility.tested()}
    run = {name.split(" with ")[0] for name in (*test_packages.OFFLINE, *test_packages.ONLINE)}
    assert run <= set(package_programs.BY_VALUE)
    elsewhere = {"@duckdb/duckdb-wasm", "react", "react-dom", "reflect-metadata", "tsyringe", "socket.io", "socket.io-client", "ws"}
    assert set(package_programs.BY_VALUE) - run == elsewhere


def test_the_tables_of_errors_are_the_failure_kinds():
    assert errors_doc.document() == (ROOT / "docs" / "errors.md").read_text(), "docs/errors.md is not current: ./dev docs writes it"
    text = (ROOT / "channel" / "failure_kinds.h").read_text()
    listed = re.findall(r"&(kErr\w+)", text)
    assert listed == list(errors_doc.kinds()) and len(listed) > 40


def test_no_other_file_spells_a_failure():
    """Whoever makes a failure names its kind."""
    codes = set(errors_doc.codes())
    spelled = {}
    for room in ("broker", "channel", "har", "loop", "server", "supervisor", "worker"):
        for file in [*(ROOT / room).rglob("*.cc"), *(ROOT / room).rglob("*.h")]:
            if file.name != "failure_kinds.h" and not file.name.endswith("_test.cc"):
                for code in codes & set(re.findall(r"\"(ERR_[A-Z_]+)\"", file.read_text())):
                    spelled[code] = str(file.relative_to(ROOT))
    assert spelled == {}


def test_every_code_is_documented():
    page = (ROOT / "docs" / "errors.md").read_text()
    sources = "".join(p.read_text() for d in ("broker", "worker") for p in (ROOT / d).rglob("*") if p.suffix in (".cc", ".js"))
    used = set(re.findall(r"[\"'](ERR_[A-Z_]+)[\"']", sources))
    assert {code for code in used if code not in page} == set()


def test_no_document_names_a_missing_file():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert "://" in target or (page.parent / target).exists(), (page.name, target)


def test_every_line_of_the_threat_model_has_its_test():
    page = (ROOT / "docs" / "threat-model.md").read_text()
    rows = [line.split("|") for line in page.split("## Side channels")[0].splitlines() if line.startswith("| ") and line.count("|") == 4]
    assert len(rows) > 20 and rows[0][3].strip() == "shown by"
    for row in rows[1:]:
        tests = re.findall(r"`([^`]+)`", row[3])
        assert tests, row[1]
        for test in tests:
            file, _, name = test.partition("::")
            path = ROOT / file if "/" in file else ROOT / "tests" / "whole_program" / file
            assert path.exists(), test
            assert not name or f"\ndef {name}(" in path.read_text(), test


def test_every_command_can_be_typed_from_a_checkout():
    """README names where the program is; ./dev passes on whatever command it has."""
    assert str(ROOT / "build/release/bin/postern").removeprefix(f"{ROOT}/") in (ROOT / "README.md").read_text()
    text = subprocess.run([POSTERN, "--help"], capture_output=True, text=True, check=True).stdout
    commands = set(re.findall(r"^  ([a-z]+)  ", text.split("Subcommands:")[1].split("Examples:")[0], re.M))
    script = (ROOT / "dev").read_text()
    passed = re.search(r"^  (run \|[a-z |]+)\) .*exec", script, re.M)[1].split(" | ")
    assert set(passed) == commands and len(commands) > 8
    told = re.search(r"^  run ARGS….*likewise (.*)", script, re.M)[1].split(", ")
    assert {"run", *told} == commands


def test_license_is_there():
    assert "Apache License" in pathlib.Path(ROOT / "LICENSE").read_text()
