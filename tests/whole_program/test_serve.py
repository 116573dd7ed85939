"""`postern serve`: the run API, the thin client, and what becomes of both when something goes wrong."""

import base64
import concurrent.futures
import contextlib
import json
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.parse

import pytest
from conftest import POSTERN, our_processes
from server import Server, UnixHTTP, ask, until

EVENTS = {"accept": "text/event-stream"}
FOREVER = {"code": "console.log('up'); setInterval(() => {}, 1000)"}


@pytest.fixture
def server(tmp_path):
    with Server(tmp_path) as s:
        yield s
    assert our_processes() == []


@pytest.fixture
def serve(tmp_path):
    """serve(*options): a context in which such a server runs."""

    @contextlib.contextmanager
    def start(*options, **more):
        with Server(tmp_path, *options, **more) as s:
            yield s
        assert our_processes() == []

    return start


# ---- what it does


def test_a_run_has_the_outcome_that_postern_run_gives(server):
    code = "console.log('out'); console.error('err'); __return({ a: [1, null] })"
    outcome = server.outcome({"code": code})
    local = json.loads(subprocess.run([POSTERN, "run", "--json", "-"], input=code, capture_output=True, text=True).stdout)
    for result in (outcome, local):
        assert result.pop("usage")["wallMs"] >= 0
    assert outcome == local
    assert outcome["value"] == {"a": [1, None]}


# A warm spare has played a run before it gets its order.
def test_a_warm_guest_has_seen_no_other_run(server):
    look = """
      import { createRequire } from 'node:module';
      const values = (object) => Object.fromEntries(Reflect.ownKeys(object).map((key) => [String(key), typeof object[key]]));
      const seen = { globals: values(globalThis), process: values(process), env: process.env, argv: process.argv, cwd: process.cwd(),
        exitCode: process.exitCode, entries: performance.getEntries(), modules: Object.keys(createRequire(import.meta.url).cache),
        listeners: process.listenerCount('exit'), young: performance.now() < 10_000 };
    """
    looked = look + "__return(seen)"
    warm = server.outcome({"code": looked})["value"]
    cold = json.loads(subprocess.run([POSTERN, "run", "--json", "-"], input=looked, capture_output=True, text=True).stdout)["value"]
    for place in (warm, cold):
        place.pop("argv"), place.pop("env"), place.pop("cwd")
    assert warm == cold and warm["young"] and warm["modules"] == []
    assert server.outcome({"code": look}).get("value") is None


def test_a_module_tree_with_arguments_and_environment(server):
    outcome = server.outcome({
        "files": {"main.js": "import { b } from './lib/b.mjs'; import data from '/data/d.json' with { type: 'json' };"
                             "__return([b, data, process.argv.slice(2), process.env.X, process.cwd(), import.meta.url])",
                  "package.json": '{"type": "module"}', "lib/b.mjs": {"base64": "ZXhwb3J0IGNvbnN0IGIgPSAn4pi6Jw=="}, "/data/d.json": "[1]"},
        "entry": "main.js", "arguments": ["p", "q"], "env": {"X": "y"}})  # fmt: skip
    assert outcome["value"] == ["☺", [1], ["p", "q"], "y", "/app", "file:///app/main.js"]
    missing = server.outcome({"code": "import './nowhere.mjs'"})
    assert missing["outcome"] == "failed" and "nowhere.mjs" in missing["error"]["message"]


def test_code_imports_what_comes_with_it(server):
    sent = {"code": "import { n } from './lib.mjs'; __return([n, import.meta.url])", "files": {"lib.mjs": "export const n = 1;", "/d/lib.mjs": "export const n = 2;"}}
    assert server.outcome(sent)["value"] == [1, "file:///app/[code]"]
    assert server.outcome(sent | {"cwd": "/d/"})["value"] == [2, "file:///d/[code]"]


@pytest.mark.parametrize("cwd", ["/", "/app", "/app/", "/app/x/.."])
def test_standard_input_has_its_cwd_with_a_server_too(server, cwd):
    words = (f"--cwd={cwd}", "--json", "-")
    ran = [json.loads(subprocess.run([POSTERN, "run", *more, *words], input="__return([import.meta.url, process.cwd()])", capture_output=True, text=True).stdout)
           for more in ([], [f"--server=unix:{server.socket}"])]  # fmt: skip
    at = "/" if cwd == "/" else "/app"
    assert [r["value"][1] for r in ran] == [at, at], ran
    assert [urllib.parse.unquote(r["value"][0]) for r in ran] == [f"file://{at.rstrip('/')}/[stdin]"] * 2


