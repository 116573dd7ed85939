"""Every kind of input of clients and guests at its largest: it holds up no turn of the server's event loop, and takes no memory beyond its
bounds. The next one is a line in BODIES or GUESTS."""

import contextlib
import json
import re
import time

import pytest
from conftest import our_processes, unless_sanitized
from server import Server, until
from test_exhaustion import to
from test_handler import Handler, read_all

pytestmark = unless_sanitized  # they measure memory and time

PATHS = ", ".join(f"/p{i}/**" for i in range(20_000))
RULE = "{allow: https://a.test, paths: "


def yaml_policy(text):
    return {"code": "1", "policy": "version: 1\n" + text}


def deep(levels, last="1"):
    return "[" * levels + last + "]" * levels


# name -> a body of POST /v1/runs, or a text of one; what it is refused with, or None where it runs.
BODIES = {
    "aliases": (lambda: yaml_policy("network: {rules: [" + RULE + f"&p [{PATHS}]}}, " + ", ".join([RULE + "*p}"] * 2_000) + "]}"), 400),
    "aliases of aliases": (lambda: yaml_policy("env: {a: &a [" + "x, " * 99 + "x], b: &b [" + "*a, " * 99 + "*a], c: [" + "*b, " * 99 + "*b]}"), 400),
    "a merge key": (lambda: yaml_policy("limits: &l {wall: 1s}\nnetwork:\n  limits:\n    <<: *l"), 400),
    "env of 60 000 keys": (lambda: yaml_policy("env:\n" + "".join(f"  k{i}: v\n" for i in range(20_000))), 400),
    "env of 60 000 keys in JSON": (lambda: {"code": "1", "policy": {"env": {f"k{i}": "v" for i in range(60_000)}}}, 400),
    "env of 2 000 keys": (lambda: yaml_policy("env:\n" + "".join(f"  k{i}: v\n" for i in range(2_000))), 200),
    "1 600 rules": (lambda: yaml_policy("network: {rules: [" + ", ".join("{deny: a.test}" for _ in range(1_600)) + "]}"), 200),
    "a rule of 4 500 paths": (lambda: yaml_policy("network: {rules: [{deny: a.test, paths: [" + ", ".join(f"/{i}" for i in range(4_500)) + "]}]}"), 200),
    "a long key": (lambda: yaml_policy("k" * 250_000 + ": 1"), 400),
    "a long unknown word": (lambda: yaml_policy("network: {permission: " + "k" * 250_000 + "}"), 400),
    "many keys that are unknown": (lambda: yaml_policy("".join(f"k{i}: 1\n" for i in range(20_000))), 400),
    "flow lists in each other": (lambda: yaml_policy("env: " + deep(100_000)), 400),
    "flow lists that stay open": (lambda: yaml_policy("env: " + "[" * 250_000), 400),
    "mappings in each other": (lambda: yaml_policy("env: " + "{a: " * 50_000), 400),
    "block lists in each other": (lambda: yaml_policy("env:\n" + "- " * 120_000), 400),
    "question marks": (lambda: yaml_policy("? " * 120_000), 400),
    "colons": (lambda: yaml_policy(": " * 120_000), 400),
    "commas": (lambda: yaml_policy("env: [" + "," * 250_000), 400),
    "anchors": (lambda: yaml_policy("env: {" + "".join(f"&a{i} k{i}: v, " for i in range(10_000)) + "}"), 400),
    "tags": (lambda: yaml_policy("env: {" + "".join(f"k{i}: !t{i} v, " for i in range(10_000)) + "}"), None),
    "a long comment": (lambda: yaml_policy("#" * 250_000), 200),
    "many comments": (lambda: yaml_policy("#\n" * 125_000), 200),
    "many blank lines": (lambda: yaml_policy("\n" * 250_000), 200),
    "a long quoted text": (lambda: yaml_policy('env: {A: "' + "\\x41" * 60_000 + '"}'), 200),
    "a folded text": (lambda: yaml_policy("env:\n  A: >\n" + "    x\n" * 40_000), None),
    "a plain text of many lines": (lambda: yaml_policy("env:\n  A: x\n" + "    x\n" * 40_000), None),
    "a text that stays open": (lambda: yaml_policy('env: {A: "' + "x\n" * 120_000), 400),
    "many documents": (lambda: yaml_policy("---\n" * 60_000), 400),
    "many directives": (lambda: {"code": "1", "policy": "%TAG !a! !b\n" * 20_000 + "---\nversion: 1"}, None),
    "a policy that is too long": (lambda: yaml_policy("#" * 300_000), 400),
    "a JSON policy in itself": (lambda: '{"code": "1", "policy": ' + '{"network": ' * 60 + "1" + "}" * 60 + "}", 400),
    "JSON lists": (lambda: '{"code": "1", "arguments": [' + "[],{}," * 5_000_000 + "1]}", 400),
    "JSON numbers": (lambda: '{"code": "1", "arguments": [' + "0," * 15_000_000 + "1]}", 400),
    "JSON in itself": (lambda: '{"code": "1", "env": ' + deep(15_000_000), 400),
    "a JSON text of escapes": (lambda: '{"code": "\\u002f\\u002f' + "\\u0001" * 5_000_000 + '"}', 200),
    "a JSON text that stays open": (lambda: '{"code": "' + "a" * 31_000_000, 400),
    "a long code": (lambda: {"code": "//" + "x" * 31_000_000}, 200),
    "a long environment": (lambda: {"code": "1", "env": {f"k{i}": "v" * 20 for i in range(60_000)}}, None),
    "many arguments": (lambda: {"code": "1", "arguments": ["a"] * 150_000}, None),
    "many files": (lambda: {"code": "1", "files": {f"f{i}": "x" for i in range(10_000)}}, 200),
    "a long file": (lambda: {"code": "1", "files": {"f": "x" * 31_000_000}}, 200),
    "base64": (lambda: {"code": "1", "files": {"f": {"base64": "AAAA" * 7_500_000}}}, 200),
    "a long stdin": (lambda: {"code": "1", "stdin": "x" * 31_000_000}, 200),
    "a long cwd": (lambda: {"code": "1", "cwd": "/" + "x/" * 15_000_000}, 400),
    "a long cwd that is none": (lambda: {"code": "1", "cwd": "x" * 31_000_000}, 400),
    "a long path": (lambda: {"code": "1", "files": {"/" + "x/" * 15_000_000: "1"}}, 400),
    "a long entry": (lambda: {"entry": "x" * 31_000_000}, 400),
    "a long name of a variable": (lambda: {"code": "1", "env": {"x" * 31_000_000: 1}}, 400),
    "a long path of a mount": (lambda: {"code": "1", "mounts": ["/" + "x" * 31_000_000]}, 400),
    "a long limit": (lambda: {"code": "1", "limits": {"wall": "1" * 200_000}}, 400),
    "a long rule": (lambda: {"code": "1", "policy": {"network": {"rules": [{"allow": "https://" + "a." * 100_000 + "test"}]}}}, None),
    "a long pattern": (lambda: {"code": "1", "policy": {"network": {"rules": [{"deny": "a.test/" + "**/*a*a*/" * 20_000}]}}}, None),
    "a long name of a field": (lambda: {"x" * 31_000_000: 1}, 400),
}  # fmt: skip

