"""`postern serve --handler`: requests that guests answer, what becomes of those that they do not, and how guests are replaced."""

import concurrent.futures
import contextlib
import gzip
import http.client
import json
import re
import signal
import socket
import subprocess
import threading
import time

import pytest
from conftest import POSTERN, ROOT, our_processes
from server import Server, read_beside, until

WORLD = ROOT / "tests" / "whole_program" / "guests" / "handlers" / "world.mjs"


class Handler(Server):
    """A server with a handler and no run API."""

    def __init__(self, tmp_path, *options, module=WORLD, listen="0", **more):
        super().__init__(tmp_path, *options, **more)
        self.options = [f"--handler={module}", f"--listen={listen}", *options]
        self.stdout = open(tmp_path / "stdout", "w+")

    def printed(self):
        return read_beside(self.stdout)

    def get(self, path, method="GET", body=None, headers=None, timeout=30):
        with self.connection(tcp=True, timeout=timeout) as c:
            c.request(method, path, body, headers or {})
            answer = c.getresponse()
            answer.body = answer.read()
            return answer

    @contextlib.contextmanager
    def raw(self):
        host, port = self.address().rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=30) as s:
            yield s

    def say(self, text):
        """What comes back for raw bytes, until the server closes."""
        with self.raw() as s:
            s.sendall(text.encode("latin-1") if isinstance(text, str) else text)
            return read_all(s).decode("latin-1")


def read_all(s):
    got = b""
    while piece := s.recv(65536):
        got += piece
    return got


@pytest.fixture
def handler(tmp_path):
    with Handler(tmp_path) as h:
        yield h
    assert our_processes() == []


@pytest.fixture
def serve(tmp_path):
    @contextlib.contextmanager
    def start(*options, **more):
        with Handler(tmp_path, *options, **more) as h:
            yield h
        assert our_processes() == []

    return start


# ---- requests and answers


def test_a_guest_gets_the_request_and_its_answer_is_the_response(handler):
    answer = handler.get("/echo?a=%20b", "POST", b"the body", {"X-One": "1", "Content-Type": "text/plain"})
    assert answer.status == 200 and answer.getheader("content-type") == "application/json"
    assert answer.getheader("date").endswith("GMT")
    seen = json.loads(answer.body)
    assert (seen["method"], seen["body"]) == ("POST", "the body")
    assert seen["url"] == f"http://{handler.address()}/echo?a=%20b"
    fields = dict(seen["headers"])
    assert (fields["x-one"], fields["content-type"], fields["content-length"]) == ("1", "text/plain", "8")
    assert "host" not in fields and "postern-remote" not in fields


def test_fields_of_the_response_pass_but_for_those_of_the_connection(handler):
    answer = handler.get("/fields")
    assert (answer.status, answer.body) == (418, b"fields")
    assert answer.headers.get_all("set-cookie") == ["a=1", "b=2"] and answer.getheader("x-one") == "1"
    assert answer.getheader("connection") is None and answer.getheader("transfer-encoding") is None
    assert answer.headers.get_all("date") != ["never"] and len(answer.headers.get_all("date")) == 1


def test_a_connection_is_kept_and_used_again(handler):
    with handler.connection(tcp=True) as c:
        for _ in range(3):
            c.request("GET", "/hello")
            assert c.getresponse().read() == b"hello"
            assert c.sock is not None