def test_what_comes_with_a_run_is_told_apart(server):
    code = """import fs from 'node:fs'; const paths = ['/app', '/app/a', '/app/b', '/app/a/x', '/app/b/x', '/tmp'];
      __return([new Set(paths.map((p) => `${fs.statSync(p).dev} ${fs.statSync(p).ino}`)).size, Number.isSafeInteger(fs.statSync('/app/a').ino)])"""
    assert server.outcome({"code": code, "files": {"a/x": "", "b/x": ""}})["value"] == [6, True]


def test_what_comes_for_tmp_is_in_it(server):
    outcome = server.outcome({
        "files": {"/tmp/a/main.mjs": "import p from 'p'; import fs from 'node:fs'; fs.writeFileSync('/tmp/a/new', ''); fs.appendFileSync('/tmp/a/data', 'more');"
                                     "__return([p, fs.readdirSync('/tmp/a'), fs.readFileSync('/tmp/a/data', 'utf8')])",
                  "/tmp/a/node_modules/p/index.js": "module.exports = 'p'", "/tmp/a/data": "some"},
        "entry": "/tmp/a/main.mjs"})  # fmt: skip
    assert outcome.get("value") == ["p", ["data", "main.mjs", "new", "node_modules"], "somemore"], outcome


def test_events_come_as_they_happen(server):
    with server.connection() as c:
        c.request("POST", "/v1/runs", json.dumps({"code": "console.log('first'); setInterval(() => {}, 1000)"}),
                  {"content-type": "application/json", **EVENTS})
        answer = c.getresponse()
        assert answer.getheader("content-type") == "text/event-stream"
        seen = b""
        while b"event: stdout" not in seen or not seen.endswith(b"\n\n"):
            seen += answer.readline()
        identity = json.loads(seen.split(b"data: ")[1].split(b"\n")[0])["id"]
        assert server.ask("GET", "/v1/runs/" + identity).json == {"id": identity, "state": "running"}
        assert server.ask("DELETE", "/v1/runs/" + identity).status == 204
        rest = answer.read().decode()
        assert rest.startswith("event: outcome\ndata: ")
        outcome = json.loads(rest.split("data: ")[1])
        assert (outcome["outcome"], outcome["error"]["message"]) == ("killed", "killed by DELETE")


def test_events_carry_bytes_that_are_no_text(server):
    """Output is cut where it happens to be read, in the midst of a character too."""
    answer = server.run({"code": "console.log('€'.repeat(100_000)); await null; console.error('e')"}, EVENTS)
    names = [name for name, _ in answer.events]
    assert names[:2] == ["run", "started"] and names[-1] == "outcome" and set(names[2:-1]) == {"stdout", "stderr"}
    pieces = [data for name, data in answer.events if name == "stdout"]
    assert any("base64" in piece for piece in pieces)
    whole = b"".join(base64.b64decode(p["base64"]) if "base64" in p else p["text"].encode() for p in pieces)
    assert whole.decode() == "€" * 100_000 + "\n"
    assert dict(answer.events)["outcome"]["outcome"] == "succeeded"


def test_events_tell_of_requests(serve, origin):
    code = "await fetch(process.argv[2]).then((r) => r.text()); await fetch('http://refused.test/').catch(() => {}); console.log('done')"
    with serve(f"--allow-net={origin.http}") as server:
        answer = server.run({"code": code, "arguments": [f"http://{origin.http}/ok"]}, EVENTS)
        events = [data for name, data in answer.events if name == "network"]
        assert [(e["event"], e["request"]) for e in events] == [("decision", 1), ("end", 1), ("decision", 2), ("end", 2)]
        assert [e.get("decision") for e in events] == ["allow", None, "deny", None]
        assert events[0]["run"] == answer.events[0][1]["id"]
        assert (events[1]["status"], events[1]["bytesIn"]) == (200, 4)
        assert events[3]["error"]["code"] == "ERR_NETWORK_DENIED"


def test_a_run_that_nobody_waits_for(server):
    answer = server.run({"code": "__return(1)", "wait": False})
    assert answer.status == 202
    place = answer.headers["location"]
    assert place == "/v1/runs/" + answer.json["id"]
    until(lambda: server.ask("GET", place).json["state"] == "ended", "it does not end")
    run = server.ask("GET", place).json
    assert run["outcome"]["value"] == 1
    assert {"id": run["id"], "state": "ended"} in server.ask("GET", "/v1/runs").json["runs"]
    assert server.ask("DELETE", place).status == 204


