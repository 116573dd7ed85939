"""HTTP as the broker speaks it: what reaches an origin whatever a guest writes on its channel, and the odd corners of the protocol."""

import asyncio
import json
import socket
import ssl
import subprocess
import threading

import pytest
from conftest import allowing
from raw_guest import RawGuest


class Wire:
    """An origin that keeps what came over each connection, byte by byte, and answers each request with 200."""

    def __enter__(self):
        self.connections, self.loop, ready = [], asyncio.new_event_loop(), threading.Event()

        async def serve(reader, writer):
            kept = bytearray()
            self.connections.append(kept)
            while data := await reader.read(65536):
                kept += data
                if b"\r\n\r\n" in data or data.endswith(b"0\r\n\r\n"):
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            writer.close()

        async def main():
            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()

        def run():
            self.loop.create_task(main())
            self.loop.run_forever()

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def heads(self):
        """The request heads that arrived, as (line, [(name, value)])."""
        out = []
        for kept in self.connections:
            if kept.startswith(b"\x16"):
                continue  # TLS, as the URL asked for
            head = bytes(kept).split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
            out.append((head[0], [tuple(line.split(": ", 1)) for line in head[1:]]))
        return out


@pytest.fixture
def wire():
    with Wire() as w:
        yield w


NEVER = {"connection", "keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer", "upgrade", "expect", "postern-x", "proxy-status"}

HOSTILE = [
    [("host", "evil.test")], [("connection", "close, x-a"), ("x-a", "1")], [("transfer-encoding", "chunked")], [("transfer-encoding", "gzip, chunked")],
    [("content-length", "100")], [("content-length", "0"), ("content-length", "5")], [("content-length", "-1")], [("content-length", "+5")], [("content-length", "5, 5")],
    [("te", "trailers, deflate")], [("trailer", "x")], [("expect", "100-continue")], [("upgrade", "h2c"), ("http2-settings", "AAMAAABkAAQAAP__")],
    [("proxy-authorization", "Basic x")], [("proxy-connection", "keep-alive")], [("keep-alive", "timeout=5")], [("proxy-status", "postern; error=x")], [("postern-x", "1")],
    [("x-a", "b\r\nx-injected: 1")], [("x-a", "b\nx-injected: 1")], [("x-a", "b\rx-injected: 1")], [("x-a\r\nx-injected", "1")], [("x-a: 1\r\nx-injected", "1")], [("x a", "1")],
    [("x-a:", "1")], [("", "1")], [("X-Upper", "1")], [("x-a", "b\0c")], [("x-a", " leading")], [("x-a", "\u00e4\u00ff")], [("x-\u00e4", "1")],
    [("x-a", "y" * 60_000)], [(f"x-{i}", "1") for i in range(500)],
]
TARGETS = [
    (":path", "/ HTTP/1.1\r\nx-injected: 1\r\n\r\nGET /admin"), (":path", "/a b"), (":path", "http://evil.test/"), (":path", "//evil.test/"), (":path", "evil"), (":path", "*"), (":path", ""),
    (":path", "/\r\n"), (":path", "/\0"), (":path", "/@evil.test"), (":path", "/#frag"), (":authority", "evil.test"), (":authority", "{ok}@evil.test"), (":authority", "u:p@{ok}"),
    (":authority", "{ok}\r\nx-injected: 1"), (":authority", "{ok}/x"), (":authority", "{ok}?x"), (":authority", "{ok}#x"), (":authority", "{ok}\\x"), (":authority", ""), (":authority", " {ok}"),
    (":scheme", "https"), (":scheme", "file"), (":scheme", "http\r\nx: y"), (":scheme", ""), (":method", "GET / HTTP/1.1\r\nx-injected: 1\r\n\r\nGET"), (":method", "G ET"), (":method", ""),
    (":method", "TRACE"), (":method", "TRACK"), (":method", "CONNECT"), (":method", "connect"), (":protocol", "websocket"), (":unknown", "x"), (":status", "200"),
]


def plain(port, **changes):
    fields = {":method": "GET", ":scheme": "http", ":authority": f"127.0.0.1:{port}", ":path": "/", **changes}
    return list(fields.items())


def check_wire(wire, port):
    for line, fields in wire.heads():
        names = [f[0].lower() for f in fields]
        assert line.count(" ") == 2 and line.endswith(" HTTP/1.1"), line
        assert all(len(f) == 2 for f in fields), fields
        assert not NEVER & set(names), fields
        assert dict(fields)["Host"] == f"127.0.0.1:{port}" and names.count("host") == 1
        assert names.count("content-length") + names.count("transfer-encoding") <= 1
        assert "x-injected" not in names and line.split(" ")[1].startswith("/"), line
    for kept in wire.connections:
        assert kept.startswith(b"\x16") or b"\r\nx-injected" not in kept and kept.count(b" HTTP/1.1\r\n") == 1, kept


