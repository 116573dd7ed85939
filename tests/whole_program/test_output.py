"""Everything that Postern writes, where it cannot be written: a reader that is gone (141, without a word), a disk that is full (4, and a
sentence that names the cause). README lists the exit statuses."""

import contextlib
import os
import subprocess

import pytest
from conftest import POSTERN
from server import Server

NO_SPACE = "No space left on device"
FOREVER = "for (let i = 0; ; i++) console.log('line', i);"


@pytest.fixture
def full(tmp_path):
    """A disk without room for a byte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", disk], check=True)
    try:
        (disk / "ballast").write_bytes(b"x" * 4096)
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


def run(*words, **options):
    return subprocess.run([POSTERN, *words], text=True, timeout=60, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options})


@contextlib.contextmanager
def full_device():
    with open("/dev/full", "w") as device:
        yield device


def read_a_little(*words, stream="stdout"):
    """Reads a line of it and hangs up: what the program said besides, and its status."""
    with subprocess.Popen([POSTERN, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        read, other = (program.stdout, program.stderr) if stream == "stdout" else (program.stderr, program.stdout)
        assert read.readline()
        read.close()
        return other.read().decode(), program.wait(60)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_goes_away_ends_the_guest(stream):
    code = FOREVER if stream == "stdout" else FOREVER.replace("log", "error")
    assert read_a_little("eval", "--timeout=60s", code, stream=stream) == ("", 141)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_of_a_server_s_guest_goes_away(stream, tmp_path):
    code = FOREVER if stream == "stdout" else FOREVER.replace("log", "error")
    with Server(tmp_path) as server:
        assert read_a_little("eval", "--timeout=60s", f"--server=unix:{server.socket}", code, stream=stream) == ("", 141)
        with full_device() as device:
            done = run("eval", f"--server=unix:{server.socket}", "'x'", stdout=device)
        assert (done.returncode, done.stderr) == (4, f"postern: cannot write standard output: {NO_SPACE}\n")


# Each command that says something, once with nobody who reads and once with a device that takes nothing.
SAY = {
    "run": ["eval", "6 * 7"], "error": ["eval", "console.error(1)"], "json": ["eval", "--json", "1"], "help": ["--help"], "help of run": ["run", "--help"], "version": ["--version"],
    "manual": ["manual"], "completions": ["completions", "bash"], "doctor": ["doctor"], "doctor --json": ["doctor", "--json"], "serve --help": ["serve", "--help"],
}


@pytest.mark.parametrize("what", SAY)
def test_nobody_reads(what):
    read, write = os.pipe()
    os.close(read)
    stream = "stderr" if what == "error" else "stdout"
    done = run(*SAY[what], **{stream: write})
    os.close(write)
    assert (done.returncode, done.stdout or "", done.stderr or "") == (141, "", "")


@pytest.mark.parametrize("what", SAY)
def test_a_full_device(what):
    with full_device() as device:
        done = run(*SAY[what], **{"stderr" if what == "error" else "stdout": device})
    assert done.returncode == 4
    if what != "error":
        assert done.stderr == f"postern: cannot write standard output: {NO_SPACE}\n"


@pytest.mark.parametrize("code,options,status", [
    ("process.stdout.write('x'.repeat(65_536)); throw new Error('reason');", [], 124), ("for (;;) console.error('x'.repeat(62));", [], 124),
    ("for (;;) await fetch('http://127.0.0.1:1/').catch(() => {});", ["--verbose", "--allow-net=127.0.0.1:1"], 124),
])  # fmt: skip
def test_a_reader_that_takes_nothing_holds_up_no_end(code, options, status, tmp_path):
    """A guest may fill a pipe that nobody empties; what Postern itself has to say then waits a moment, and not for ever."""
    (tmp_path / "job.mjs").write_text(code)
    process = subprocess.Popen([POSTERN, "run", "--timeout=1s", *options, tmp_path / "job.mjs"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.wait(30) == status
    process.stdout.close()


def test_policy_commands(tmp_path):
    (tmp_path / "p.yaml").write_text('version: 1\nnetwork: {permission: allow, rules: [{allow: "https://a.test"}]}\n')
    for words in (["check", tmp_path / "p.yaml"], ["explain", tmp_path / "p.yaml", "GET", "https://a.test/"]):
        with full_device() as device:
            done = run(*words, stdout=device)
        assert (done.returncode, done.stderr) == (4, f"postern: cannot write standard output: {NO_SPACE}\n")


def test_a_closed_standard_output_takes_what_is_written():
    done = subprocess.run(["sh", "-c", '"$0" eval "console.log(1); console.error(2)" >&-', POSTERN], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "2\n")


@pytest.mark.parametrize("requests, said", [(0, f"the recording was not written: {NO_SPACE}"), (1, f"1 event was not recorded: {NO_SPACE}"), (3, f"3 events were not recorded: {NO_SPACE}")])
def test_a_recording_that_finds_no_room(full, requests, said):
    code = f"for (let i = 0; i < {requests}; i++) await fetch('http://127.0.0.1:1/').catch(() => 0); console.log(0)"
    done = run("eval", "--allow-net=127.0.0.1:1", f"--record={full}/r.har", code)
    assert (done.returncode, done.stdout, done.stderr) == (4, "0\n", f"postern: {said}\n")


def test_an_audit_log_that_finds_no_room(full):
    code = "await fetch('http://127.0.0.1:1/').catch(() => 0); console.log(0)"
    done = run("eval", "--allow-net=127.0.0.1:1", f"--audit-log={full}/a.jsonl", code)
    assert (done.returncode, done.stdout, done.stderr) == (4, "0\n", f"postern: 2 events were not recorded: {NO_SPACE}\n")


@pytest.mark.parametrize("target", ["/nowhere/x", "/proc/x", "."])
@pytest.mark.parametrize("flag", ["--record", "--audit-log"])
def test_a_file_that_cannot_be_made_is_refused_before_anything_runs(flag, target, tmp_path):
    done = subprocess.run([POSTERN, "eval", f"{flag}={target}", "1"], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 3 and done.stdout == "" and target in done.stderr and done.stderr.count("\n") == 1


def test_a_report_that_finds_no_room(full, tmp_path):
    assert run("eval", f"--record={tmp_path}/r.har", "1").returncode == 0
    done = run("report", tmp_path / "r.har", "-o", full / "page.html")
    assert (done.returncode, done.stderr) == (4, f"postern: cannot write {full}/page.html: {NO_SPACE}\n")
    done = run("report", tmp_path / "r.har", "-o", "/nowhere/page.html")
    assert (done.returncode, done.stderr) == (4, "postern: cannot write /nowhere/page.html: No such file or directory\n")
    with full_device() as device:
        assert run("report", tmp_path / "r.har", "-o", "-", stdout=device).returncode == 4