def test_health_readiness_and_doctor(server):
    assert server.ask("GET", "/v1/health").json == {"status": "ok"}
    assert server.ask("GET", "/v1/ready").json == {"status": "ready", "running": 0, "waiting": 0}
    report = server.ask("GET", "/v1/doctor").json
    assert "seccomp" in report["parts"]["worker"]["on"]


def test_each_run_ends_in_its_outcome(server):
    cases = {"process.exit(7)": ("failed", 7), "throw new Error('x')": ("failed", 1), "while (true) {}": ("timed_out", 124),
             "const a = []; while (true) a.push(new Array(1e5).fill(1.5))": ("out_of_memory", 137), "nope(": ("failed", 1)}  # fmt: skip
    for code, expected in cases.items():
        outcome = server.outcome({"code": code, "limits": {"wall": "700ms", "memory": "32MiB"}})
        if "Array" in code and outcome["outcome"] == "timed_out":  # a slow machine
            continue
        assert (outcome["outcome"], outcome["exitCode"]) == expected, code
    assert server.outcome({"code": "__return(1)"})["value"] == 1


def test_a_policy_narrows_and_never_widens(serve, origin):
    fetching = "try { __return((await fetch(process.argv[2])).status) } catch (e) { __return(e.cause.code) }"
    url = f"http://{origin.http}/ok"
    with serve(f"--allow-net={origin.http}", "--timeout=5s") as server:

        def fetched(**more):
            return server.outcome({"code": fetching, "arguments": [url], **more})["value"]

        allow = {"permission": "allow", "rules": [{"allow": f"http://{origin.http}"}]}
        assert fetched() == 200
        assert fetched(policy={"network": allow}) == 200
        assert fetched(policy={"network": {**allow, "rules": [{"allow": f"http://{origin.http}/other"}]}}) == "ERR_NETWORK_DENIED"
        assert fetched(policy={"network": {**allow, "adapter": "none"}}) == "ERR_NO_NETWORK_ADAPTER"
        assert fetched(policy={}) == "ERR_NETWORK_DENIED"
        assert fetched(policy="version: 1\nnetwork: {permission: deny}") == "ERR_NETWORK_DENIED"
        assert fetched(limits={"wall": "4s"}) == 200
        for policy, said in (({"network": {"permission": "allow", "rules": [{"allow": "*"}]}}, 'the rule "*" allows more'),
                             ({"limits": {"wall": "6s"}}, "wall goes beyond"), ({"mounts": [{"host": "/etc", "guest": "/etc"}]}, "mounts can only"),
                             ({"secrets": {"A": {"env": "HOME"}}}, "secrets can only")):  # fmt: skip
            answer = server.run({"code": "1", "policy": policy})
            assert (answer.status, answer.json["code"]) == (403, "policy_exceeds_server")
            assert said in answer.json["detail"]


def test_runs_share_a_broker_and_not_their_limits(serve, origin):
    """One run has used up its requests; the next has its own."""
    code = "const s = []; for (let i = 0; i < 3; i++) s.push((await fetch(process.argv[2]).catch((e) => ({ status: e.cause.code }))).status); __return(s)"
    policy = {"network": {"permission": "allow", "rules": [{"allow": origin.http}], "limits": {"requests": 2}}}
    with serve(f"--allow-net={origin.http}") as server:
        for _ in range(3):
            outcome = server.outcome({"code": code, "arguments": [f"http://{origin.http}/ok"], "policy": policy})
            assert outcome["value"] == [200, 200, "ERR_LIMIT"]
            assert outcome["usage"]["requests"] == 3


def test_mounts_of_the_server_are_read(serve, tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "m.mjs").write_text("export const m = 3")
    with serve(f"--mount={tmp_path}/shared:/shared") as server:
        assert server.outcome({"code": "import { m } from '/shared/m.mjs'; __return(m)"})["value"] == 3


# ---- who asks


