"""Who uses up what there is of something: connections, bytes, descriptors, processes. Others go on."""

import concurrent.futures
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest
from conftest import POSTERN, RELEASE, our_processes, unless_sanitized
from server import Server, until
from test_handler import Handler, read_all

pytestmark = unless_sanitized  # they measure memory and time

TOKEN, OTHERS = "a-token-of-twenty-bytes", "a-token-of-somebody-else"
HEALTH = b"GET /v1/health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


@pytest.fixture
def serve(tmp_path):
    @contextlib.contextmanager
    def start(*options, kind=Server, **more):
        (tmp_path / "tokens").write_text(f"a {TOKEN}\nb {OTHERS}\n")
        with kind(tmp_path, *options, **more) as server:
            yield server
        until(lambda: our_processes() == [], "processes stay")  # those of a wrapper end after it

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


def run_request(token, body=b'{"code": "__return(7)"}'):
    return (b"POST /v1/runs HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n" % (token.encode(), len(body)) + body)  # fmt: skip


def run_with_token(tcp):
    return talk(tcp, run_request(TOKEN))


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


def test_idle_connections_with_a_token_make_room_too(doors):
    server, tcp, _ = doors
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            s = stack.enter_context(to(tcp))
            s.sendall(b"GET /v1/runs HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n\r\n" % TOKEN.encode())
            assert b" 200 " in s.recv(65536)
        assert b'"value":7' in run_with_token(tcp)


@pytest.mark.parametrize("others", ["half", "waiting"])
def test_one_caller_s_connections_shut_out_nobody(serve, tmp_path, others):
    """Half a body each, or a run that another waits for: the caller with most makes room, and no other."""
    request = run_request(OTHERS, b'{"code": "await new Promise(() => {})"}' if others == "waiting" else b'{"code": "1"}')
    with serve("--listen=0", f"--token-file={tmp_path}/tokens", "--runs=2", "--queue=1000", "--queue-timeout=60s") as server, contextlib.ExitStack() as stack:
        tcp = server.address()
        own = [stack.enter_context(to(tcp)) for _ in range(20)]
        for s in own:
            s.sendall(run_request(TOKEN)[:-1])
        for _ in range(600):
            s = stack.enter_context(to(tcp))
            with contextlib.suppress(OSError):
                s.sendall(request if others == "waiting" else request[:-1])
        for _ in range(5):
            health = talk(tcp, b"GET /v1/runs HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\n" % TOKEN.encode())
            assert b" 200 " in health, health
        if others == "half":
            for s in own:
                s.sendall(b"}")
            assert all(b'"value":7' in read_all(s) for s in own)
        else:
            for s in own:  # they are there, and are read
                s.sendall(b"x")
            assert all(b" 400 " in read_all(s) for s in own)
        server.process.kill()


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


def test_runs_that_wait_hold_no_more_than_their_bytes(serve):
    """Nobody waits for them over a connection: their bodies were taken."""
    body = json.dumps({"code": "//" + "x" * (30 << 20), "wait": False}).encode()
    with serve("--runs=1", "--queue=64") as server:
        server.run({"code": "while (true) {}", "wait": False})
        statuses = [server.run(body, {"content-type": "application/json"}).status for _ in range(14)]
        assert set(statuses) == {202, 429} and 6 <= statuses.count(202) <= 9
        with open(f"/proc/{server.process.pid}/statm") as file:
            assert int(file.read().split()[1]) * 4096 < 700 << 20
        for run in server.ask("GET", "/v1/runs").json["runs"]:
            server.ask("DELETE", f"/v1/runs/{run['id']}")


def end_run(tcp, token, run):
    got = talk(tcp, b"DELETE /v1/runs/%s HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\n" % (run.encode(), token.encode()))
    assert b" 204 " in got, got


def test_runs_of_one_caller_that_wait_shut_out_nobody(serve, tmp_path):
    endless = b'{"code": "await new Promise(() => setInterval(() => {}, 1000))", "wait": %s}'
    with serve("--listen=0", f"--token-file={tmp_path}/tokens", "--runs=1", "--queue=4") as server:
        tcp = server.address()
        first, *_ = [json.loads(talk(tcp, run_request(OTHERS, endless % b"false")).split(b"\r\n\r\n")[1])["id"] for _ in range(4)]
        with to(tcp) as newest, to(tcp) as other:
            newest.sendall(run_request(OTHERS, endless % b"true"))
            until(lambda: json.loads(talk(server.socket, HEALTH.replace(b"health", b"ready")).split(b"\r\n\r\n")[1])["waiting"] == 4, "the queue is not full")
            assert b" 429 " in talk(tcp, run_request(OTHERS, endless % b"false"))
            other.sendall(run_request(TOKEN))
            got = read_all(newest)
            assert got.startswith(b"HTTP/1.1 429 ") and b"another caller" in got, got
            end_run(tcp, OTHERS, first)
            assert b'"value":7' in read_all(other)
        server.process.kill()