def test_pipelined_requests_are_answered_in_their_order(handler):
    with handler.raw() as s:
        s.sendall(b"".join(b"GET /status?code=%d HTTP/1.1\r\nHost: h\r\n\r\n" % code for code in (201, 202, 203)) + b"GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        got = read_all(s).decode()
    assert [got.count(f"HTTP/1.1 {code} ") for code in (201, 202, 203, 200)] == [1, 1, 1, 1]
    assert got.index(" 201 ") < got.index(" 202 ") < got.index(" 203 ") < got.index(" 200 ") and got.endswith("hello")


def test_head_has_the_fields_and_no_body(handler):
    with handler.connection(tcp=True) as c:
        for path in ("/hello", "/download?pieces=3"):
            c.request("HEAD", path)
            answer = c.getresponse()
            assert (answer.status, answer.read()) == (200, b"")
            if path == "/hello":
                assert answer.getheader("content-length") == "5"


@pytest.mark.parametrize("code", [204, 304])
def test_statuses_without_a_body(handler, code):
    got = handler.say(f"GET /status?code={code} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert got.startswith(f"HTTP/1.1 {code} ") and got.endswith("\r\n\r\n") and "ransfer-" not in got and "ontent-length" not in got.lower()


@pytest.mark.parametrize("code, length, sent", [(204, 5, None), (204, 0, None), (205, 0, "0"), (205, 5, "0"), (304, 5, None), (200, 0, "0"), (200, 5, "0")])
def test_a_length_of_no_body_is_what_the_status_says(handler, code, length, sent):
    for method in ("GET", "POST"):
        answer = handler.get(f"/length?code={code}&length={length}", method)
        assert (answer.status, answer.getheader("content-length"), answer.body) == (code, sent, b"")
    assert handler.get("/length?code=200&length=5", "HEAD").getheader("content-length") == "5"


def test_http_1_0_gets_a_body_until_the_end_of_the_connection(handler):
    got = handler.say("GET /slowly HTTP/1.0\r\n\r\n")
    assert got.startswith("HTTP/1.1 200 OK") and got.endswith("\r\n\r\none\ntwo\nthree\n") and "ransfer-" not in got


def test_a_response_arrives_as_it_is_written(handler):
    with handler.raw() as s:
        s.sendall(b"GET /slowly HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        first = b""
        while b"one" not in first:
            first += s.recv(4096)
        assert b"three" not in first
        assert b"three" in read_all(s)


def test_a_body_goes_through_both_ways_at_once(handler):
    with handler.raw() as s:
        s.sendall(b"POST /duplex HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        got = b""
        while b"first" not in got:
            piece = s.recv(4096)
            assert piece
            got += piece
        s.sendall(b"6\r\nsecond\r\n0\r\nX-Trailer: is dropped\r\n\r\n")
        while b"0\r\n\r\n" not in got:
            piece = s.recv(4096)
            assert piece
            got += piece
    assert b"second" in got


def test_large_bodies_up_and_down(handler):
    size = 30 << 20
    assert handler.get("/upload", "POST", bytes(size)).body == b"%d" % size
    assert len(handler.get("/download?pieces=480").body) == 480 << 16
    assert handler.get("/duplex", "POST", b"x" * 5_000_000).body == b"x" * 5_000_000


def test_a_client_that_does_not_read_holds_up_only_itself(handler):
    with handler.raw() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.sendall(b"GET /download?pieces=100000 HTTP/1.1\r\nHost: h\r\n\r\n")
        s.recv(1)
        for _ in range(20):
            assert handler.get("/hello").body == b"hello"
        # The server does not gather what nobody takes.
        status = open(f"/proc/{handler.process.pid}/status").read()
        assert int(status.split("VmRSS:")[1].split()[0]) < 200_000


def test_a_guest_that_takes_its_time_with_a_body_is_not_its_client_s_fault(serve):
    with serve("--request-timeout=200ms") as h:
        body = bytes(2_000_000)
        assert h.get("/upload-slowly", "POST", body).body == b"%d" % len(body)


def test_100_continue(handler):
    with handler.raw() as s:
        s.sendall(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
        assert s.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(b"body")
        got = read_all(s).decode()
    assert json.loads(got.split("\r\n\r\n")[1])["body"] == "body"


def test_an_answer_before_the_request_is_complete(handler):
    got = b""
    with handler.raw() as s:
        s.sendall(b"POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nsome")
        got = read_all(s)
    assert got.endswith(b"without the body") and b"Connection: close" in got
    assert handler.get("/hello").body == b"hello"


def test_the_second_and_third_arguments(serve):
    with serve("--env=GREETING=hello there") as h:
        assert h.get("/env").body == b"hello there"
        host, port = h.get("/remote").body.decode().rsplit(":", 1)
        assert host == "127.0.0.1" and int(port) > 0


def test_an_absolute_target_and_a_host_of_its_own(handler):
    got = handler.say("GET http://one.example:81/echo?x HTTP/1.1\r\nHost: two.example\r\nConnection: close\r\n\r\n")
    assert json.loads(got.split("\r\n\r\n")[1])["url"] == "http://one.example:81/echo?x"


# ---- what is no request


@pytest.mark.parametrize(
    "text, status",
    [
        ("nonsense\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\nHost: user@a\r\n\r\n", 400),
        ("GET hello HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501),
        ("GET /hello HTTP/3.0\r\nHost: a\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /count HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\nHost: a\r\nX: " + "y" * 20_000 + "\r\n\r\n", 431),
        ("GET /hello HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
    ],
)
def test_bad_requests_get_a_status_and_the_server_goes_on(handler, text, status):
    got = handler.say(text)
    assert got.startswith(f"HTTP/1.1 {status} "), got
    assert len(got.split("\r\n\r\n", 1)[1]) > 10
    assert len(re.findall(r"HTTP/1\.1 \d", got)) == 1
    assert handler.get("/count").body == b"1"


def test_a_chunk_that_is_none_ends_the_request_without_a_word_to_the_next_one(handler):
    got = handler.say("POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\nGET /count HTTP/1.1\r\nHost: a\r\n\r\n")
    assert len(re.findall(r"HTTP/1\.1 \d", got)) <= 1
    assert handler.get("/count").body == b"1"


def test_a_slow_client_is_told_so(serve):
    with serve("--request-timeout=200ms") as h:
        with h.raw() as s:
            s.sendall(b"GET /hello HT")
            assert read_all(s).startswith(b"HTTP/1.1 408 ")
        # A body that stops coming: the request never was complete.
        with h.raw() as s:
            s.sendall(b"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf")
            assert read_all(s).startswith(b"HTTP/1.1 408 ")
        assert h.get("/hello").body == b"hello"


def test_a_slow_body_is_not_the_guest_s_fault(serve):
    with serve("--guests=1", "--handler-timeout=200ms", "--request-timeout=1s") as h:
        with h.raw() as s:
            s.sendall(b"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf")
            assert read_all(s).startswith(b"HTTP/1.1 408 ")
        # Where all of it is there, the time is the guest's.
        assert h.get("/forever", "POST", b"all of it").status == 504


# ---- what a guest does wrong


@pytest.mark.parametrize(
    "path, said",
    [
        ("/throw", "Uncaught (in fetch) Error: thrown on purpose"),
        ("/reject", "Uncaught (in fetch) TypeError: rejected on purpose"),
        ("/nothing", "the handler's fetch gave undefined, not a Response"),
        ("/string", "the handler's fetch gave a string, not a Response"),
        ("/used", "the body of the response was read already"),
        ("/error", "the handler's fetch gave Response.error()"),
    ],
)
def test_a_handler_that_fails_is_a_500_and_goes_on(handler, path, said):
    assert handler.get("/count").body == b"1"
    answer = handler.get(path)
    assert (answer.status, answer.body) == (500, b"")
    assert said in handler.said()
    counts = {handler.get("/count").body for _ in range(4)}
    assert counts & {b"2", b"3"}


def test_a_guest_that_ends_answers_502_with_the_cause_and_is_replaced(serve):
    with serve("--guests=1") as h:
        for path in ("/exit", "/uncaught"):
            answer = h.get(path)
            assert answer.status == 502
            assert answer.getheader("proxy-status").startswith("postern; error=http_response_incomplete")
            assert b"the guest ended before it answered" in answer.body and b"hunter2" not in answer.body
            assert h.get("/hello").body == b"hello"
    assert "uncaught on purpose: token=hunter2" in h.log
    assert "a request failed (502): the guest ended before it answered" in h.log


def test_a_guest_without_memory_is_replaced(serve):
    with serve("--guests=1", "--memory=32MiB") as h:
        answer = h.get("/memory")
        assert answer.status == 502 and b"memory" in answer.body
        assert h.get("/hello").body == b"hello"


def test_a_guest_that_is_nearly_full_is_replaced_before_it_dies(serve):
    with serve("--guests=1", "--memory=64MiB") as h:
        answers = [h.get("/keep?mib=3") for _ in range(60)]
        assert [a.status for a in answers] == [200] * 60
        assert sum(a.body == b"3 0" for a in answers) >= 2, "no guest was replaced"
    assert "out_of_memory" not in h.log and "succeeded" in h.log


def test_a_request_that_is_never_answered_is_504_and_the_guest_goes_on(serve):
    with serve("--guests=1", "--handler-timeout=300ms") as h:
        assert h.get("/count").body == b"1"
        answer = h.get("/forever")
        assert answer.status == 504 and b"--handler-timeout" in answer.body
        assert "http_response_timeout" in answer.getheader("proxy-status")
        assert h.get("/count").body == b"2"


def test_a_guest_that_loops_is_ended_and_replaced(serve):
    with serve("--guests=1", "--handler-timeout=300ms") as h:
        answer = h.get("/loop")
        assert answer.status == 504
        until(lambda: "does not come back to its event loop" in h.said(), "the guest was not ended")
        assert h.get("/hello").body == b"hello"


@pytest.mark.parametrize("guests", [1, 2])
def test_a_guest_that_may_hang_gets_no_more_requests(serve, guests):
    """From its 504 on, until it is known whether it is this request alone that hangs."""
    with serve(f"--guests={guests}", "--handler-timeout=300ms") as h:
        assert h.get("/loop").status == 504
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert [a.status for a in pool.map(h.get, ["/hello"] * 40)] == [200] * 40


def test_an_exit_is_in_the_log(serve):
    with serve("--guests=1") as h:
        assert h.get("/exit").status == 502
        until(lambda: "failed, exit code 3" in h.said(), "the log does not say how the guest ended")


def test_the_cpu_limit_counts_from_answer_to_answer(serve):
    with serve("--guests=1", "--cpu=300ms") as h:
        answer = h.get("/loop")
        assert answer.status == 502 and b"--cpu" in answer.body
        burn = "/download?pieces=300"
        for _ in range(30):
            assert len(h.get(burn).body) == 300 << 16
        assert h.said().count("timed_out") == 1


@pytest.mark.parametrize("path", ["/break", "/short"])
def test_a_response_that_breaks_off_is_not_taken_for_complete(handler, path):
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        handler.get(path)
    assert handler.get("/hello").body == b"hello"


def test_a_response_that_breaks_off_over_http_1_0(handler):
    with pytest.raises(ConnectionResetError):
        handler.say("GET /break HTTP/1.0\r\n\r\n")


def test_a_client_that_goes_away_aborts_its_request(serve):
    with serve("--guests=1") as h:
        with h.raw() as s:
            s.sendall(b"GET /wait-for-abort HTTP/1.1\r\nHost: h\r\n\r\n")
            until(lambda: "waiting for the abort" in h.printed(), "the request did not arrive")
        until(lambda: h.get("/aborted").body == b"aborted: the request failed: the client went away", h.get("/aborted").body)


def test_clients_that_go_away_fill_no_log(serve):
    with serve("--guests=1") as h:
        for path in ("/upload-and-tell", "/duplex", "/upload-later", "/upload"):
            with h.raw() as s:
                s.sendall(b"POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf" % path.encode())
                h.get("/hello")
        with h.raw() as s:
            s.sendall(b"GET /download?pieces=1000 HTTP/1.1\r\nHost: h\r\n\r\n")
            s.recv(1)
        until(lambda: "the upload broke off" in h.printed(), "the guest was not told")
        until(lambda: h.get("/print").status == 200 and h.said().count("an error") > 3, h.said)
        assert h.said().count("Uncaught") <= 1 and "    at " not in h.said(), h.said()
        # What a handler does wrong is told.
        with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
            h.get("/break")
        until(lambda: "broken on purpose" in h.said(), h.said)


def test_what_a_guest_prints_is_shown_line_by_line_and_obeyed_nowhere(handler):
    handler.get("/print")
    until(lambda: "an error" in handler.said(), "nothing was printed")
    assert "] a line\\x1B[31m <3>forged\\x0D and more\n" in handler.printed()
    assert "] an error\n" in handler.said()


# ---- many, and one after the other


def test_many_at_once(handler):
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda i: handler.get("/echo", "POST", b"%d" % i), range(500)))
    assert sorted(int(json.loads(a.body)["body"]) for a in answers) == list(range(500))


def test_a_guest_for_each_request(serve):
    with serve("--guests=2", "--guest-requests=1") as h:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert set(pool.map(lambda _: h.get("/count").body, range(60))) == {b"1"}


def test_guests_are_replaced_after_their_number(serve):
    with serve("--guests=1", "--guest-requests=10") as h:
        counts = [int(h.get("/count").body) for _ in range(35)]
        assert max(counts) <= 10 and counts.count(1) >= 3
    assert "answered=" in h.log


def test_what_a_guest_has_promised_is_kept_when_it_is_replaced(serve):
    with serve("--guests=1", "--guest-requests=1") as h:
        assert h.get("/promise").body == b"promised"
        until(lambda: "the promise was kept" in h.printed(), "the promise was not kept")


def test_more_than_may_wait_is_refused_at_once(serve):
    with serve("--guests=1", "--concurrency=1", "--queue=1", "--queue-timeout=500ms") as h:
        first, second = threading.Thread(target=lambda: h.get("/forever")), []
        with h.raw() as busy, h.raw() as waiting:
            busy.sendall(b"GET /forever HTTP/1.1\r\nHost: h\r\n\r\n")
            waiting.sendall(b"GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            until(lambda: h.get("/hello").status == 503, "nothing was refused")
            answer = h.get("/hello")
            assert b"--queue" in answer.body and answer.getheader("retry-after") == "1"
            got = read_all(waiting)
            assert got.startswith(b"HTTP/1.1 503 ") and b"--queue-timeout" in got


# ---- the network


def test_the_policy_holds_for_what_a_handler_fetches(serve, origin):
    with serve(f"--allow-net={origin.http}") as h:
        assert h.get(f"/fetch?url=http://{origin.http}/ok").status == 200
        answer = h.get("/fetch-error?url=http://refused.example/")
        assert (answer.status, answer.body) == (502, b"ERR_NETWORK_DENIED")


@pytest.mark.parametrize("path", ["/fetch", "/fetch-copy"])
def test_a_fetched_response_that_was_coded_is_passed_on_decoded(serve, tmp_path, path):
    body = b"some text that was compressed " * 1000

    class Coded(threading.Thread):
        def run(self):
            c, _ = listener.accept()
            c.recv(65536)
            coded = gzip.compress(body)
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: text/x\r\nContent-Length: %d\r\n\r\n" % len(coded) + coded)
            c.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        Coded(daemon=True).start()
        port = listener.getsockname()[1]
        with serve(f"--allow-net=127.0.0.1:{port}") as h:
            answer = h.get(f"{path}?url=http://127.0.0.1:{port}/")
    assert answer.body == body and answer.getheader("content-encoding") is None and answer.getheader("content-type") == "text/x"


# ---- starting, reloading, stopping


@pytest.mark.parametrize(
    "code, said",
    [
        ("export default { fetch }; const", "SyntaxError"),
        ("export const x = 1", "a handler needs a default export"),
        ("export default { }", "has no method fetch"),
        ("throw new Error('on purpose')", "on purpose"),
        ("process.exit(0)", "ended the guest before it could take requests"),
        ("import './missing.mjs'", "missing.mjs"),
    ],
)
def test_a_handler_that_does_not_start(tmp_path, code, said):
    module = tmp_path / "app.mjs"
    module.write_text(code)
    done = subprocess.run([POSTERN, "serve", f"--handler={module}", "--listen=0"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and said in done.stderr
    assert our_processes() == []


@pytest.mark.parametrize(
    "options, status, said",
    [
        (["--handler=/nowhere/app.mjs", "--listen=0"], 3, "/nowhere/app.mjs"),
        ([f"--handler={WORLD}"], 2, "--listen"),
        ([f"--handler={WORLD}", "--listen=nonsense"], 2, "no address to listen at"),
        ([f"--handler={WORLD}", "--listen=0", "--guests=0"], 2, "--guests"),
        ([f"--handler={WORLD}", "--listen=0", "--handler-timeout=soon"], 2, "--handler-timeout"),
    ],
)
def test_wrong_usage(options, status, said):
    done = subprocess.run([POSTERN, "serve", *options], capture_output=True, text=True, timeout=30)
    assert done.returncode == status and said in done.stderr, done.stderr


def test_a_port_that_is_taken(handler):
    done = subprocess.run([POSTERN, "serve", f"--handler={WORLD}", f"--listen={handler.address()}"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 125 and "cannot listen at" in done.stderr and "in use" in done.stderr


def test_reload_new_code_takes_new_requests_and_old_ones_finish(serve, tmp_path):
    module = tmp_path / "app.mjs"
    code = """
    let release;
    export default { async fetch(request) {
      if (request.url.endsWith('/wait')) { console.log('waits'); await new Promise((resolve) => { release = resolve; }); }
      if (request.url.endsWith('/release')) { release?.(); }
      return new Response('VERSION'); } }"""
    module.write_text(code.replace("VERSION", "old").replace("await new Promise((resolve) => { release = resolve; })", "await new Promise((resolve) => setTimeout(resolve, 1500))"))
    with serve(module=module) as h:
        assert h.get("/").body == b"old"
        with h.raw() as s:
            s.sendall(b"GET /wait HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            until(lambda: "waits" in h.printed(), "the request did not arrive")
            module.write_text(code.replace("VERSION", "new"))
            h.process.send_signal(signal.SIGHUP)
            h.await_state("READY=1")
            assert {h.get("/").body for _ in range(10)} == {b"new"}
            assert read_all(s).endswith(b"old")
        # Code that does not start leaves the other one there.
        module.write_text("export default 1 +")
        h.process.send_signal(signal.SIGHUP)
        h.await_state("READY=1")
        assert {h.get("/").body for _ in range(10)} == {b"new"}
        assert "the new code does not start: failed: SyntaxError" in h.said()


def test_reload_under_load_loses_nothing(serve, tmp_path):
    module = tmp_path / "app.mjs"
    module.write_text("export default { fetch: () => new Response('0') }")
    with serve(module=module) as h:
        stop = threading.Event()

        def load():
            seen = set()
            with h.connection(tcp=True) as c:
                while not stop.is_set():
                    c.request("GET", "/")
                    answer = c.getresponse()
                    seen.add((answer.status, answer.read()))
            return seen

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            loads = [pool.submit(load) for _ in range(4)]
            for version in range(1, 6):
                module.write_text(f"export default {{ fetch: () => new Response('{version}') }}")
                h.process.send_signal(signal.SIGHUP)
                h.await_state("READY=1")
            stop.set()
            seen = set().union(*(f.result() for f in loads))
        assert {status for status, _ in seen} == {200}
        assert h.get("/").body == b"5"


def test_a_stop_lets_requests_finish(serve):
    with serve("--guests=1") as h:
        with h.raw() as s:
            s.sendall(b"GET /slowly HTTP/1.1\r\nHost: h\r\n\r\n")
            s.recv(1)
            h.process.send_signal(signal.SIGTERM)
            assert read_all(s).endswith(b"three\n\r\n0\r\n\r\n")
        assert h.process.wait(10) == 0


def test_a_stop_does_not_wait_for_ever(serve):
    with serve("--drain-timeout=300ms") as h:
        with h.raw() as s:
            s.sendall(b"GET /forever HTTP/1.1\r\nHost: h\r\n\r\n")
            until(lambda: h.get("/hello").status == 200, "")
            h.process.send_signal(signal.SIGTERM)
            assert b"the server is stopping" in read_all(s)
        assert h.process.wait(10) == 0


def test_a_server_that_is_killed_leaves_nothing(serve):
    with serve() as h:
        h.process.kill()
        h.process.wait()
        until(lambda: our_processes() == [], "guests survive")


def test_a_handler_that_crashes_after_every_start_is_started_ever_more_slowly(serve, tmp_path):
    module = tmp_path / "app.mjs"
    module.write_text("setTimeout(() => { throw new Error('later') }, 150); export default { fetch: () => new Response('up') }")
    with serve("--guests=1", module=module) as h:
        begun = time.monotonic()
        until(lambda: h.said().count("of the handler ended") >= 5, h.said)
        assert time.monotonic() - begun > 1.5, "it is started in a loop"
        # Between two tries a request is not kept waiting.
        answer = h.get("/")
        assert (answer.status, answer.body) == (503, b"the handler does not start\n")


def test_a_socket_that_the_manager_gives(tmp_path):
    path = str(tmp_path / "given.sock")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        s.listen()
        script = "import os,sys; os.dup2(int(sys.argv[1]), 3); os.environ.update(LISTEN_FDS='1', LISTEN_FDNAMES='handler', LISTEN_PID=str(os.getpid())); os.execv(sys.argv[2], sys.argv[2:])"
        process = subprocess.Popen(["/usr/bin/python3", "-c", script, str(s.fileno()), POSTERN, "serve", f"--handler={WORLD}"], pass_fds=[s.fileno()], stderr=open(tmp_path / "stderr", "w"))
        try:
            with socket.socket(socket.AF_UNIX) as c:
                c.connect(path)
                c.sendall(b"GET /hello HTTP/1.0\r\n\r\n")
                assert read_all(c).endswith(b"hello")
        finally:
            process.terminate()
            assert process.wait(10) == 0


def test_the_run_api_beside_a_handler(tmp_path):
    h = Handler(tmp_path)
    h.options.append(f"--socket={h.socket}")
    with h:
        assert h.get("/hello").body == b"hello"
        assert h.outcome({"code": "__return(1)"})["value"] == 1
    assert our_processes() == []


# ---- other people's code

APPS = {
    "hono": """
import { Hono } from 'hono';
import { cors } from 'hono/cors';
import { streamText } from 'hono/streaming';
import { HTTPException } from 'hono/http-exception';
const app = new Hono();
app.use('/api/*', cors());
app.get('/', (c) => c.text('hono'));
app.get('/api/:name', (c) => c.json({ name: c.req.param('name'), q: c.req.query('q') ?? null }));
app.post('/api/items', async (c) => c.json(await c.req.json(), 201));
app.get('/stream', (c) => streamText(c, async (stream) => { for (const w of ['a', 'b', 'c']) await stream.write(w); }));
app.get('/fail', () => { throw new HTTPException(418, { message: 'teapot' }); });
app.notFound((c) => c.text('none', 404));
export default app;
""",
    "itty": """
import { AutoRouter, error } from 'itty-router';
const router = AutoRouter();
router
  .get('/', () => new Response('itty'))
  .get('/api/:name', ({ params, query }) => ({ name: params.name, q: query.q ?? null }))
  .post('/api/items', async (request) => Response.json(await request.json(), { status: 201 }))
  .get('/stream', () => new Response(ReadableStream.from(['a', 'b', 'c'].map((t) => new TextEncoder().encode(t)))))
  .get('/fail', () => error(418, 'teapot'))
  .all('*', () => new Response('none', { status: 404 }));
export default router;
""",
}


@pytest.mark.parametrize("name", APPS)
def test_apps_of_other_frameworks_run_unchanged(serve, tmp_path, name):
    source = ROOT / "build" / f"app-{name}.mjs"
    source.write_text(APPS[name])
    bundle = tmp_path / "app.mjs"
    subprocess.run([ROOT / "node_modules" / ".bin" / "esbuild", str(source), "--bundle", "--format=esm", f"--outfile={bundle}", "--log-level=error"], check=True)
    with serve(module=bundle) as h:
        assert h.get("/").body == name.encode()
        assert json.loads(h.get("/api/x?q=1").body) == {"name": "x", "q": "1"}
        answer = h.get("/api/items", "POST", json.dumps({"a": 1}), {"content-type": "application/json"})
        assert (answer.status, json.loads(answer.body)) == (201, {"a": 1})
        assert h.get("/stream").body == b"abc"
        answer = h.get("/fail")
        assert answer.status == 418 and b"teapot" in answer.body
        assert h.get("/elsewhere").status == 404