# What guests say: their code, and how the run ends.
GUESTS = {
    "control characters": ("const s = '\\x01'.repeat(1 << 20); for (let i = 0; i < 60; ++i) console.log(s)", "killed"),
    "as many as may": ("const s = '\\x01'.repeat(1 << 20); for (let i = 0; i < 10; ++i) process.stdout.write(s)", "succeeded"),
    "plain text": ("const s = 'a'.repeat(1 << 20); for (let i = 0; i < 63; ++i) process.stdout.write(s)", "succeeded"),
    "bytes that are no text": ("const b = Buffer.alloc(1 << 20, 0xff); for (let i = 0; i < 21; ++i) process.stdout.write(b)", "succeeded"),
    "quotes": ("const s = '\"'.repeat(1 << 20); for (let i = 0; i < 31; ++i) process.stderr.write(s)", "succeeded"),
    "a long value": ("__return('x'.repeat(15 << 20))", "succeeded"),
    "a value of many": ("__return(new Array(7_000_000).fill(0))", "succeeded"),
    "a deep value": ("let v = []; for (let i = 0; i < 2_000; ++i) v = [v]; __return(v)", "succeeded"),
    "a long error": ("throw new Error('\\x01'.repeat(3 << 20))", "failed"),
    "a long name of an error": ("throw Object.assign(new Error('e'), {name: '\\x01'.repeat(3 << 20)})", "failed"),
    "many lines": ("console.log('a\\n'.repeat(1_000_000))", "succeeded"),
}  # fmt: skip


def resident(server):
    with open(f"/proc/{server.process.pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


def stalls(server):
    """Turns of its loop that took 50 ms or more of CPU time: what others of this machine take is not the server's."""
    lines = re.findall(r"one turn of the event loop took (\d+) ms, (\d+) ms of CPU time", server.said())
    return [cpu for _, cpu in lines if int(cpu) >= 50]


@pytest.fixture(scope="module")
def one_server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("largest"), "--memory=512MiB", "--timeout=20s", "--allow-net=https://*.test") as server:
        yield server
    assert our_processes() == []


def run(server, body, accept="application/json"):
    text = body if isinstance(body, str) else json.dumps(body)
    with server.connection(timeout=60) as c:
        c.request("POST", "/v1/runs", text.encode(), {"content-type": "application/json", "accept": accept})
        answer = c.getresponse()
        return answer.status, answer.read()