def test_bytes_of_one_caller_s_runs_that_wait_shut_out_nobody(serve, tmp_path):
    large = b'{"code": "//' + b"x" * (30 << 20) + b'", "wait": false}'
    with serve("--listen=0", f"--token-file={tmp_path}/tokens", "--runs=1", "--queue=64") as server:
        tcp = server.address()
        begun = talk(tcp, run_request(OTHERS, b'{"code": "while (true) {}", "wait": false}'))
        first = json.loads(begun.split(b"\r\n\r\n")[1])["id"]
        runs_of_others = b"GET /v1/runs HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\n" % OTHERS.encode()
        while b" 202 " in talk(tcp, run_request(OTHERS, large)):
            pass
        with to(tcp) as s:
            s.sendall(run_request(TOKEN, b'{"code": "//' + b"x" * (20 << 20) + b'\\n__return(7)"}'))
            until(lambda: b"another caller" in talk(tcp, b"GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") or True, "")
            until(lambda: b'"ended"' in talk(tcp, runs_of_others), "no run of the other made room")
            end_run(tcp, OTHERS, first)
            assert b'"value":7' in read_all(s)


def test_runs_that_never_began_leave_nothing(serve):
    """They can be asked for long after: what came with them is not kept until then."""
    body = json.dumps({"code": "//" + "x" * (30 << 20), "wait": False}).encode()
    with serve("--runs=1", "--queue=64") as server:
        server.run({"code": "while (true) {}", "wait": False})
        for _ in range(12):
            place = server.run(body, {"content-type": "application/json"}).headers["location"]
            assert server.ask("DELETE", place).status == 204
            assert server.ask("GET", place).json["outcome"]["outcome"] == "killed"
        with open(f"/proc/{server.process.pid}/statm") as file:
            assert int(file.read().split()[1]) * 4096 < 250 << 20
        for run in server.ask("GET", "/v1/runs").json["runs"]:
            server.ask("DELETE", f"/v1/runs/{run['id']}")


def test_bytes_of_local_bodies_are_not_those_of_other_doors(doors):
    server, tcp, _ = doors
    head = b"POST /v1/runs HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (31 << 20)
    with contextlib.ExitStack() as stack:
        for _ in range(9):
            s = stack.enter_context(to(server.socket))
            with contextlib.suppress(OSError):
                s.sendall(head + b" " * (30 << 20))
        assert b'"value":7' in run_with_token(tcp)


# ---- places at a handler's guests

