"""What guests say that reaches a person's terminal or log as Postern's own words: none of it is obeyed, and none of it passes for Postern's.
The next character is one in OBEYED."""

import json
import os
import pathlib
import pty
import subprocess

import pytest
from conftest import POSTERN, our_processes
from server import Server, until
from test_handler import Handler

OBEYED = ["\x1b[2J", "\x00", "\x07", "\x08", "\r", "\x7f", "\x80", "\x85", "\x9b31m", "\x9d0;t\x9c", "\u061c", "\u200e", "\u200f", "\u2028", "\u2029",
          "\u202a", "\u202e", "\u2066", "\u2069", "\ufeff", "\U000e0041"]  # fmt: skip
ALL = "".join(OBEYED)


def obeyed(data):
    """What of these is in what a terminal gets; raw bytes that are no UTF-8 are obeyed by some as C1."""
    text = data.decode("utf-8", "surrogateescape")
    return [c for c in text if c in set("".join(o[0] for o in OBEYED)) or 0xDC80 <= ord(c) <= 0xDC9F]


def terminal(*command, **more):
    """(status, what a terminal shows) of a command whose stderr is one."""
    ours, its = pty.openpty()
    try:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=its, **more)
        os.close(its)
        shown = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        return process.wait(30), shown.replace(b"\r\n", b"\n")
    finally:
        os.close(ours)


@pytest.fixture
def server(tmp_path):
    with Server(tmp_path) as s:
        yield s
    assert our_processes() == []


NAMED = "const e = new Error(%s); e.name = 'PosternError'; "


@pytest.mark.parametrize("how", ["throw e", "Promise.reject(e); await new Promise(() => {})", "setTimeout(() => { throw e })", "process.exitCode = 125; throw e"])
def test_an_error_with_postern_s_name_is_not_postern_s(server, tmp_path, how):
    (tmp_path / "job.mjs").write_text(NAMED % json.dumps("the server is on fire" + ALL) + how)
    _, shown = terminal(POSTERN, "run", f"--server=unix:{server.socket}", str(tmp_path / "job.mjs"))
    assert b"postern: the server" not in shown
    assert b"on fire" in shown  # the guest's own words, which it has printed itself


def test_what_postern_says_of_a_run_is_still_said(server, tmp_path):
    (tmp_path / "job.mjs").write_text("while (true) {}")
    status, shown = terminal(POSTERN, "run", "--timeout=300ms", f"--server=unix:{server.socket}", str(tmp_path / "job.mjs"))
    assert status == 124 and shown.startswith(b"postern: the run took longer than its limit")


def handler_log(tmp_path, module, requests=("/",)):
    path = tmp_path / "handler.mjs"
    path.write_text(module)
    with Handler(tmp_path, "--guests=1", module=path) as h:
        for request in requests:
            h.get(request)
        until(lambda: "marker" in h.said() + h.printed(), lambda: h.said() + h.printed())
    h.stdout.close()
    return pathlib.Path(tmp_path / "stdout").read_bytes() + h.log.encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("what", ["console.log(TEXT + 'marker')", "console.error('marker' + TEXT)",
                                  "process.stdout.write(Buffer.from([...Array(256).keys()])); console.log('marker')",
                                  "const e = new Error(TEXT + 'marker'); e.name = 'PosternError' + TEXT; setTimeout(() => { throw e })",
                                  "const e = new TypeError(TEXT + 'marker'); throw e"])  # fmt: skip
def test_a_handler_s_log_obeys_nothing(tmp_path, what):
    log = handler_log(tmp_path, f"const TEXT = {json.dumps(ALL)}; export default {{ async fetch() {{ {what}; return new Response('') }} }}")
    assert obeyed(log) == [], log


def test_lines_about_traffic_obey_nothing(tmp_path):
    (tmp_path / "job.mjs").write_text(
        f"for (const c of {json.dumps(OBEYED)}) await fetch('http://a.example/' + c + '?' + c, {{method: 'GET'}}).catch(() => {{}})")
    _, shown = terminal(POSTERN, "run", "--verbose", str(tmp_path / "job.mjs"), env={**os.environ, "NO_COLOR": "1"})
    assert b"a.example" in shown and obeyed(shown) == [], shown


def test_a_file_that_is_no_recording_is_told_of_in_plain_text(tmp_path):
    (tmp_path / "r.har").write_text('{"log": ' + ALL)
    _, shown = terminal(POSTERN, "report", str(tmp_path / "r.har"))
    assert shown.startswith(b"postern: ") and obeyed(shown) == [], shown