def test_tcp_takes_a_token(serve, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text("# who may\nalice aaaaaaaaaaaaaaaaaaaa\nbob bbbbbbbbbbbbbbbbbbbb  # too\n")
    with serve("--listen=0", f"--token-file={tokens}") as server:
        assert server.ask("GET", "/v1/health", tcp=True).status == 200
        for field in (None, "Bearer", "Bearer nonsense", "Basic aaaaaaaaaaaaaaaaaaaa", "Bearer aaaaaaaaaaaaaaaaaaaab"):
            answer = server.run({"code": "1"}, {"authorization": field} if field else {}, tcp=True)
            assert (answer.status, answer.json["code"], answer.headers["www-authenticate"]) == (401, "unauthorized", "Bearer")
        alice, bob = ({"authorization": "Bearer " + c * 20} for c in "ab")
        assert server.run({"code": "__return(1)"}, alice, tcp=True).json["value"] == 1
        place = server.run({"code": "1", "wait": False}, alice, tcp=True).headers["location"]
        assert server.ask("GET", place, headers=alice, tcp=True).status == 200
        for method in ("GET", "DELETE"):  # another's is as if it were not there
            answer = server.ask(method, place, headers=bob, tcp=True)
            assert (answer.status, answer.json["code"]) == (404, "no_such_run")
        assert server.ask("GET", "/v1/runs", headers=bob, tcp=True).json == {"runs": []}


def test_callers_share_no_zygote(serve, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text("alice aaaaaaaaaaaaaaaaaaaa\nbob bbbbbbbbbbbbbbbbbbbb\n")
    with serve("--listen=0", f"--token-file={tokens}") as server:
        launchers = len(children(server.process.pid))
        for c in "ab":
            assert server.run({"code": "__return(1)"}, {"authorization": "Bearer " + c * 20}, tcp=True).status == 200
        assert len(children(server.process.pid)) == launchers + 2


def children(pid):
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.skipif(os.geteuid() != 0, reason="it takes two users")
def test_directories_are_taken_from_the_server_s_user_only(server, tmp_path):
    """Or the files broker would read with the server's rights what its caller cannot."""
    os.chmod(server.socket, 0o666)
    for directory in (tmp_path, *tmp_path.parents):
        if not directory.stat().st_mode & 1:
            os.chmod(directory, 0o711)
    body = json.dumps({"code": "1", "mounts": ["/x"]}).encode()
    request = b"POST /v1/runs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    script = """if True:
        import array, os, socket, sys
        s = socket.socket(socket.AF_UNIX)
        s.connect(sys.argv[1])
        directory = array.array("i", [os.open("/etc", os.O_PATH)])
        s.sendmsg([sys.stdin.buffer.read()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, directory)])
        for piece in iter(lambda: s.recv(65536), b""):
            sys.stdout.buffer.write(piece)
    """

    def ask_as(uid):
        done = subprocess.run([sys.executable, "-c", script, server.socket], input=request, capture_output=True, user=uid, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert b'"not_your_server"' in ask_as(65534)
    assert b'"outcome":"succeeded"' in ask_as(0)


# ---- too much, too slow, too bad


def test_overload_is_answered_at_once(serve):
    with serve("--runs=1", "--queue=1", "--queue-timeout=30s") as server, concurrent.futures.ThreadPoolExecutor() as pool:
        running = server.run({**FOREVER, "wait": False}).headers["location"]
        waiting = pool.submit(server.run, {"code": "__return(2)"})
        until(lambda: server.ask("GET", "/v1/ready").json["waiting"] == 1, "it does not wait")
        refused = server.run({"code": "3"})
        assert (refused.status, refused.json["code"], refused.headers["retry-after"]) == (429, "too_many_runs", "1")
        server.ask("DELETE", running)
        assert waiting.result().json["value"] == 2


def test_who_waits_too_long_is_told(serve):
    with serve("--runs=1", "--queue-timeout=100ms") as server:
        running = server.run({**FOREVER, "wait": False}).headers["location"]
        late = server.run({"code": "1"})
        assert (late.status, late.json["code"]) == (503, "queue_timeout")
        streamed = server.run({"code": "1"}, EVENTS)
        assert [name for name, _ in streamed.events] == ["run", "outcome"]
        assert streamed.events[-1][1]["outcome"] == "refused"
        assert server.ask("GET", running).json["state"] == "running"
        server.ask("DELETE", running)


BAD = {
    "no JSON": (b"{", {}, 400, "bad_request"),
    "a list": (b"[]", {}, 400, "bad_request"),
    "nothing": (b"", {}, 400, "bad_request"),
    "unknown field": (b'{"code": "1", "cdoe": "2"}', {}, 400, "bad_request"),
    "deep": (b'{"env": ' + b"[" * 100_000, {}, 400, "bad_request"),
    "no UTF-8": (b'{"code": "\xff"}', {}, 400, "bad_request"),
    "a wrong type": (b'{"code": {}}', {}, 400, "bad_request"),
    "a relative cwd": (b'{"code": "1", "cwd": "d"}', {}, 400, "bad_request"),
    "a form": (b"code=1", {"content-type": "application/x-www-form-urlencoded"}, 415, "not_json"),
    "a bad policy": (b'{"code": "1", "policy": "version: 2"}', {}, 400, "bad_policy"),
    "mounts without descriptors": (b'{"code": "1", "mounts": ["/etc"]}', {}, 400, "bad_request"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_bodies(server, name):
    body, fields, status, code = BAD[name]
    answer = server.ask("POST", "/v1/runs", body, {"content-type": "application/json", **fields})
    assert (answer.status, answer.json["code"]) == (status, code)
    assert server.outcome({"code": "__return(1)"})["value"] == 1


@pytest.mark.parametrize("method,path,status", [("GET", "/", 404), ("GET", "/v1/runs/x", 404), ("PUT", "/v1/runs", 405), ("POST", "/v1/health", 405),
                                                ("POST", "/v1/runs/x", 405), ("GET", "/v1/" + "x" * 5000, 404), ("GET", "/v1/" + "x" * 20_000, 431)])  # fmt: skip
def test_bad_places(server, method, path, status):
    assert server.ask(method, path).status == status


def raw(server, data, half_close=False):
    """What a server answers to these bytes, up to its end."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(server.socket)
        s.sendall(data)
        if half_close:
            s.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: s.recv(65536), b""))