SLOW = {
    "length": (b"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n", b"a"),
    "chunks": (b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
    "answer": (b"GET /download?pieces=100000 HTTP/1.1\r\nHost: h\r\n\r\n", b""),
}


class SlowClient(threading.Thread):
    """Moves a byte now and then, and comes again as soon as it is cut off."""

    def __init__(self, address, kind, stop):
        super().__init__(daemon=True)
        self.address, self.stop, self.told = address, stop, []
        self.request, self.piece = SLOW[kind]
        self.begun = threading.Event()

    def run(self):
        while not self.stop.is_set():
            with contextlib.suppress(OSError), socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                host, port = self.address.rsplit(":", 1)
                s.connect((host, int(port)))
                s.sendall(self.request + self.piece)
                self.begun.set()
                self.move(s)

    def move(self, s):
        s.setblocking(False)
        while not self.stop.wait(0.3):
            if self.piece:
                s.send(self.piece)
            with contextlib.suppress(BlockingIOError):
                got = s.recv(100)
                if self.piece:
                    self.told.append(got[:12])
                if self.piece or not got:
                    return


@pytest.mark.parametrize("kind", SLOW)
def test_slow_clients_keep_no_places_that_others_wait_for(serve, kind):
    with serve("--guests=1", "--concurrency=4", kind=Handler) as h:
        stop = threading.Event()
        clients = [SlowClient(h.address(), kind, stop) for _ in range(8)]
        for c in clients:
            c.start()
        assert all(c.begun.wait(30) for c in clients)
        assert [h.get("/hello", timeout=15).status for _ in range(4)] == [200] * 4
        stop.set()
        for c in clients:
            c.join()
        told = {word for c in clients for word in c.told}
        assert told == (set() if kind == "answer" else {b"HTTP/1.1 408"})


def test_a_slow_client_is_served_where_nobody_waits(serve):
    with serve("--guests=1", "--concurrency=2", kind=Handler) as h, to(h.address()) as s:
        s.sendall(b"POST /upload HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 10\r\n\r\nhalf")
        end = time.monotonic() + 2  # longer than the grace that it has where others wait
        while time.monotonic() < end:
            assert h.get("/hello").status == 200
        s.sendall(b"and so")
        assert read_all(s).endswith(b"\r\n\r\n10")


def test_a_request_whose_client_went_away_does_not_wait(serve):
    with serve("--guests=1", "--concurrency=1", "--queue=2", "--admin-listen=0", kind=Handler) as h, to(h.address()) as busy:
        handler, admin = addresses(h)
        waiting = lambda: int(re.search(rb'handler_requests{state="waiting"} (\d+)', talk(admin, HEALTH.replace(b"v1/health", b"metrics")))[1])  # noqa: E731
        busy.sendall(b"GET /forever HTTP/1.1\r\nHost: h\r\n\r\n")
        with to(handler) as a, to(handler) as b:
            for s in (a, b):
                s.sendall(b"GET /hello HTTP/1.1\r\nHost: h\r\n\r\n")
            until(lambda: waiting() == 2, "they do not wait")
        until(lambda: waiting() == 0, "they wait still")


# ---- descriptors and processes


def limited(soft, hard=None):
    return ("prlimit", f"--nofile={soft}:{hard or soft}", "--")


def runs_at_once(server, count, code="await new Promise((done) => setTimeout(done, 300)); __return(1)"):
    """How `count` runs side by side end."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        answers = pool.map(lambda _: server.run({"code": code}, timeout=60), range(count))
        return [a.json.get("outcome", a.status) for a in answers]


def test_the_soft_limit_is_raised_and_what_is_granted_is_said(serve):
    with serve(wrapper=limited(300, 5_000)) as server:
        with open(f"/proc/{server.process.pid}/limits") as file:
            assert re.search(r"Max open files +5000 +5000", file.read())
        assert re.search(r"of 5000 descriptors: \d+ runs at a time, 256 connections at each door", server.said())
        assert runs_at_once(server, 10) == ["succeeded"] * 10


def test_too_few_descriptors_are_refused_with_a_sentence(tmp_path):
    done = subprocess.run([*limited(80), POSTERN, "serve", f"--socket={tmp_path}/s"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 125 and "needs more descriptors than the 80" in done.stderr, done


@pytest.mark.parametrize("limit", [200, 400, 1024])
def test_more_runs_than_there_are_descriptors_for_wait_and_succeed(serve, limit):
    with serve("--runs=40", wrapper=limited(limit)) as server:
        clients = min(40, int(re.search(r"(\d+) connections at each door", server.said())[1]))
        assert runs_at_once(server, clients) == ["succeeded"] * clients
        assert "fewer than --runs=40" in server.said() or limit == 1024
        assert "malformed" not in server.said() and "lost" not in server.said()


@pytest.mark.parametrize("limit", [256, 1024])
def test_idle_connections_take_no_descriptors_from_guests(serve, limit):
    """Each request has a guest of its own: a spare comes for each while the connections stand."""
    with serve("--guest-requests=1", "--guests=4", kind=Handler, wrapper=limited(limit)) as handler:
        with contextlib.ExitStack() as stack:
            for _ in range(1_000):
                with contextlib.suppress(OSError):
                    stack.enter_context(to(handler.address()))
        # The door closed what was too much; as many as it takes stand now.
        with contextlib.ExitStack() as stack:
            most = int(re.search(r"(\d+) to the handler", handler.said())[1])
            for _ in range(most - 6):
                stack.enter_context(to(handler.address()))
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                answers = list(pool.map(lambda _: handler.get("/hello").status, range(40)))
        assert answers == [200] * 40
        assert "malformed" not in handler.said()


@pytest.fixture
def few_processes():
    """A cgroup that holds few processes, and a wrapper that puts a command into it."""
    own = next((line for line in open("/proc/self/cgroup") if ":pids:" in line or line.startswith("0::")), None)
    base = "/sys/fs/cgroup" + ("/pids" if own and ":pids:" in own else "") + (own.split(":", 2)[2].strip() if own else "")
    place = f"{base}/postern-test-{os.getpid()}"
    try:
        os.mkdir(place)
        with open(place + "/pids.max", "w") as file:
            file.write("24")
    except OSError as e:
        with contextlib.suppress(OSError):
            os.rmdir(place)
        pytest.skip(f"no cgroup with a limit on processes can be made here: {e}")
    yield ("sh", "-c", f'echo $$ >{place}/cgroup.procs && exec "$@"', "sh")
    until(lambda: not os.path.exists(place) or removed(place), "its processes stay")


def removed(directory):
    with contextlib.suppress(OSError):
        os.rmdir(directory)
        return True
    return False


def test_where_no_more_processes_may_be_the_guests_that_there_are_go_on(serve, few_processes):
    with serve("--runs=24", wrapper=few_processes) as server:
        assert runs_at_once(server, 24) == ["succeeded"] * 24
        assert runs_at_once(server, 24) == ["succeeded"] * 24
        assert len(zygotes(server)) == 1


def zygotes(server):
    """Pids of what the server has started as workers."""
    children = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(server.process.pid)], capture_output=True, text=True).stdout
    return [line.split()[0] for line in children.splitlines() if "--postern-worker" in line]


INJECT = str(RELEASE / "tests" / "faults" / "inject")


# What a zygote calls for a spare, and what that may fail with: one spare is lost by it, and no guest.
@unless_sanitized
@pytest.mark.parametrize("call,error", [("clone", "EAGAIN"), ("clone", "ENOMEM"), ("pipe2", "EMFILE"), ("pipe2", "ENFILE"), ("pidfd_open", "EMFILE"),
                                        ("pidfd_open", "ENOMEM"), ("sendmsg", "ETOOMANYREFS"), ("sendmsg", "ENOBUFS")])  # fmt: skip
@pytest.mark.parametrize("nth", [4, 20, 40])
def test_a_spare_that_cannot_be_made_takes_no_guest_with_it(serve, tmp_path, call, error, nth):
    calls_for_a_spare = 13 if call == "pipe2" else 1
    wrapper = (INJECT, f"--report={tmp_path}/report", "--role=zygote", f"--call={call}", f"--nth={nth // 4 * calls_for_a_spare + 2}", f"--error={error}", "--")
    with serve("--runs=8", wrapper=wrapper) as server:
        assert runs_at_once(server, 12, "await new Promise((done) => setTimeout(done, 100)); __return(1)") == ["succeeded"] * 12
        assert runs_at_once(server, 8, "__return(1)") == ["succeeded"] * 8


# ---- a stop


HALVES = {
    "half a line": b"GET /hel",
    "half a head": b"POST PATH HTTP/1.1\r\nHost: h\r\nX: ",
    "half a body": b"POST PATH HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf",
    "half a chunk": b"POST PATH HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nhalf",
    "a body that is not wanted": b"POST /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf",
    "nothing": b"",
}


@pytest.mark.parametrize("kind,path", [(Server, b"/v1/runs"), (Handler, b"/echo")])
def test_half_a_request_does_not_hold_up_a_stop(serve, kind, path):
    with serve("--drain-timeout=60s", kind=kind) as server, contextlib.ExitStack() as stack:
        address = server.address() if kind is Handler else server.socket
        for sent in HALVES.values():
            for _ in range(3):
                stack.enter_context(to(address)).sendall(sent.replace(b"PATH", path))
        talk(address, HEALTH)  # the others were read by then
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0, server.said()
        assert time.monotonic() - begun < 8


@pytest.mark.parametrize("kind", [Server, Handler])
def test_an_answer_that_nobody_takes_does_not_hold_up_a_stop(serve, kind):
    with serve("--drain-timeout=60s", kind=kind) as server, contextlib.ExitStack() as stack:
        s = stack.enter_context(to(server.address() if kind is Handler else server.socket))
        body = json.dumps({"code": "process.stdout.write('x'.repeat(30 << 20))"}).encode()
        request = b"POST /v1/runs HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        s.sendall(b"GET /download?pieces=100000 HTTP/1.1\r\nHost: h\r\n\r\n" if kind is Handler else request)
        assert s.recv(15).startswith(b"HTTP/1.1 200")
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0, server.said()
        assert time.monotonic() - begun < 10


def test_a_request_that_comes_on_is_answered_by_a_server_that_stops(serve):
    with serve("--drain-timeout=60s") as server, to(server.socket) as s:
        body = b'{"code": "__return(5)"}'
        s.sendall(b"POST /v1/runs HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:5])
        server.ask("GET", "/v1/health")
        server.process.send_signal(signal.SIGTERM)
        server.await_state("STOPPING=1")
        s.sendall(body[5:])
        assert read_all(s).startswith(b"HTTP/1.1 503 ")  # told, not cut off
        assert server.process.wait(20) == 0