@pytest.mark.parametrize("body", [b"", b"hello"])
@pytest.mark.parametrize("extra", HOSTILE, ids=lambda e: repr(e)[:40])
def test_no_field_smuggles(wire, extra, body):
    with RawGuest(f"127.0.0.1:{wire.port}") as guest:
        outcome = guest.request(plain(wire.port, **({":method": "POST"} if body else {})) + extra, body)
        assert outcome in ("channel closed", "reset 1") or outcome[0][":status"] in ("200", "502", "403"), outcome
        check_wire(wire, wire.port)
        # The broker lives, and serves the next guest.
        assert guest.lives()


@pytest.mark.parametrize("name,value", TARGETS)
def test_no_target_smuggles(wire, name, value):
    with RawGuest(f"127.0.0.1:{wire.port}") as guest:
        outcome = guest.request(plain(wire.port, **{name: value.replace("{ok}", f"127.0.0.1:{wire.port}")}))
        assert outcome in ("channel closed", "reset 1") or outcome[0][":status"] in ("200", "502", "403"), outcome
        check_wire(wire, wire.port)
        assert guest.lives()


def test_an_ordinary_request_goes_through(wire):
    with RawGuest(f"127.0.0.1:{wire.port}") as guest:
        fields, body = guest.request(plain(wire.port, **{":method": "PUT", ":path": "/a?b=c"}) + [("x-own", "1")], b"hello")
        assert fields[":status"] == "200" and body == b"ok"
        (line, fields), = wire.heads()
        assert line == "PUT /a?b=c HTTP/1.1" and dict(fields)["x-own"] == "1"


def test_a_body_longer_than_it_said(wire):
    with RawGuest(f"127.0.0.1:{wire.port}") as guest:
        outcome = guest.request(plain(wire.port, **{":method": "POST"}) + [("content-length", "3")], b"hello GET /admin HTTP/1.1\r\n\r\n")
        assert outcome == "reset 1" or outcome[0][":status"] == "502", outcome
        assert b"admin" not in b"".join(bytes(c) for c in wire.connections)


# ---- corners of the protocol, through fetch


def test_head_has_no_body_and_a_length(fetch, origin):
    result = fetch(f"http://{origin.http}/ok", allowing(origin.http), {"method": "HEAD"})
    assert (result["status"], result["body"], result["headers"]["content-length"]) == (200, "", "0")


def test_ranges(fetch, origin):
    async def do_ranged(reader, writer, method, headers, query):
        first, last = map(int, headers["range"].removeprefix("bytes=").split("-"))
        return await origin._answer(writer, b"0123456789"[first:last + 1], "206 Partial Content", [f"Content-Range: bytes {first}-{last}/10"])

    origin.do_ranged = do_ranged
    result = fetch(f"http://{origin.http}/ranged", allowing(origin.http), {"headers": {"range": "bytes=2-4"}})
    assert (result["status"], result["body"], result["headers"]["content-range"]) == (206, "234", "bytes 2-4/10")


