"""Descriptors wherever they travel: more than a message carries, more than a process may have."""

import array
import json
import os
import socket
import subprocess

import pytest
from conftest import POSTERN, our_processes
from server import Server, until

MOST = 16  # channel::kMaxFds


@pytest.fixture
def server(tmp_path):
    with Server(tmp_path) as s:
        yield s
    assert our_processes() == []


@pytest.mark.parametrize("mounts", [0, 1, MOST - 1, MOST, MOST + 1, 40, 200])
@pytest.mark.parametrize("command", ["run", "eval"])
def test_the_client_sends_as_many_directories_as_a_message_carries(server, tmp_path, command, mounts):
    (tmp_path / "job.mjs").write_text("console.log('ran')")
    flags = []
    for i in range(mounts):
        (tmp_path / f"d{i}").mkdir()
        flags.append(f"--mount={tmp_path}/d{i}:/d{i}")
    what = [str(tmp_path / "job.mjs")] if command == "run" else ["console.log('ran')"]
    done = subprocess.run([POSTERN, command, f"--server=unix:{server.socket}", *flags, *what], capture_output=True, text=True, timeout=30)
    directories = mounts + (command == "run")  # its module's own
    if directories <= MOST:
        assert (done.returncode, done.stdout) == (0, "ran\n"), done.stderr
    else:
        assert done.returncode == 2 and f"at most {MOST} directories" in done.stderr and f"has {directories}" in done.stderr, done


@pytest.mark.parametrize("count", [MOST, MOST + 1, 100, 253])
def test_a_server_takes_no_more_and_says_so(server, count):
    body = json.dumps({"code": "__return(1)", "mounts": [f"/m{i}" for i in range(count)]}).encode()
    request = b"POST /v1/runs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    directory = os.open("/etc", os.O_PATH)
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(server.socket)
            s.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [directory] * count))])
            answer = b"".join(iter(lambda: s.recv(65536), b""))
    finally:
        os.close(directory)
    if count <= MOST:
        assert b'"outcome":"succeeded"' in answer
    else:
        assert answer.startswith(b"HTTP/1.1 400 ") and b"at most 16 descriptors" in answer
    def open_now():
        for fd in os.listdir(f"/proc/{server.process.pid}/fd"):
            try:
                yield os.readlink(f"/proc/{server.process.pid}/fd/{fd}")
            except FileNotFoundError:  # closed meanwhile
                pass

    until(lambda: "/etc" not in open_now(), "the directory stays open")  # what came with the run goes when the run is cleared away