@pytest.mark.parametrize("data,status", [
    (b"nonsense\r\n\r\n", b"400"),
    (b"\x16\x03\x01\x02\x00\x01", b"400"),  # TLS
    (b"GET /v1/hea", None),
    (b"GET /v1/health HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
    (b"POST /v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
    (b"POST /v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"400"),
    (b"POST /v1/runs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
    (b"GET /v1/health HTTP/1.1\r\nX: " + b"y" * 20_000 + b"\r\n\r\n", b"431"),
])
def test_what_is_no_request(server, data, status):
    answer = raw(server, data, half_close=status is None)
    assert answer == b"" if status is None else answer.startswith(b"HTTP/1.1 " + status), answer[:200]
    assert server.ask("GET", "/v1/health").status == 200


@pytest.mark.parametrize("second, status", [(b"NONSENSE\r\n\r\n", b"400"), (b"GET /v1/health HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", b"400"), (b"GET /v1/hea", b"408")])
def test_what_is_no_request_on_a_kept_connection(serve, second, status):
    """The answer before it says nothing of it."""
    with serve("--request-timeout=300ms") as server, socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(server.socket)
        s.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert s.recv(65536).startswith(b"HTTP/1.1 200 ")
        s.sendall(second)
        assert s.recv(65536).startswith(b"HTTP/1.1 " + status)


def test_a_slow_client_is_told_and_holds_up_nobody(serve):
    with serve("--request-timeout=300ms") as server:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(server.socket)
            s.sendall(b"POST /v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            assert server.outcome({"code": "__return(1)"})["value"] == 1
            assert s.recv(65536).startswith(b"HTTP/1.1 408 ")


def test_what_all_clients_send_together_is_bounded(server):
    """Each sends most of a body; of these the server holds only so many."""
    head = b"POST /v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (30 << 20)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(12)]
        for s in clients:
            s.settimeout(20)
            s.connect(server.socket)
            with contextlib.suppress(OSError):  # it may be refused meanwhile
                s.sendall(head + b" " * (28 << 20))
        refused = select.select(clients, [], [], 20)[0]
        assert {s.recv(65536)[:13] for s in refused} == {b"HTTP/1.1 503 "}
        assert int(pathlib.Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * 4096 < 700 << 20
    assert server.outcome({"code": "__return(1)"})["value"] == 1


def test_connections_are_bounded(server):
    with contextlib.ExitStack() as stack:
        idle = []
        for _ in range(256):
            idle.append(stack.enter_context(socket.socket(socket.AF_UNIX)))
            idle[-1].connect(server.socket)
        assert raw(server, b"GET /v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200")
        idle[0].settimeout(20)
        assert idle[0].recv(1) == b""  # the first to come made room
    until(lambda: raw(server, b"GET /v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200"), "they are not let go")


def test_requests_one_after_the_other_on_one_connection(server):
    with server.connection() as c:
        for i in range(3):
            assert ask(c, "POST", "/v1/runs", {"code": f"__return({i})"}).json["value"] == i
        assert ask(c, "POST", "/v1/runs", b"{").status == 400
        assert ask(c, "GET", "/v1/health").status == 200
    both = raw(server, b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert both.count(b'{"status":"ok"}') == 2
    body = b'{"code": "__return(1)"}'
    expecting = raw(server, b"POST /v1/runs HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert b'"value":1' in expecting


def test_a_client_that_goes_away_takes_its_run_with_it(server):
    for accept in ({}, EVENTS):
        c = UnixHTTP(server.socket)
        c.request("POST", "/v1/runs", json.dumps(FOREVER), {"content-type": "application/json", **accept})
        until(lambda: server.ask("GET", "/v1/ready").json["running"] == 1, "it does not run")
        c.close()
        until(lambda: server.ask("GET", "/v1/ready").json["running"] == 0, "it runs on")


def test_a_client_that_reads_nothing_stops_its_guest_and_nobody_else(server):
    c = UnixHTTP(server.socket)
    c.request("POST", "/v1/runs", json.dumps({"code": "for (;;) console.log('x'.repeat(1000))"}), {"content-type": "application/json", **EVENTS})
    memory = []
    for _ in range(20):
        assert server.outcome({"code": "__return(1)"})["value"] == 1
        memory.append(int(pathlib.Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * 4096)
    assert max(memory) < 200 << 20
    c.close()
    until(lambda: server.ask("GET", "/v1/ready").json["running"] == 0, "it runs on")


# ---- many


def test_many_runs_leave_nothing(server):
    def state():
        return len(os.listdir(f"/proc/{server.process.pid}/fd")), len(children(server.process.pid))

    def one(i):
        if i % 10 == 3:
            return server.outcome({"code": "while (true) {}", "limits": {"wall": "50ms"}})["outcome"] == "timed_out"
        if i % 10 == 7:
            return server.outcome({"code": "import './nowhere.mjs'"})["outcome"] == "failed"
        return server.outcome({"code": f"__return({i})"})["value"] == i

    assert one(0)
    until(lambda: server.ask("GET", "/v1/ready").json["running"] == 0, "it runs on")
    before = state()
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert all(pool.map(one, range(300)))
    # A spare may have been in the making, or a connection closing, when it was counted.
    until(lambda: state()[0] <= before[0] + 15 and state()[1] <= before[1], f"{state()} is more than {before}")


# ---- starting, stopping, ending


@pytest.mark.parametrize("options,said", [
    ((), "nothing to listen at"),
    (("--listen=0",), "a TCP socket needs tokens"),
    (("--listen=nowhere:1", "--token-file=TOKENS"), "is no address to listen at"),
    (("--listen=0", "--token-file=/nowhere"), "cannot read the tokens in /nowhere"),
    (("--listen=0", "--token-file=SHORT"), "a token has at least 16 characters"),
    (("--listen=0", "--token-file=EMPTY"), "has no token"),
    (("--socket=TOKENS",), "is there already, and is no socket"),
    (("--socket=/nowhere/s",), "cannot listen at /nowhere/s"),
    (("--socket=/" + "x" * 200,), "a socket's path has 1 to 107 bytes"),
    (("--socket=OK", "--spares=0"), "--spares"),
    (("--socket=OK", "--queue-timeout=soon"), "is no duration"),
    (("--socket=OK", "--policy=/nowhere"), "cannot read"),
])  # fmt: skip
def test_bad_flags(tmp_path, options, said):
    (tmp_path / "TOKENS").write_text("a" * 20)
    (tmp_path / "SHORT").write_text("a")
    (tmp_path / "EMPTY").write_text("# none\n")
    done = subprocess.run([POSTERN, "serve", *options], capture_output=True, text=True, timeout=30, cwd=tmp_path)
    assert done.returncode in (2, 3, 125) and said in done.stderr
    assert done.stderr.count("\n") == 1
    assert our_processes() == []


def test_a_port_that_is_taken(tmp_path):
    (tmp_path / "tokens").write_text("a" * 20)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        done = subprocess.run([POSTERN, "serve", f"--listen={s.getsockname()[1]}", f"--token-file={tmp_path}/tokens"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 125 and "Address already in use" in done.stderr


def test_a_second_server_on_one_socket(server):
    done = subprocess.run([POSTERN, "serve", f"--socket={server.socket}"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 125 and "a server listens at" in done.stderr
    assert server.outcome({"code": "__return(1)"})["value"] == 1


def test_stopping_lets_runs_end(server):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(server.run, {"code": "await new Promise((r) => setTimeout(r, 500)); __return('done')"})
        until(lambda: server.ask("GET", "/v1/ready").json["running"] == 1, "it does not run")
        with server.connection() as c:
            assert ask(c, "GET", "/v1/health").status == 200  # a connection that is kept
            server.process.send_signal(signal.SIGTERM)
            server.await_state("STOPPING=1")
            with pytest.raises(OSError):
                server.ask("GET", "/v1/health")
        assert waiting.result().json["value"] == "done"
    assert server.process.wait(10) == 0
    assert not os.path.exists(server.socket)


@pytest.mark.parametrize("signals", [2, 1])
def test_what_does_not_end_is_ended(serve, signals):
    """By a second signal, or when the drain has taken too long."""
    with serve("--drain-timeout=300ms" if signals == 1 else "--drain-timeout=60s") as server, concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(server.run, FOREVER)
        until(lambda: server.ask("GET", "/v1/ready").json["running"] == 1, "it does not run")
        server.process.send_signal(signal.SIGTERM)
        server.await_state("STOPPING=1")
        if signals == 2:
            server.process.send_signal(signal.SIGTERM)
        assert waiting.result().json["outcome"] == "killed"
        assert server.process.wait(10) == 0


def test_a_server_that_is_killed_leaves_nothing_and_is_replaced(serve, tmp_path):
    with serve() as server:
        c = UnixHTTP(server.socket)
        c.request("POST", "/v1/runs", json.dumps(FOREVER), {"content-type": "application/json"})
        client = subprocess.Popen([POSTERN, "run", f"--server=unix:{server.socket}", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)  # fmt: skip
        client.stdin.write(FOREVER["code"])
        client.stdin.close()
        assert client.stdout.readline() == "up\n"
        server.process.kill()
        server.process.wait()
        with pytest.raises((ConnectionError, OSError)):
            c.getresponse().read()
        assert client.wait(10) == 125
        assert client.stderr.read() == "postern: the server was lost: it hung up\n"
        until(lambda: our_processes() == [], "something is left")
        with Server(tmp_path) as next_one:  # the socket's file is still there
            assert next_one.outcome({"code": "__return(1)"})["value"] == 1


def test_a_reload_is_for_new_runs(serve, tmp_path, origin):
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nnetwork: {permission: deny}\n")
    fetching = {"code": "try { __return((await fetch(process.argv[2])).status) } catch (e) { __return(e.cause.code) }", "arguments": [f"http://{origin.http}/ok"]}
    with serve(f"--policy={policy}") as server:
        assert server.outcome(fetching)["value"] == "ERR_NETWORK_DENIED"
        policy.write_text(f"version: 1\nnetwork: {{permission: allow, rules: [{{allow: \"{origin.http}\"}}]}}\n")
        server.process.send_signal(signal.SIGHUP)
        assert any(line.startswith("MONOTONIC_USEC=") for line in server.await_state("RELOADING=1"))
        server.await_state("READY=1")
        assert server.outcome(fetching)["value"] == 200
        policy.write_text("version: 7\n")
        server.process.send_signal(signal.SIGHUP)
        server.await_state("READY=1")
        assert server.outcome(fetching)["value"] == 200
    assert "the old policy stays in force" in server.log


def test_the_watchdog_is_fed(serve):
    with serve(env={"WATCHDOG_USEC": "200000"}) as server:
        for _ in range(3):
            server.await_state("WATCHDOG=1")


def test_a_required_layer_that_is_not_there(tmp_path):
    done = subprocess.run([POSTERN, "serve", f"--socket={tmp_path}/s", "--require=memory-cgroup"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 125 and '"memory-cgroup" that --require names is not available' in done.stderr


def test_sockets_that_the_manager_opened(tmp_path):
    """As sd_listen_fds(3) has it: LISTEN_PID is the server's own, so it is set between fork and exec."""
    path = str(tmp_path / "given.sock")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        become = """if True:
            import os, sys
            os.dup2(int(sys.argv[1]), 3)
            os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
            os.execv(sys.argv[2], [sys.argv[2], "serve"])
        """
        process = subprocess.Popen([sys.executable, "-c", become, str(listening.fileno()), POSTERN], pass_fds=[listening.fileno()],
                                   stderr=subprocess.PIPE, text=True)  # fmt: skip
    try:
        c = UnixHTTP(path)
        assert ask(c, "POST", "/v1/runs", {"code": "__return(1)"}).json["value"] == 1
        c.close()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, process.stderr.read()
        process.stderr.close()
    assert os.path.exists(path)  # it is the manager's


# ---- the thin client

PROGRAMS = {
    "output": "console.log('out'); console.error('err')",
    "exit": "process.exit(9)",
    "throw": "function f() { throw new TypeError('bad') }\nf()",
    "syntax": "let = 1;",
    "rejection": "Promise.reject(new Error('unhandled'))",
    "import": "import { x } from './x.mjs'; console.log(x, process.argv.length, process.cwd().length > 1, import.meta.url.slice(-8))",
    "missing": "import './nowhere.mjs'",
    "denied": "await fetch('https://a.test/')",
    "much": "console.log('€'.repeat(100_000))",
    "timeout": "console.log('before'); while (true) {}",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_client_does_as_a_run_without_a_server(server, tmp_path, name):
    (tmp_path / "job.mjs").write_text(PROGRAMS[name])
    (tmp_path / "x.mjs").write_text("export const x = 'imported';")

    def run(**env):
        done = subprocess.run([POSTERN, "run", "--timeout=800ms", tmp_path / "job.mjs", "a"], capture_output=True, timeout=30, env={**os.environ, **env})
        return done.returncode, done.stdout, done.stderr

    assert run(POSTERN_SERVER=f"unix:{server.socket}") == run()


def test_the_client_s_other_forms(server, tmp_path):
    def client(*words, **more):
        return subprocess.run([POSTERN, *words[:1], f"--server=unix:{server.socket}", *words[1:]], capture_output=True, text=True, timeout=30, **more)

    assert client("eval", "6 * 7").stdout == "42\n"
    assert client("run", "-", input="console.log(process.env.A)", env={**os.environ}).stdout == "undefined\n"
    assert client("eval", "--env=A=b", "process.env.A").stdout == "b\n"
    outcome = json.loads(client("eval", "--json", "6 * 7").stdout)
    assert (outcome["value"], outcome["outcome"]) == (42, "succeeded")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "d.mjs").write_text("export default 5")
    assert client("eval", f"--mount={tmp_path}/data:/d", "console.log((await import('/d/d.mjs')).default)").stdout == "5\n"
    wider = client("eval", "--allow-net=a.test", "1")
    assert wider.returncode == 3 and 'the rule "a.test" allows more than the server\'s policy does' in wider.stderr
    for flag in ("--record=x.har", "--audit-log=x", "--adapter=proxy:http://127.0.0.1:1", "--network-report", "--verbose", "--jitless", "--debug-seccomp", "--require=seccomp"):
        assert client("eval", flag, "1").returncode == 2, flag


def test_the_client_over_tcp(serve, tmp_path):
    (tmp_path / "tokens").write_text("a" * 20)
    with serve("--listen=0", f"--token-file={tmp_path}/tokens") as server:
        words = [POSTERN, "eval", f"--server=http://{server.address()}", "1 + 1"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, env={**os.environ, "POSTERN_TOKEN": "a" * 20})
        assert (done.stdout, done.returncode) == ("2\n", 0), done.stderr
        done = subprocess.run(words, capture_output=True, text=True, timeout=30)
        assert done.returncode == 125 and "Authorization: Bearer TOKEN" in done.stderr
        (tmp_path / "beside.mjs").write_text("")
        (tmp_path / "m.mjs").write_text("import './beside.mjs'; console.log('here')")
        done = subprocess.run([POSTERN, "run", f"--server=http://{server.address()}", tmp_path / "m.mjs"], capture_output=True, text=True, timeout=30, env={**os.environ, "POSTERN_TOKEN": "a" * 20})
        assert done.returncode == 1 and "postern: over TCP the program's file alone goes to the server, and nothing that it imports: bundle it into one file\n" in done.stderr, done.stderr


@pytest.mark.parametrize("server_name,said", [("unix:/nowhere", "no server answers at /nowhere"), ("nonsense", "write unix:PATH or http://IP:PORT"),
                                              ("http://127.0.0.1:1", "no server answers at 127.0.0.1:1"), ("http://name:1", "is no IP address and port")])  # fmt: skip
def test_a_server_that_is_not_there(server_name, said):
    done = subprocess.run([POSTERN, "eval", f"--server={server_name}", "1"], capture_output=True, text=True, timeout=30)
    assert done.returncode == (125 if "answers" in said else 2) and said in done.stderr


def test_a_server_replays_a_recording(serve, origin, postern, tmp_path):
    """Found by reading: a server's broker had no recording to answer from."""
    har = tmp_path / "run.har"
    code = f"__return(await (await fetch('http://{origin.http}/ok')).text())"
    postern(code, f"--allow-net={origin.http}", f"--record={har}")
    with serve(f"--allow-net={origin.http}", f"--adapter=replay:{har}") as s:
        accepted = origin.accepted
        for _ in range(2):
            assert s.outcome({"code": code})["value"] == "fine"
        assert origin.accepted == accepted