def test_informational_responses_are_passed_over(fetch, origin):
    async def do_hints(reader, writer, *_):
        await origin._send(writer, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")
        return True

    origin.do_hints = do_hints
    result = fetch(f"http://{origin.http}/hints", allowing(origin.http))
    assert (result["status"], result["body"]) == (200, "fine") and "link" not in result["headers"]


def test_trailers_end_a_body(fetch, origin):
    async def do_trailers(reader, writer, *_):
        await origin._send(writer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n4\r\nfine\r\n0\r\nX-Sum: 1\r\n\r\n")
        return True

    origin.do_trailers = do_trailers
    result = fetch(f"http://{origin.http}/trailers", allowing(origin.http))
    assert result["body"] == "fine" and not {"x-sum", "trailer"} & set(result["headers"])


def test_expect_is_not_waited_for(fetch, origin):
    result = fetch(f"http://{origin.http}/echo", allowing(origin.http), {"method": "POST", "body": "x" * 100_000})
    assert len(result["body"]) == 100_000 and "expect" not in origin.requests[0][2] and result["ms"] < 900


def test_http2_upstream(postern, nginx, certificates, tmp_path):
    policy = allowing({"allow": "good.test", "addresses": ["127.0.0.0/8"]})
    policy["network"].update({"dns": {"hosts": {"good.test": "127.0.0.1"}}, "tls": {"ca_file": str(certificates[1])}})
    policy["audit"] = {"file": str(tmp_path / "log")}
    result = postern("""
      const o = process.argv[2];
      const version = await (await fetch(o + '/version')).text();
      const sizes = await Promise.all(Array.from({ length: 8 }, async () => (await (await fetch(o + '/big')).arrayBuffer()).byteLength));
      __return([version, sizes]);""", args=[f"https://good.test:{nginx.http2}"], policy=policy)
    assert result.value == ["HTTP/2.0", [3_000_000] * 8]
    ends = [e for e in map(json.loads, (tmp_path / "log").read_text().splitlines()) if e["event"] == "end"]
    assert {e["http"] for e in ends} == {"HTTP/2"} and len(ends) == 9


def test_a_folded_line_where_a_field_begins_harms_nobody(postern, origin):
    """On a handle of libcurl's that has served another response before."""
    async def do_folded(reader, writer, *_):
        await origin._send(writer, "HTTP/1.1 200 OK\r\n folded: 1\r\nContent-Length: 0\r\n\r\n")

    origin.do_folded = do_folded
    result = postern("""
      const seen = new Set();
      for (let i = 0; i < 100; i++) for (const path of ['/ok', '/bad-field', '/folded'])
        seen.add(await fetch(process.argv[2] + path).then((r) => r.text(), (e) => e.cause.posternCode));
      __return([...seen]);""", args=[f"http://{origin.http}"], policy=allowing(origin.http))
    assert result.value == ["fine", "ERR_HTTP_PROTOCOL"]


@pytest.mark.parametrize("method,body,again", [("GET", None, True), ("HEAD", None, True), ("PUT", "", True), ("DELETE", None, True), ("POST", "", False), ("POST", "x", False),
                                               ("PATCH", "", False), ("PURGE", None, False)])
def test_a_kept_connection_that_ends_under_a_request(postern, origin, method, body, again):
    """What may be repeated is, on a new connection; what may have been carried out is not."""
    seen = []

    async def do_once(reader, writer, method, headers, query):
        await origin._body(reader, headers)
        seen.append(writer)
        if len(seen) == 2:
            return False  # in the midst of the second request on the first connection
        return await origin._answer(writer, b"" if method == "HEAD" else b"fine")

    origin.do_once = do_once
    init = json.dumps({"method": method, **({} if body is None else {"body": body})})
    result = postern(f"""
      await (await fetch(process.argv[2])).text();
      __return(await fetch(process.argv[2], {init}).then((r) => r.status, (e) => [e.cause.posternCode, e.cause.code]));""", args=[f"http://{origin.http}/once"], policy=allowing(origin.http))
    assert seen[0] is seen[1]
    assert result.value == (200 if again else ["ERR_CONNECTION_RESET", "ECONNRESET"]) and len(seen) == (3 if again else 2)


def test_an_answer_that_begins_before_the_request_ends(postern, origin):
    """A conversation over one request: the head comes with the first piece, and each piece goes when the one before is back."""
    async def do_talk(reader, writer, method, headers, query):
        await origin._send(writer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            size = int((await reader.readuntil(b"\r\n")).strip(), 16)
            piece = await reader.readexactly(size + 2)
            await origin._send(writer, b"%x\r\n%s" % (size, piece))
            if size == 0:
                return True

    origin.do_talk = do_talk
    result = postern("""
      let send; const body = new ReadableStream({ start(c) { send = (t) => (t === null ? c.close() : c.enqueue(new TextEncoder().encode(t))); } });
      send('one');
      const r = await fetch(process.argv[2], { method: 'POST', duplex: 'half', body }), reader = r.body.getReader(), out = [];
      for (const next of ['two', 'three', null]) { out.push(new TextDecoder().decode((await reader.read()).value)); send(next); }
      out.push((await reader.read()).done);
      __return(out);""", args=[f"http://{origin.http}/talk"], policy=allowing(origin.http))
    assert result.value == ["one", "two", "three", True]


@pytest.mark.parametrize("response,goodbye,outcome", [
    (b"HTTP/1.1 200 OK\r\n\r\nfine", True, "fine"), (b"HTTP/1.1 200 OK\r\n\r\nfine", False, "ERR_RESPONSE_INCOMPLETE"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine", False, "fine"), (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n", False, "fine"),
])
def test_tls_that_ends_without_a_goodbye(fetch, certificates, response, goodbye, outcome):
    """What has no length is complete only if TLS says that it is over (RFC 9112 section 9.8)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates[0]["good"])

    def serve(listener):
        plain, _ = listener.accept()
        connection = context.wrap_socket(plain, server_side=True)
        connection.recv(65536)
        connection.sendall(response)
        if goodbye:
            connection.unwrap()
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,), daemon=True)
        server.start()
        port = listener.getsockname()[1]
        policy = allowing({"allow": f"https://good.test:{port}", "addresses": ["127.0.0.0/8"]})
        policy["network"].update({"dns": {"hosts": {"good.test": "127.0.0.1"}}, "tls": {"ca_file": str(certificates[1])}})
        result = fetch(f"https://good.test:{port}/", policy)
        server.join(10)
    assert (result.get("body") if outcome == "fine" else result["code"]) == outcome, result