@unless_sanitized
@pytest.mark.parametrize("name", BODIES)
def test_no_body_holds_up_the_loop(one_server, name):
    make, status = BODIES[name]
    body = make()
    before = len(stalls(one_server))
    begun = time.monotonic()
    got, answer = run(one_server, body)
    assert got in ((status,) if status else (200, 400)), answer[:300]
    assert status != 400 or len(answer) < 4_000
    assert time.monotonic() - begun < 10
    assert stalls(one_server)[before:] == []
    assert resident(one_server) < 500 << 20


@unless_sanitized
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
@pytest.mark.parametrize("name", GUESTS)
def test_no_guest_s_words_hold_up_the_loop(one_server, name, accept):
    code, kind = GUESTS[name]
    before = len(stalls(one_server))
    status, answer = run(one_server, {"code": code}, accept)
    assert status == 200 and f'"outcome":"{kind}"'.encode() in answer or accept != "application/json", answer[:300]
    assert stalls(one_server)[before:] == []
    assert resident(one_server) < 700 << 20


@unless_sanitized
def test_an_outcome_is_held_once_however_many_ask_for_it(one_server):
    """Each answer that its client does not take held a copy."""
    place = one_server.run({"code": GUESTS["plain text"][0], "wait": False, "console": "outcome"}).headers["location"]
    until(lambda: one_server.ask("GET", "/v1/runs").body.count(b'"running"') == 0, "the run does not end", 60)
    before = resident(one_server)
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            s = stack.enter_context(to(one_server.socket))
            s.sendall(f"GET {place} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            assert s.recv(15).startswith(b"HTTP/1.1 200")
        assert resident(one_server) - before < 100 << 20


def test_a_neighbour_s_limits_hold_meanwhile(one_server):
    """A large body is read while a run with a short time goes on."""
    body = BODIES["a JSON text of escapes"][0]()
    with to(one_server.socket) as s:
        s.sendall(b"POST /v1/runs HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body.encode())
        outcome = one_server.outcome({"code": "while (true) {}", "limits": {"wall": "500ms"}})
    assert outcome["outcome"] == "timed_out" and outcome["usage"]["wallMs"] < 1_500


# ---- a handler

HANDLER = """
const many = (n, make) => Object.fromEntries(Array.from({ length: n }, (_, i) => make(i)));
const ways = {
  fields: () => new Response('', { headers: many(400, (i) => [`x-${i}`, 'y'.repeat(100)]) }),
  long: () => new Response('x'.repeat(30 << 20)),
  pieces: () => new Response(new ReadableStream({ start(c) { for (let i = 0; i < 20_000; ++i) c.enqueue(new Uint8Array(1)); c.close(); } })),
  line: () => { process.stdout.write('\\x01'.repeat(8 << 20)); return new Response(''); },
  lines: () => { console.log('a\\n'.repeat(300_000)); return new Response(''); },
  upload: async (request) => new Response(String((await request.arrayBuffer()).byteLength)),
  echo: () => new Response('echo'),
};
export default { fetch: (request) => ways[new URL(request.url).pathname.slice(1)](request) };
"""

REQUESTS = {
    "a connection of many names": b"GET /echo HTTP/1.1\r\nHost: h\r\nConnection: " + b"a," * 4_000 + b"close\r\n" + b"a: b\r\n" * 1_000,
    "many connection fields": b"GET /echo HTTP/1.1\r\nHost: h\r\n" + b"Connection: a, close\r\n" * 700,
    "many fields": b"GET /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + b"a:\r\n" * 3_000,
    "a long target": b"GET /echo?" + b"%" * 16_000 + b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n",
    "a long host": b"GET /echo HTTP/1.1\r\nConnection: close\r\nHost: " + b"a." * 8_000 + b"\r\n",
    "a host of percents": b"GET /echo HTTP/1.1\r\nConnection: close\r\nHost: " + b"%41" * 5_000 + b"\r\n",
    "a body": b"POST /upload HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 30000000\r\n\r\n" + b"x" * 30_000_000,
    "a body of small chunks": b"POST /upload HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 500_000 + b"0\r\n",
    **{f"an answer: {way}": f"GET /{way} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n".encode() for way in ("fields", "long", "pieces", "line", "lines")},
}  # fmt: skip


@pytest.fixture(scope="module")
def one_handler(tmp_path_factory):
    directory = tmp_path_factory.mktemp("handler")
    (directory / "handler.mjs").write_text(HANDLER)
    with Handler(directory, "--guests=1", module=directory / "handler.mjs") as handler:
        yield handler


@unless_sanitized
@pytest.mark.parametrize("name", REQUESTS)
def test_no_request_to_a_handler_holds_up_the_loop(one_handler, name):
    before = len(stalls(one_handler))
    with to(one_handler.address()) as s:
        s.sendall(REQUESTS[name] + (b"" if REQUESTS[name].endswith(b"x") else b"\r\n"))
        got = read_all(s)
    assert got.startswith(b"HTTP/1.1 "), got[:200]
    assert stalls(one_handler)[before:] == []
    assert resident(one_handler) < 200 << 20
