"""Clients that open their own sockets speak HTTP/1.1 where a rule allows HTTP and no TCP stream: the same as over a real socket in Node."""

import asyncio
import hashlib
import json
import subprocess

import pytest
from conftest import POSTERN, allowing, our_processes
from test_node_http import chat, in_both  # noqa: F401
from test_sockets import named, servers  # noqa: F401

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Own: 1\r\n\r\n"


class Web:
    """An origin of plain asyncio: `requests` has (head, body) of each request that came whole, `begun` the heads."""

    def __init__(self, servers):
        self.requests, self.begun, self.connections, self.bytes = [], [], 0, 0
        self.port = servers.start(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20))
        self.host = f"127.0.0.1:{self.port}"

    async def _body(self, reader, head):
        if b"transfer-encoding: chunked" in head.lower():
            body = b""
            while size := int((await reader.readline()).split(b";")[0], 16):
                body += (await reader.readexactly(size + 2))[:-2]
            while await reader.readline() not in (b"\r\n", b""):
                pass
            return body
        length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
        return await reader.readexactly(int(length or 0))

    async def _serve(self, reader, writer):
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.begun.append(head)
                path = head.split(b" ")[1].decode()
                if path == "/early":
                    writer.write(b"HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
                    await writer.drain()
                    writer.write_eof()
                    while await reader.read(65536):
                        pass
                    break
                body = await self._body(reader, head)
                self.requests.append((head, body))
                await self._answer(path, head, body, writer)
                await writer.drain()
        except (OSError, ValueError, asyncio.IncompleteReadError):
            pass
        writer.close()

    async def _answer(self, path, head, body, writer):
        def plain(body, *fields, status=b"200 OK"):
            lines = b"".join(f + b"\r\n" for f in fields)
            writer.write(b"HTTP/1.1 " + status + b"\r\n" + lines + b"CoNtent-LENGTH: %d\r\n\r\n" % len(body) + (b"" if head.startswith(b"HEAD ") else body))

        if path == "/chunked":
            writer.write(CHUNKED + b"2\r\nok\r\n5;x=y\r\nhello\r\n0\r\nX-Sum: 7\r\nServer-Timing: a\r\n\r\n")
        elif path == "/no-length":
            writer.write(b"HTTP/1.1 200 OK\r\nX-Own: 1\r\n\r\nto the end")
            writer.close()
        elif path == "/204":
            writer.write(b"HTTP/1.1 204 None\r\nX-Own: 1\r\n\r\n")
        elif path == "/304":
            writer.write(b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 7\r\n\r\n')
        elif path == "/hints":
            writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            plain(b"hinted")
        elif path == "/gzip":
            plain(b"\x1f\x8b not to be decoded", b"Content-Encoding: gzip")
        elif path == "/big":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n")
            for _ in range(200):
                writer.write(b"b" * 100_000)
                await writer.drain()
        elif path == "/cut":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            await writer.drain()
            writer.transport.abort()
        elif path == "/hang":
            pass
        elif path == "/digest":
            plain(hashlib.sha256(body).hexdigest().encode())
        else:
            plain(b"%s %s %d %s" % (*head.split(b" ")[:2], len(body), body[:50]), b"X-ABC: 1", b"Set-Cookie: a", b"set-cookie: b", b"x-latin: caf\xe9")


@pytest.fixture
def web(servers):  # noqa: F811
    return Web(servers)


# say(...pieces): [all that came, latin-1; 'end' or the error] of a connection on which `pieces` are written, each after its wait.
SAY = r"""
import net from 'node:net';
const out = [], port = Number(process.argv[2]);
const say = (...pieces) => new Promise((done) => {
  let all = '', how = 'open'; const s = net.connect(port, '127.0.0.1');
  const close = pieces.at(-1) === null; if (close) pieces.pop();
  const need = pieces.pop();
  s.setEncoding('latin1');
  s.on('data', (d) => { all += d; if (typeof need === 'string' && all.endsWith(need)) { how = 'enough'; s.destroy(); } });
  s.on('end', () => (how = 'end')); s.on('error', (e) => (how = [e.code, e.posternCode, e.message, e.syscall])); s.on('close', () => done([all, how]));
  s.on('connect', async () => { for (const piece of pieces) { if (s.destroyed) return; s.write(piece, 'latin1'); await new Promise((next) => setTimeout(next, 5)); } if (close) s.end(); });
});
const H = `Host: 127.0.0.1:${port}\r\n`;
"""

TALKS = {
    "get": "await say(`GET /a HTTP/1.1\\r\\n${H}\\r\\n`, 'GET /a 0 ')",
    "byte by byte": "await say(...`GET /b?x=1 HTTP/1.1\\r\\n${H}X-Own:  a b \\t\\r\\n\\r\\n`, 'GET /b?x=1 0 ')",
    "one after another": "await say(`GET /1 HTTP/1.1\\r\\n${H}\\r\\n`, `POST /2 HTTP/1.1\\r\\n${H}Content-Length: 3\\r\\n\\r\\nabc`, `GET /3 HTTP/1.1\\r\\n${H}\\r\\n`, 'GET /3 0 ')",
    "pipelined": "await say(`GET /1 HTTP/1.1\\r\\n${H}\\r\\nPUT /2 HTTP/1.1\\r\\n${H}Content-Length: 3\\r\\n\\r\\nabcDELETE /3 HTTP/1.1\\r\\n${H}\\r\\n`, 'DELETE /3 0 ')",
    "chunked upload": "await say(`POST /c HTTP/1.1\\r\\n${H}transfer-encoding: Chunked\\r\\n\\r\\n3\\r\\nabc\\r\\n`, '0000A;x=\"y\"\\r\\n0123456789\\r', '\\n0\\r\\nX-T: 1\\r\\n', '\\r\\n', 'abc0123456789')",
    "two chunked": "await say(`POST /c HTTP/1.1\\r\\n${H}Transfer-Encoding: chunked\\r\\n\\r\\n1\\r\\na\\r\\n0\\r\\n\\r\\nPOST /d HTTP/1.1\\r\\n${H}Transfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n`, 'POST /d 0 ')",
    "empty post": "await say(`POST /e HTTP/1.1\\r\\n${H}Content-Length: 0\\r\\n\\r\\n`, 'POST /e 0 ')",
    "body in pieces": "await say(`POST /p HTTP/1.1\\r\\n${H}Content-Length: 6\\r\\n\\r\\nab`, 'cd', 'ef', 'POST /p 6 abcdef')",
    "head": "await say(`HEAD /h HTTP/1.1\\r\\n${H}\\r\\n`, `GET /a HTTP/1.1\\r\\n${H}\\r\\n`, 'GET /a 0 ')",
    "204": "await say(`GET /204 HTTP/1.1\\r\\n${H}\\r\\nGET /a HTTP/1.1\\r\\n${H}\\r\\n`, 'GET /a 0 ')",
    "304": "await say(`GET /304 HTTP/1.1\\r\\n${H}\\r\\nGET /a HTTP/1.1\\r\\n${H}\\r\\n`, 'GET /a 0 ')",
    "hints": "await say(`GET /hints HTTP/1.1\\r\\n${H}\\r\\n`, 'hinted')",
    "gzip": "await say(`GET /gzip HTTP/1.1\\r\\n${H}\\r\\n`, 'decoded')",
    "own method": "await say(`PURGE /m HTTP/1.1\\r\\n${H}\\r\\n`, 'PURGE /m 0 ')",
    "half closed": "await say(`POST /z HTTP/1.1\\r\\n${H}Content-Length: 1\\r\\n\\r\\nz`, 'POST /z 1 z', null)",
}


@pytest.mark.parametrize("name", TALKS)
def test_what_is_read_is_what_a_real_socket_has(web, tmp_path, name):
    node, guest = in_both(tmp_path, SAY + f"out.push({TALKS[name]});", str(web.port), policy=allowing(web.host))
    assert guest == node and guest[0][0].startswith("HTTP/1.1 ") and guest[0][1] == "enough"
    count = len(web.requests) // 2
    by_node, by_guest = web.requests[:count], web.requests[count:]
    assert count > 0 and [(h.split(b"\r\n")[0], body) for h, body in by_guest] == [(h.split(b"\r\n")[0], body) for h, body in by_node]


def test_what_has_no_length_is_chunked_and_trailers_follow(postern, web):
    value = postern(SAY + "for (const path of ['/chunked', '/no-length']) out.push(await say(`GET ${path} HTTP/1.1\\r\\n${H}Connection: close\\r\\n\\r\\n`, 0)); __return(out);",
                    args=[str(web.port)], policy=allowing(web.host)).value
    head, _, body = value[0][0].partition("\r\n\r\n")
    assert head == "HTTP/1.1 200 OK\r\nX-Own: 1\r\nTransfer-Encoding: chunked\r\nConnection: close" and value[0][1] == "end"
    assert body.endswith("\r\n0\r\nX-Sum: 7\r\nServer-Timing: a\r\n\r\n") and sum(int(line, 16) for line in body.split("\r\n")[0:1]) in (2, 7)
    assert value[1][0].endswith("\r\n\r\na\r\nto the end\r\n0\r\n\r\n") and value[1][1] == "end"


def test_early_answers_end_where_the_connection_does(postern, web):
    """What is still written is nobody's, and the next request is answered."""
    value = postern(SAY + """
      out.push(await say(`POST /early HTTP/1.1\\r\\n${H}Content-Length: 3000000\\r\\n\\r\\n`, 'x'.repeat(1_000_000), 'x'.repeat(2_000_000), `GET /a HTTP/1.1\\r\\n${H}\\r\\n`, 'GET /a 0 '));
      __return(out);""", args=[str(web.port)], policy=allowing(web.host)).value
    assert value[0][0].startswith("HTTP/1.1 413 Too Much\r\n") and value[0][1] == "enough", value[0]


BAD = {  # the error, and how many requests an origin sees begin
    "two lengths": ("POST / HTTP/1.1\r\n{H}Content-Length: 1\r\nContent-Length: 2\r\n\r\nabGET /x", "more than one length", 0),
    "two equal lengths": ("POST / HTTP/1.1\r\n{H}Content-Length: 1\r\nContent-Length: 1\r\n\r\na", "more than one length", 0),
    "length and chunked": ("POST / HTTP/1.1\r\n{H}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n{H}\r\n", "more than one length", 0),
    "length with a plus": ("POST / HTTP/1.1\r\n{H}Content-Length: +1\r\n\r\na", "Content-Length", 0),
    "length in a list": ("POST / HTTP/1.1\r\n{H}Content-Length: 1, 1\r\n\r\na", "Content-Length", 0),
    "length too large": ("POST / HTTP/1.1\r\n{H}Content-Length: 99999999999999999999\r\n\r\na", "Content-Length", 0),
    "length empty": ("POST / HTTP/1.1\r\n{H}Content-Length:\r\n\r\na", "Content-Length", 0),
    "coding unknown": ("POST / HTTP/1.1\r\n{H}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding", 0),
    "coding with a vertical tab": ("POST / HTTP/1.1\r\n{H}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", "a header field", 0),
    "lines of lf": ("GET / HTTP/1.1\n{H}\n", "its first line is no HTTP/1.1", 0),
    "a bare lf": ("GET / HTTP/1.1\r\n{H}X: a\nTransfer-Encoding: chunked\r\n\r\n", "CR or LF alone", 0),
    "a bare cr": ("GET / HTTP/1.1\r\n{H}X: a\rY: b\r\n\r\n", "CR or LF alone", 0),
    "a nul": ("GET / HTTP/1.1\r\n{H}X: a\0\r\n\r\n", "NUL", 0),
    "a folded field": ("GET / HTTP/1.1\r\n{H}X: a\r\n b: c\r\n\r\n", "a header field", 0),
    "a blank before the colon": ("GET / HTTP/1.1\r\n{H}Content-Length : 5\r\n\r\nGET /x", "a header field", 0),
    "no colon": ("GET / HTTP/1.1\r\n{H}abc\r\n\r\n", "a header field", 0),
    "no host": ("GET / HTTP/1.1\r\nX: y\r\n\r\n", "no single Host", 0),
    "two hosts": ("GET / HTTP/1.1\r\n{H}{H}\r\n", "no single Host", 0),
    "another host": ("GET / HTTP/1.1\r\nHost: internal.test\r\n\r\n", 'its Host is "internal.test", and the connection is to 127.0.0.1:', 0),
    "another port": ("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 'its Host is "127.0.0.1"', 0),
    "a host with user info": ("GET / HTTP/1.1\r\nHost: x@127.0.0.1:{P}\r\n\r\n", "its Host is", 0),
    "an absolute target": ("GET http://127.0.0.1:{P}/ HTTP/1.1\r\n{H}\r\n", "is no path", 0),
    "an asterisk": ("OPTIONS * HTTP/1.1\r\n{H}\r\n", "is no path", 0),
    "a head too long": ("GET / HTTP/1.1\r\n{H}" + "X: " + "a" * 70_000, "its head is too long", 0),
    "a head too long, whole": ("GET / HTTP/1.1\r\n{H}" + "X: " + "a" * 70_000 + "\r\n\r\n", "its head is too long", 0),
    "half a head": ("GET / HTTP/1.1\r\n{H}X: y", "it ends too early", 0),
    "half a body": ("POST / HTTP/1.1\r\n{H}Content-Length: 9\r\n\r\nhalf", "it ends too early", None),
    "half a chunk": ("POST / HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n9\r\nhalf", "it ends too early", None),
    "chunk size huge": ("POST / HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc", "a chunk's size", None),
    "chunk size negative": ("POST / HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n-1\r\nabc", "a chunk's size", None),
    "chunk size with 0x": ("POST / HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n", "a chunk's size", None),
    "chunk size with lf": ("POST / HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n", "CR or LF alone", None),
    "chunk line too long": ("POST / HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n3;" + "x" * 5000, "a chunk's size is too long", None),
    "chunk longer than it says": ("POST / HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n", "a chunk is too long", None),
    "trailers too long": ("POST / HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n0\r\n" + ("X: " + "a" * 9000 + "\r\n") * 8, "a trailer is too long", None),
    "a trailer that is none": ("POST / HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n0\r\nGET /x HTTP/1.1\r\n\r\n", "a header field", None),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_malformed_is_an_error_and_never_two_requests(postern, web, name):
    text, said, begun = BAD[name]
    text = json.dumps(text).replace("{H}", "' + H + '").replace("{P}", "' + port + '").replace("'", '"')
    value = postern(SAY + f"__return([await say({text}, 0, null), await say(`GET /first HTTP/1.1\\r\\n${{H}}\\r\\n` + {text}, 0, null)]);", args=[str(web.port)],
                    policy=allowing(web.host)).value
    (first, error), (second, error_then) = value
    if said == "its first line is no HTTP/1.1":  # what begins a connection may be another protocol
        assert error[:2] == ["EACCES", "ERR_STREAM_DENIED"] and error_then[2].endswith("in CR or LF alone, or holds a NUL")
    else:
        assert error[:2] == error_then[:2] == ["ERR_HTTP_PROTOCOL"] * 2 and said in error[2] and said in error_then[2], value
    assert first == "" and second.endswith("GET /first 0 ")
    # Of what was malformed nothing came whole, nor anything that stood within it.
    assert [head.split(b" ")[1] for head, _ in web.requests] == [b"/first"]
    assert begun is None or len(web.begun) == begun + 1


OTHERS = ["*1\\r\\n$4\\r\\nPING\\r\\n", "SSH-2.0-x\\r\\n", "\\x16\\x03\\x01\\x00", "PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n", "get foo\\r\\n", "\\0\\0\\0\\x08\\x04\\xd2\\x16\\x2f", "GET / HTTP/1.0\\r\\n\\r\\n",
          "GET /\\r\\n", "GET  / HTTP/1.1\\r\\n", "GET / HTTP/1.12\\r\\n", "\\r\\nGET / HTTP/1.1\\r\\n", "GET / http/1.1\\r\\n", "EHLO a b c\\r\\n", "GET /\\tHTTP/1.1\\r\\n", "CONNECT a.test:443 HTTP/1.1\\r\\nHost: 127.0.0.1:' + port + '\\r\\n\\r\\n"]


@pytest.mark.parametrize("bytes", OTHERS)
def test_other_protocols_are_denied_as_the_stream_was(postern, web, bytes):
    value = postern(SAY + f"__return(await say('{bytes}', 0));", args=[str(web.port)], policy=allowing(web.host)).value
    where = f"127.0.0.1:{web.port}"
    assert value == ["", ["EACCES", "ERR_STREAM_DENIED", f"network access to {where} is denied: its rules allow HTTP, and no TCP stream; add --allow-net=tcp://{where}", "connect"]]
    assert web.connections == 0


def test_who_waits_for_the_server_to_speak_first_is_told(postern, web):
    result = postern(SAY + "__return(await say(0));", args=[str(web.port)], policy=allowing(web.host))
    assert result.value[0] == "" and result.value[1][:2] == ["EACCES", "ERR_STREAM_DENIED"] and 4 < result.seconds < 15


def test_no_rule_for_the_host_denies_the_connection_itself(postern, web):
    code = SAY + "let connected = false; const s = net.connect(port, '127.0.0.1', () => (connected = true)); s.write('GET / HTTP/1.1\\r\\n\\r\\n'); s.on('error', (e) => __return([connected, e.code, e.posternCode, e.syscall]));"
    for policy in (allowing("other.test"), allowing("127.0.0.1:1"), allowing("127.0.0.1", {"deny": f"tcp://{web.host}"})):
        assert postern(code, args=[str(web.port)], policy=policy).value == [False, "EACCES", "ERR_NETWORK_DENIED", "connect"]
    assert postern(code, args=[str(web.port)]).value == [False, "EACCES", "ERR_NETWORK_DENIED", "connect"]


def test_rules_are_about_each_request(postern, web):
    policy = allowing({"allow": f"http://{web.host}", "methods": ["GET"], "paths": ["/v1/**"]})
    value = postern(SAY + """
      for (const line of ['GET /v2', 'POST /v1/a', 'GET /v1/..%2fv2', 'TRACE /v1/a'])
        out.push(await say(`GET /v1/ok HTTP/1.1\\r\\n${H}\\r\\n${line} HTTP/1.1\\r\\n${H}\\r\\n`, 0));
      out.push(await say(`GET /v1/ok HTTP/1.1\\r\\n${H}X-HTTP-Method-Override: DELETE\\r\\n\\r\\n`, 0));
      __return(out);""", args=[str(web.port)], policy=policy).value
    for text, error in value:
        assert error[:2] == ["EACCES", "ERR_NETWORK_DENIED"], error
    assert all(text.endswith("GET /v1/ok 0 ") for text, _ in value[:4]) and "allows GET only, not POST" in value[1][1][2]
    assert {head.split(b" ")[1] for head in web.begun} == {b"/v1/ok"}


def test_errors_of_the_network_come_after_what_came(postern, origin, web):
    value = postern(SAY + """
      out.push(await say(`GET /cut HTTP/1.1\\r\\n${H}\\r\\n`, 0));
      const s = net.connect(Number(process.argv[3]), '127.0.0.1'); s.write(`GET / HTTP/1.1\\r\\nHost: 127.0.0.1:${process.argv[3]}\\r\\n\\r\\n`);
      s.on('error', (e) => { out.push(e.code, e.posternCode); __return(out); });""", args=[str(web.port), origin.refused.split(":")[1]], policy=allowing(web.host, origin.refused)).value
    assert value[0][0].endswith("\r\n\r\nhalf") and value[0][1][0] == "ECONNRESET" and value[1:] == ["ECONNREFUSED", "ERR_CONNECTION_REFUSED"]


def test_large_bodies_both_ways_wait_for_who_reads(postern, web):
    """A guest that reads slowly, and sends as fast as it can, stays small."""
    result = postern(SAY + """
      const s = net.connect(port, '127.0.0.1'); const size = 20_000_000; let got = 0, waits = 0, text = '';
      s.write(`GET /big HTTP/1.1\\r\\n${H}\\r\\n`);
      for await (const piece of s) { got += piece.length; if (++waits % 20 === 0) await new Promise((next) => setTimeout(next, 1)); if (got > size) break; }
      const up = net.connect(port, '127.0.0.1'); up.on('data', (d) => { text += d; if (/[0-9a-f]{64}$/.test(text)) up.end(); });
      up.write(`POST /digest HTTP/1.1\\r\\n${H}Content-Length: ${size}\\r\\n\\r\\n`);
      for (let n = 0; n < size; n += 100_000) if (!up.write(Buffer.alloc(100_000, 'u'))) await new Promise((next) => up.once('drain', next));
      await new Promise((done) => up.on('close', done));
      __return([got > size, text.slice(-64), process.memoryUsage().heapUsed < 60_000_000]);""", args=[str(web.port)], policy=allowing(web.host))
    assert result.value == [True, hashlib.sha256(b"u" * 20_000_000).hexdigest(), True]


def test_over_tls(postern, origin, certificates):
    port = origin.tls["good"]
    value = postern("""
      import tls from 'node:tls'; import net from 'node:net'; const port = Number(process.argv[2]), host = 'good.test';
      const ask = (s) => new Promise((done) => { let all = ''; s.write(`GET /ok HTTP/1.1\\r\\nHost: ${host}:${port}\\r\\nConnection: close\\r\\n\\r\\n`); s.on('data', (d) => (all += d)); s.on('end', () => done(all.split('\\r\\n')[0])); s.on('error', (e) => done(e.posternCode)); });
      const first = await new Promise((done) => { const s = tls.connect({ host, port, servername: host }, () => done(ask(s))); });
      const later = await new Promise((done) => { const plain = net.connect(port, host, () => { const s = tls.connect({ socket: plain, servername: host }, () => done(ask(s))); }); });
      __return([first, later, await new Promise((done) => { const s = net.connect(port, host, () => done(ask(s))); })]);""", args=[str(port)], policy=named(certificates, f"https://good.test:{port}")).value
    assert value == ["HTTP/1.1 200 OK", "HTTP/1.1 200 OK", "ERR_NETWORK_DENIED"]  # an https rule allows no http


def test_a_bad_certificate_is_an_error(postern, origin, certificates):
    port = origin.tls["expired"]
    code = """import tls from 'node:tls'; const port = Number(process.argv[2]); const s = tls.connect({ host: 'good.test', port }, () => s.write(`GET /ok HTTP/1.1\\r\\nHost: good.test:${port}\\r\\n\\r\\n`));
      s.on('error', (e) => __return(e.posternCode)); s.on('data', () => __return('data'));"""
    assert postern(code, args=[str(port)], policy=named(certificates, f"good.test:{port}")).value == "ERR_TLS_CERTIFICATE"


def test_a_connection_that_is_idle_keeps_no_run_going(postern, web):
    result = postern(SAY + "const s = net.connect(port, '127.0.0.1'); s.write(`GET /a HTTP/1.1\\r\\n${H}\\r\\n`); s.on('data', (d) => __return(String(d).slice(-9)));", args=[str(web.port)],
                     policy=allowing(web.host))
    assert result.value == "GET /a 0 " and result.seconds < 4


def test_what_is_written_before_a_connection_that_fails_is_answered_as_in_node(origin, tmp_path):
    code = """import net from 'node:net'; const out = []; const s = net.connect(Number(process.argv[2]), '127.0.0.1'); s.on('error', (e) => out.push(e.code));
      s.write('a', (e) => out.push('a', e.code)); s.end('b', (e) => out.push('b', e.code)); await new Promise((done) => s.on('close', () => setTimeout(done, 10)));"""
    node, guest = in_both(tmp_path, code, origin.refused.split(":")[1], policy=allowing(f"tcp://{origin.refused}"))
    assert guest == node and node[0] == "ECONNREFUSED"


# ---- undici of npm, with its own sockets and parser

UNDICI = r"""
import { Agent, Client, Pool, request, stream } from 'undici';
import { Readable, Writable } from 'node:stream';
const base = `http://127.0.0.1:${process.argv[2]}`, out = [], dispatcher = new Agent();
const shown = async (r) => [r.statusCode, await r.body.text(), r.headers['x-abc'], r.headers['set-cookie'], r.headers['content-length'], r.trailers];
"""
CALLS = {
    "get": "out.push(await shown(await request(base + '/a?b=c', { dispatcher })));",
    "post": "out.push(await shown(await request(base + '/p', { dispatcher, method: 'POST', body: 'hello', headers: { 'X-Own': 'v' } })));",
    "post a stream": "out.push(await shown(await request(base + '/s', { dispatcher, method: 'POST', body: Readable.from(['a', 'b', 'c'].map(Buffer.from)) })));",
    "head": "out.push(await shown(await request(base + '/h', { dispatcher, method: 'HEAD' })), await shown(await request(base + '/a', { dispatcher })));",
    "trailers": "out.push((await shown(await request(base + '/chunked', { dispatcher }))).toSpliced(4, 1));",
    "204": "for (const path of ['/204', '/a']) out.push(await shown(await request(base + path, { dispatcher })));",
    "hints": "out.push(await shown(await request(base + '/hints', { dispatcher, onInfo: (i) => out.push(i.statusCode, i.headers.link) })));",
    "a stream down": "let n = 0; await stream(base + '/big', { dispatcher }, () => new Writable({ write(c, _, next) { n += c.length; next(); } })); out.push(n);",
    "kept alive": "const client = new Client(base); for (let i = 0; i < 5; i++) out.push(await shown(await client.request({ path: '/' + i, method: 'GET' }))); await client.close();",
    "pipelined": "const client = new Client(base, { pipelining: 4 }); out.push(...(await Promise.all([1, 2, 3, 4].map((i) => client.request({ path: '/' + i, method: 'GET' }).then(shown))))); await client.close();",
    "a pool": "const pool = new Pool(base, { connections: 3 }); out.push(...(await Promise.all([1, 2, 3, 4, 5, 6].map((i) => pool.request({ path: '/' + i, method: 'PUT', body: 'x'.repeat(i) }).then(shown))))); await pool.destroy();",
    "abort": "const c = new AbortController(); setTimeout(() => c.abort(), 50); out.push(await request(base + '/hang', { dispatcher, signal: c.signal }).catch((e) => [e.name, e.code])); out.push(await shown(await request(base + '/a', { dispatcher })));",
    "abort of a body": "const r = await request(base + '/big', { dispatcher }); r.body.destroy(); r.body.on('error', () => {}); out.push(r.statusCode, await shown(await request(base + '/a', { dispatcher })));",
    "cut short": "out.push(await request(base + '/cut', { dispatcher }).then((r) => r.body.text()).catch((e) => e.name.endsWith('Error')));",
}


@pytest.mark.parametrize("name", CALLS)
def test_undici_does_as_in_node(installed, web, name):
    node, guest = in_both(installed, UNDICI + CALLS[name] + "await dispatcher.destroy();", str(web.port), policy=allowing(web.host))
    assert guest == node and len(guest) > 0


def test_undici_is_told_why_it_is_refused(installed, web):
    policy = allowing({"allow": f"http://{web.host}", "paths": ["/ok"]})
    (installed / "policy.json").write_text(json.dumps(policy))
    (installed / "job.mjs").write_text(UNDICI + "__return(await request(base + '/no', { dispatcher }).catch((e) => [e.code, e.posternCode, e.message]));")
    done = subprocess.run([POSTERN, "run", "--json", f"--policy={installed}/policy.json", installed / "job.mjs", str(web.port)], capture_output=True, text=True, timeout=60)
    code, postern_code, message = json.loads(done.stdout)["value"]
    assert (code, postern_code) == ("EACCES", "ERR_NETWORK_DENIED") and "is sure to match /no" in message
    assert our_processes() == []


def test_undici_s_websocket_speaks_as_in_node(installed, chat):  # noqa: F811
    code = """
      import { WebSocket } from 'undici'; const out = [];
      const s = new WebSocket(`ws://127.0.0.1:${process.argv[2]}/chat`); s.binaryType = 'arraybuffer';
      const next = () => new Promise((done) => { s.onmessage = (e) => done(e.data); s.onerror = (e) => done(['error', e.message]); });
      await new Promise((done) => { s.onopen = done; s.onerror = done; });
      for (const word of ['hello', 'é'.repeat(40_000)]) { s.send(word); out.push(await next()); }
      s.send('close'); out.push(await new Promise((done) => (s.onclose = (e) => done([e.code, e.reason, e.wasClean]))));"""
    node, guest = in_both(installed, code, chat[0], policy=allowing(f"127.0.0.1:{chat[0]}"))
    assert guest == node and guest[0] == "hello"
