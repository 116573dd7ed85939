"""Who uses up what there is of something: connections, bytes, descriptors, processes, turns of a loop. Others go on."""

import contextlib
import json
import os
import re
import socket
import subprocess
import time

import pytest
from conftest import our_processes, unless_sanitized
from server import Server, until
from test_handler import Handler, read_all

TOKEN = "a-token-of-twenty-bytes"
HEALTH = b"GET /v1/health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


@pytest.fixture
def serve(tmp_path):
    @contextlib.contextmanager
    def start(*options, kind=Server, **more):
        (tmp_path / "tokens").write_text(f"a {TOKEN}\n")
        with kind(tmp_path, *options, **more) as server:
            yield server
        assert our_processes() == []

    return start


def to(address):
    if address.startswith("/"):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(30)
        s.connect(address)
        return s
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=30)


def talk(address, data):
    with to(address) as s:
        s.sendall(data)
        return read_all(s)


def addresses(server):
    """Those over TCP: the run API's, and the one for probes."""
    words = next(line for line in server.status if line.startswith("STATUS=")).split()
    return next(w for w in words if re.match(r"[\d[]", w) and words[words.index(w) - 1] != "(admin)"), words[words.index("(admin)") + 1]


# ---- connections and bytes of one door


@pytest.fixture
def doors(serve, tmp_path):
    with serve("--listen=0", "--admin-listen=0", f"--token-file={tmp_path}/tokens") as server:
        yield server, *addresses(server)


def run_with_token(tcp):
    body = b'{"code": "__return(7)"}'
    return talk(tcp, b"POST /v1/runs HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/json\r\n"
                b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n" % (TOKEN.encode(), len(body)) + body)  # fmt: skip


@pytest.mark.parametrize("what", ["idle", "begun", "asked"])
def test_connections_without_a_token_shut_out_nobody(doors, what):
    server, tcp, admin = doors
    sent = {"idle": b"", "begun": b"GET /v1/runs HTTP/1.1\r\nHost: h\r\n", "asked": b"GET /v1/runs HTTP/1.1\r\nHost: h\r\n\r\n"}[what]
    with contextlib.ExitStack() as stack:
        for _ in range(600):
            s = stack.enter_context(to(tcp))
            if sent:
                s.sendall(sent)
        assert server.outcome({"code": "__return(1)"})["value"] == 1
        assert b" 200 " in talk(admin, HEALTH)
        assert b'"value":7' in run_with_token(tcp)


def test_probes_shut_out_nobody(doors):
    server, tcp, admin = doors
    with contextlib.ExitStack() as stack:
        for _ in range(600):
            stack.enter_context(to(admin))
        assert server.outcome({"code": "__return(1)"})["value"] == 1
        assert b'"value":7' in run_with_token(tcp)
        assert b" 200 " in talk(admin, HEALTH)


def test_local_connections_shut_out_nobody_at_other_doors(doors):
    server, tcp, admin = doors
    with contextlib.ExitStack() as stack:
        for _ in range(256):
            stack.enter_context(to(server.socket))
        assert b'"value":7' in run_with_token(tcp)
        assert b" 200 " in talk(admin, HEALTH)


@pytest.mark.parametrize("path,token", [("/v1/runs", None), ("/v1/runs", "wrong"), ("/v1/health", None), ("/v1/runs/x/stdin", None), ("/metrics", None)])
def test_no_body_is_read_before_the_token(doors, path, token):
    server, tcp, _ = doors
    field = f"Authorization: Bearer {token}\r\n" if token else ""
    head = f"POST {path} HTTP/1.1\r\nHost: h\r\n{field}Content-Length: {30 << 20}\r\n\r\n".encode()
    with to(tcp) as s:
        s.sendall(head)  # and none of the body
        answer = s.recv(65536)
    assert answer.startswith(b"HTTP/1.1 401 ") and b"Connection: close" in answer, answer


def test_bodies_without_a_token_use_up_nobody_s_bytes(doors):
    server, tcp, _ = doors
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(to(tcp)) for _ in range(12)]
        for i, s in enumerate(clients):
            with contextlib.suppress(OSError):  # it is refused meanwhile
                if i % 2 == 0:
                    s.sendall(b"POST /v1/runs HTTP/1.1\r\nHost: h\r\nContent-Length: 33000000\r\n\r\n" + b" " * 33_000_000)
                else:
                    s.sendall(b"POST /v1/runs HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 31)
        with open(f"/proc/{server.process.pid}/statm") as file:
            assert int(file.read().split()[1]) * 4096 < 100 << 20
        assert server.outcome({"code": "__return(1)"})["value"] == 1
        assert b'"value":7' in run_with_token(tcp)


def test_bytes_of_local_bodies_are_not_those_of_other_doors(doors):
    server, tcp, _ = doors
    head = b"POST /v1/runs HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (31 << 20)
    with contextlib.ExitStack() as stack:
        for _ in range(9):
            s = stack.enter_context(to(server.socket))
            with contextlib.suppress(OSError):
                s.sendall(head + b" " * (30 << 20))
        assert b'"value":7' in run_with_token(tcp)
