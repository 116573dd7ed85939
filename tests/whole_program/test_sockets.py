"""TCP sockets and WebSockets: the same policy, guard and limits as fetch, against redis, a STARTTLS server and websockets."""

import asyncio
import base64
import hashlib
import json
import socket
import ssl
import subprocess
import threading

import pytest
import websockets
from conftest import allowing
from ports import free_port


class Servers:
    """asyncio servers in a thread of their own."""

    def __init__(self):
        self.loop, self.ready, self.seen, self._contexts = asyncio.new_event_loop(), threading.Event(), [], []

    def __enter__(self):
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self.ready.wait(10)
        return self

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.call_soon(self.ready.set)
        self.loop.run_forever()

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def start(self, make):
        """Runs `make`, a coroutine that gives a server; returns its port."""
        server = asyncio.run_coroutine_threadsafe(make, self.loop).result(10)
        return server.sockets[0].getsockname()[1]


@pytest.fixture
def servers():
    with Servers() as s:
        yield s


def named(certificates, *rules, **limits):
    policy = allowing(*({"allow": r, "addresses": ["127.0.0.0/8"]} for r in rules), **limits)
    policy["network"]["dns"] = {"hosts": {"good.test": "127.0.0.1"}}
    policy["network"]["tls"] = {"ca_file": str(certificates[1])}
    return policy


# ---- TCP

TCP = """
import { connect } from 'postern:sockets';
const text = (bytes) => new TextDecoder().decode(bytes), bytes = (t) => new TextEncoder().encode(t);
const [port, ...rest] = process.argv.slice(2);
const failed = (e) => [e.name, e.message, e.cause?.code ?? null];
"""


@pytest.fixture
def echo(servers):
    async def serve(reader, writer):
        servers.seen.append("connected")
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write(b"[end]")
        writer.close()

    return servers.start(asyncio.start_server(serve, "127.0.0.1", 0))


def test_tcp_echo_and_half_close(postern, echo):
    result = postern(TCP + """
      const s = connect(`127.0.0.1:${port}`);
      const info = await s.opened;
      const w = s.writable.getWriter();
      await w.write(bytes('hello ')); await w.write(bytes('world')); await w.close();
      let all = '';
      for await (const piece of s.readable) all += text(piece);
      await s.closed;
      __return([all, info.remoteAddress, s.secureTransport, s.upgraded]);""", args=[str(echo)], policy=allowing(f"tcp://127.0.0.1:{echo}"))
    assert result.value == ["hello world[end]", f"127.0.0.1:{echo}", "off", False]
    assert result.json["usage"]["bytesIn"] == 16 and result.json["usage"]["bytesOut"] == 11


def test_tcp_moves_megabytes_both_ways(postern, echo):
    result = postern(TCP + """
      const s = connect({ hostname: '127.0.0.1', port: Number(port) });
      const size = 20_000_000, piece = new Uint8Array(100_000).fill(7);
      (async () => { const w = s.writable.getWriter(); for (let n = 0; n < size; n += piece.length) await w.write(piece); await w.close(); })();
      let n = 0, sum = 0;
      for await (const p of s.readable) { n += p.length; sum += p[0]; }
      __return([n, sum > 0]);""", args=[str(echo)], policy=allowing(f"tcp://127.0.0.1:{echo}"))
    assert result.value == [20_000_005, True]


@pytest.mark.parametrize("rule,target,code", [
    ("127.0.0.1", "127.0.0.1:{echo}", "ERR_STREAM_DENIED"),  # an http rule grants no stream
    ("https://127.0.0.1:{echo}", "127.0.0.1:{echo}", "ERR_STREAM_DENIED"),
    ("127.0.0.1:1", "127.0.0.1:{echo}", "ERR_NETWORK_DENIED"),
    ("tcp://127.0.0.1:1", "127.0.0.1:{echo}", "ERR_NETWORK_DENIED"),
    ("tcp://*:{echo}", "127.0.0.1:{echo}", "ERR_ADDRESS_BLOCKED"),
    ("tcp://*:{echo}", "0x7f.1:{echo}", "ERR_ADDRESS_BLOCKED"),
    ("tcp://*:{echo}", "[::ffff:127.0.0.1]:{echo}", "ERR_ADDRESS_BLOCKED"),
    ("tcp://127.0.0.1:{refused}", "127.0.0.1:{refused}", "ERR_CONNECTION_REFUSED"),
])
def test_tcp_is_decided_like_anything_else(postern, servers, origin, echo, rule, target, code):
    names = {"echo": echo, "refused": origin.refused.split(":")[1]}
    result = postern(TCP + """
      const s = connect(rest[0]);
      const both = await Promise.allSettled([s.opened, s.closed, s.readable.getReader().read(), s.writable.getWriter().write(bytes('x'))]);
      __return(both.map((r) => r.status === 'rejected' ? r.reason.cause?.code : r.status));""",
                     args=["0", target.format(**names)], policy=allowing(rule.format(**names)))
    assert result.value == [code] * 4
    assert servers.seen == []


def test_tcp_without_permission_or_adapter(postern, echo):
    code = TCP + "__return(await connect(`127.0.0.1:${port}`).opened.catch(failed));"
    assert postern(code, args=[str(echo)]).value[1].endswith(f"has no network permission; add --allow-net=127.0.0.1:{echo} for HTTP, or --allow-net=tcp://127.0.0.1:{echo}")
    denied = postern(code, "--adapter=none", f"--allow-net=tcp://127.0.0.1:{echo}", args=[str(echo)])
    assert denied.value == ["TypeError", "connect failed: network permitted but no host network adapter configured", "ERR_NO_NETWORK_ADAPTER"]


@pytest.mark.parametrize("argument", ["'no port'", "'a:99999999'", "{ hostname: '', port: 1 }", "{ hostname: 'a', port: 0 }", "'a:1', { secureTransport: 'maybe' }",
                                      "'a:1', { allowHalfOpen: true }"])
def test_bad_arguments(postern, argument):
    result = postern(TCP + f"let e; try {{ connect({argument}); }} catch (x) {{ e = x.name; }} __return(e);")
    assert result.value == "TypeError"


def test_tls_from_the_start(postern, origin, certificates):
    result = postern(TCP + """
      const s = connect(`good.test:${port}`, { secureTransport: 'on' });
      const w = s.writable.getWriter();
      await w.write(bytes('GET /ok HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'));
      const r = s.readable.getReader();
      __return(text((await r.read()).value).split('\\r\\n')[0]);
      await s.close();""", args=[str(origin.tls["good"])], policy=named(certificates, f"tcp://good.test:{origin.tls['good']}"))
    assert result.value == "HTTP/1.1 200 OK"


@pytest.mark.parametrize("name", ["expired", "wrongname", "selfsigned"])
def test_tls_with_a_bad_certificate(postern, origin, certificates, name):
    port = origin.tls[name]
    result = postern(TCP + "__return(await connect(`good.test:${port}`, { secureTransport: 'on' }).opened.catch(failed));", args=[str(port)],
                     policy=named(certificates, f"tcp://good.test:{port}"))
    assert result.value[2] == "ERR_TLS_CERTIFICATE", result.value


def starttls_server(servers, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    def serve(connection):
        with connection:
            connection.sendall(b"220 ready\r\n")
            assert connection.recv(100) == b"STARTTLS\r\n"
            connection.sendall(b"220 go\r\n")
            try:
                secured = context.wrap_socket(connection, server_side=True)
            except (ssl.SSLError, OSError):
                return
            with secured:
                while data := secured.recv(65536):
                    secured.sendall(b"secured " + data)

    def listen(listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=listen, args=(listener,), daemon=True).start()
    return listener


STARTTLS = TCP + """
const s = connect(`good.test:${port}`, { secureTransport: 'starttls' });
let r = s.readable.getReader(), w = s.writable.getWriter();
const lines = [text((await r.read()).value)];
await w.write(bytes('STARTTLS\\r\\n'));
lines.push(text((await r.read()).value));
r.releaseLock(); w.releaseLock();
const t = s.startTls();
try {
  await t.opened;
  w = t.writable.getWriter(); r = t.readable.getReader();
  await w.write(bytes('hello'));
  lines.push(text((await r.read()).value), t.secureTransport, s.upgraded);
  await t.close();
} catch (e) { lines.push(failed(e)); }
__return(lines);
"""


def test_start_tls(postern, servers, certificates):
    with starttls_server(servers, certificates[0]["good"]) as listener:
        port = listener.getsockname()[1]
        result = postern(STARTTLS, args=[str(port)], policy=named(certificates, f"tcp://good.test:{port}"))
        assert result.value == ["220 ready\r\n", "220 go\r\n", "secured hello", "on", True]


@pytest.mark.parametrize("name", ["expired", "wrongname", "selfsigned"])
def test_start_tls_with_a_bad_certificate(postern, servers, certificates, name):
    with starttls_server(servers, certificates[0][name]) as listener:
        port = listener.getsockname()[1]
        result = postern(STARTTLS, args=[str(port)], policy=named(certificates, f"tcp://good.test:{port}"))
        assert result.value[2][2] == "ERR_TLS_CERTIFICATE", result.value


def test_a_database_client_works(postern, tmp_path):
    """redis, spoken by a client of a few lines."""
    port = free_port()
    redis = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)],
                             stdout=subprocess.PIPE, text=True)
    try:
        while "eady to accept connections" not in redis.stdout.readline():
            assert redis.poll() is None
        result = postern(TCP + """
          const s = connect(`127.0.0.1:${port}`), w = s.writable.getWriter(), r = s.readable.getReader();
          const ask = async (...words) => {
            await w.write(bytes(`*${words.length}\\r\\n` + words.map((x) => `$${x.length}\\r\\n${x}\\r\\n`).join('')));
            return text((await r.read()).value).trim();
          };
          __return([await ask('PING'), await ask('SET', 'k', 'v'), await ask('GET', 'k')]);
          await s.close();""", args=[str(port)], policy=allowing(f"tcp://127.0.0.1:{port}"))
        assert result.value == ["+PONG", "+OK", "$1\r\nv"]
    finally:
        redis.terminate()
        redis.communicate(timeout=10)


def test_an_idle_stream_ends(postern, origin):
    result = postern(TCP + "const s = connect(`127.0.0.1:${port}`); __return(await s.readable.getReader().read().catch(failed));", args=[origin.silent.split(":")[1]],
                     policy=allowing(f"tcp://{origin.silent}", stream_idle_timeout="400ms"))
    assert result.value[2] == "ERR_BODY_TIMEOUT" and "stream_idle_timeout" in result.value[1]
    assert result.seconds < 3


def test_streams_count_towards_the_totals_and_the_log(postern, echo, tmp_path):
    policy = allowing(f"tcp://127.0.0.1:{echo}", total_bytes="1kB")
    log = tmp_path / "log"
    result = postern(TCP + """
      const s = connect(`127.0.0.1:${port}`), w = s.writable.getWriter();
      w.write(new Uint8Array(5000)).catch(() => {});
      const e = await s.closed.catch(failed), r = await s.readable.getReader().read().catch(failed);
      __return(r);""", f"--audit-log={log}", args=[str(echo)], policy=policy)
    assert result.value[2] == "ERR_LIMIT" and "total_bytes" in result.value[1]
    decision, end = [json.loads(line) for line in log.read_text().splitlines()]
    assert (decision["method"], decision["url"], decision["decision"]) == ("CONNECT", f"tcp://127.0.0.1:{echo}", "allow")
    assert end["error"]["code"] == "ERR_LIMIT" and end["address"] == f"127.0.0.1:{echo}"


# ---- WebSocket

WS = """
const [port, host = '127.0.0.1', scheme = 'ws', path = '/', ...protocols] = process.argv.slice(2);
const log = [];
const open = (p = protocols) => {
  const ws = new WebSocket(`${scheme}://${host}:${port}${path}`, p);
  ws.binaryType = 'arraybuffer';
  for (const t of ['open', 'message', 'error', 'close']) ws.addEventListener(t, (e) => {
    if (t === 'message') log.push([t, typeof e.data === 'string' ? e.data : [...new Uint8Array(e.data)]]);
    else if (t === 'close') log.push([t, e.code, e.reason, e.wasClean]);
    else if (t === 'error') log.push([t, e.message, e.error?.cause?.code ?? null]);
    else log.push([t, ws.protocol, ws.extensions !== '']);
  });
  const next = (t) => new Promise((resolve) => ws.addEventListener(t, resolve, { once: true }));
  return { ws, next };
};
"""


@pytest.fixture
def ws(servers):
    """ws(handler, **options): the port of a WebSocket server."""

    def start(handler, **options):
        async def make():
            return await websockets.serve(handler, "127.0.0.1", 0, **options)

        return servers.start(make())

    return start


async def ws_echo(socket, path=None):
    async for message in socket:
        await socket.send(message)


def test_websocket_messages(postern, ws):
    port = ws(ws_echo)
    result = postern(WS + """
      const { ws, next } = open();
      if (ws.readyState !== WebSocket.CONNECTING) throw 1;
      await next('open');
      for (const m of ['text ü', new Uint8Array([0, 255]), 'x'.repeat(200_000), '']) { ws.send(m); await next('message'); }
      ws.close(3001, 'bye');
      await next('close');
      log[3][1] = log[3][1].length;
      __return([log, ws.readyState, ws.bufferedAmount, ws.url]);""", args=[str(port)], policy=allowing(f"ws://127.0.0.1:{port}"))
    log, state, buffered, url = result.value
    assert log == [["open", "", False], ["message", "text ü"], ["message", [0, 255]], ["message", 200_000], ["message", ""], ["close", 3001, "bye", True]]
    assert (state, buffered, url) == (3, 0, f"ws://127.0.0.1:{port}/")


def test_no_compression_is_offered(postern, ws):
    """Beast's zlib is of before CVE-2018-25032."""
    seen = []

    async def handler(socket, path=None):
        seen.append(socket.request_headers.get("Sec-WebSocket-Extensions") if hasattr(socket, "request_headers") else socket.request.headers.get("Sec-WebSocket-Extensions"))
        await ws_echo(socket)

    port = ws(handler)
    code = "const s = new WebSocket(process.argv[2]); await new Promise((done) => { s.onopen = () => s.send('x'.repeat(1000)); s.onmessage = (e) => done(e); }); s.close(); __return(s.extensions);"
    assert postern(code, args=[f"ws://127.0.0.1:{port}/"], policy=allowing(f"ws://127.0.0.1:{port}")).value == ""
    assert seen == [None]


def test_websocket_over_tls_with_a_subprotocol(postern, ws, certificates):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates[0]["good"])
    port = ws(ws_echo, ssl=context, subprotocols=["chat"])
    result = postern(WS + "const { ws, next } = open(); await next('open'); ws.close(); await next('close'); __return(log);",
                     args=[str(port), "good.test", "wss", "/", "other", "chat"], policy=named(certificates, f"wss://good.test:{port}"))
    assert result.value == [["open", "chat", False], ["close", 1000, "", True]] or result.value[1][1] in (1000, 1005)


def test_a_server_that_closes(postern, ws):
    async def handler(socket, path=None):
        await socket.send("one")
        await socket.close(4000, "enough")

    port = ws(handler)
    result = postern(WS + "const { next } = open(); await next('close'); __return(log);", args=[str(port)], policy=allowing(f"ws://127.0.0.1:{port}"))
    assert result.value == [["open", "", False], ["message", "one"], ["close", 4000, "enough", True]]


def test_a_server_that_vanishes(postern, ws):
    async def handler(socket, path=None):
        await socket.send("one")
        socket.transport.abort()

    port = ws(handler)
    result = postern(WS + "const { next } = open(); await next('close'); __return(log);", args=[str(port)], policy=allowing(f"ws://127.0.0.1:{port}"))
    assert result.value[-1] == ["close", 1006, "", False] and result.value[-2][0::2] == ["error", "ERR_CONNECTION_RESET"]


@pytest.mark.parametrize("rule,code", [("ws://127.0.0.1:1", "ERR_NETWORK_DENIED"), ("*", "ERR_ADDRESS_BLOCKED"), ("https://127.0.0.1:{port}", "ERR_NETWORK_DENIED")])
def test_websocket_is_decided_like_anything_else(postern, ws, rule, code):
    port = ws(ws_echo)
    result = postern(WS + "const { next } = open(); await next('close'); __return(log);", args=[str(port)], policy=allowing(rule.format(port=port)))
    assert [e[0] for e in result.value] == ["error", "close"] and result.value[0][2] == code and result.value[1] == ["close", 1006, "", False]


@pytest.mark.parametrize("begin", ["const s = new WebSocket('ws://127.0.0.1:1/'); return new Promise((done) => { s.onerror = done; });",
                                   "return fetch('http://127.0.0.1:1/', { method: 'POST', body: new ReadableStream({}), duplex: 'half' }).catch(() => {});"])
def test_refused_uploads_give_their_places_back(postern, begin):
    """More than there are places at once: the others would wait in the queue for ever, or for its time-out."""
    code = f"const all = []; for (let i = 0; i < 200; i++) all.push((() => {{ {begin} }})()); await Promise.all(all); __return(all.length);"
    result = postern(code, policy=allowing("http://127.0.0.1:2"), timeout=20)
    assert result.value == 200 and result.seconds < 10


def test_paths_decide_about_websockets(postern, ws):
    port = ws(ws_echo)
    policy = allowing({"allow": f"ws://127.0.0.1:{port}", "paths": ["/allowed"]})
    for path, kind in (("/allowed", "open"), ("/other", "error")):
        result = postern(WS + "const { ws, next } = open(); await Promise.race([next('open'), next('close')]); ws.close(); __return(log[0][0]);",
                         args=[str(port), "127.0.0.1", "ws", path], policy=policy)
        assert result.value == kind


@pytest.mark.parametrize("path,code", [("/ok", "ERR_WEBSOCKET"), ("/silence", "ERR_RESPONSE_TIMEOUT"), ("/not-http", "ERR_WEBSOCKET"), ("/close", "ERR_RESPONSE_INCOMPLETE"),
                                       ("/endless-headers", "ERR_WEBSOCKET")])
def test_what_is_no_websocket_server(postern, origin, path, code):
    result = postern(WS + "const { next } = open(); await next('close'); __return(log);", args=[origin.http.split(":")[1], "127.0.0.1", "ws", path],
                     policy=allowing(f"ws://{origin.http}", headers_timeout="500ms"))
    assert result.value[0][2] == code, result.value
    assert result.seconds < 3


def test_a_message_that_is_too_large(postern, ws):
    async def handler(socket, path=None):
        await socket.send("x" * 100_000)  # compresses to nearly nothing

    port = ws(handler)
    result = postern(WS + "const { next } = open(); await next('close'); __return(log);", args=[str(port)],
                     policy=allowing(f"ws://127.0.0.1:{port}", message_bytes="50kB"))
    assert result.value[1][0::2] == ["error", "ERR_LIMIT"] and "message_bytes" in result.value[1][1]
    result = postern(WS + "const { ws, next } = open(); await next('open'); ws.send('x'.repeat(60_000)); await next('close'); __return(log);", args=[str(port := ws(ws_echo))],
                     policy=allowing(f"ws://127.0.0.1:{port}", message_bytes="50kB"))
    assert result.value[-1] == ["close", 1006, "", False]


def test_pings_keep_a_quiet_websocket(postern, ws):
    async def handler(socket, path=None):
        await asyncio.sleep(1.5)
        await socket.send("late")

    port = ws(handler)
    result = postern(WS + "const { ws, next } = open(); await next('message'); ws.close(); __return(log[1]);", args=[str(port)],
                     policy=allowing(f"ws://127.0.0.1:{port}", idle_timeout="600ms"))
    assert result.value == ["message", "late"]


def switches(servers, fields=(), frames=b""):
    """The port of a server that switches to WebSocket with `fields` besides, sends `frames`, and then only reads."""

    async def serve(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = [line.split(": ")[1] for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key")][0]
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        answer = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}", *fields]
        writer.write("\r\n".join(answer).encode() + b"\r\n\r\n" + frames)
        while await reader.read(1000):
            pass
        writer.close()

    return servers.start(asyncio.start_server(serve, "127.0.0.1", 0))


def test_a_peer_that_answers_no_ping_is_gone(postern, servers):
    port = switches(servers)
    result = postern(WS + "const { next } = open(); await next('close'); __return(log);", args=[str(port)],
                     policy=allowing(f"ws://127.0.0.1:{port}", idle_timeout="400ms"))
    assert result.value[-2][0::2] == ["error", "ERR_BODY_TIMEOUT"] and result.seconds < 3


# Of Node.js, whose fetch and WebSocket are undici: [subprotocols, fields of the answer, what is said].
@pytest.mark.parametrize("asked,fields,said", [
    ([], [], None), (["chat"], ["Sec-WebSocket-Protocol: chat"], None), (["a", "chat"], ["sec-websocket-protocol:chat "], None),
    (["chat"], [], "none of the subprotocols"), (["chat"], ["Sec-WebSocket-Protocol:"], "a subprotocol that was not offered"),
    ([], ["Sec-WebSocket-Protocol: chat"], "a subprotocol that was not offered"), (["chat"], ["Sec-WebSocket-Protocol: Chat"], "a subprotocol that was not offered"),
    (["a", "b"], ["Sec-WebSocket-Protocol: a, b"], "a subprotocol that was not offered"), (["a", "b"], ["Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b"], "a subprotocol that was not offered"),
    ([], ["Sec-WebSocket-Extensions: own"], "an extension"), ([], ["Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99"], "an extension"), ([], ["Sec-WebSocket-Extensions:"], "an extension"),
])  # fmt: skip
def test_an_origin_chooses_what_was_offered(postern, servers, asked, fields, said):
    port = switches(servers, fields)
    result = postern(WS + "const { ws, next } = open(); await Promise.race([next('open'), next('error')]); __return(log[0]); process.exit();", args=[str(port), "127.0.0.1", "ws", "/", *asked],
                     policy=allowing(f"ws://127.0.0.1:{port}"))
    if said is None:
        assert result.value == ["open", "chat" if asked else "", False]
    else:
        assert result.value[0::2] == ["error", "ERR_WEBSOCKET"] and f"chose {said}" in result.value[1]


@pytest.mark.parametrize("frames,code", [
    (b"\x82\x7f" + b"\xff" * 8, "ERR_LIMIT"), (b"\x82\x7f\x40" + bytes(7) + b"x", "ERR_LIMIT"), (b"\x02\x01x" + b"\x00\x01x" * 100_000, "ERR_LIMIT"),
    (b"\xc2\x01x", "ERR_WEBSOCKET"), (b"\xf2\x01x", "ERR_WEBSOCKET"), (b"\x82\x81abcdx", "ERR_WEBSOCKET"), (b"\x83\x01x", "ERR_WEBSOCKET"), (b"\x80\x01x", "ERR_WEBSOCKET"), (b"\x01\x01x\x81\x01x", "ERR_WEBSOCKET"),
    (b"\x89\x7e\x00\xc8" + b"x" * 200, "ERR_WEBSOCKET"), (b"\x09\x01x", "ERR_WEBSOCKET"), (b"\x81\x02\xff\xfe", "ERR_WEBSOCKET"), (b"\x88\x01x", "ERR_WEBSOCKET"), (b"\x88\x02\x03\xee", "ERR_WEBSOCKET"),
    (b"\x88\x04\x03\xe8\xff\xff", "ERR_WEBSOCKET"), (b"\x82\x7f" + bytes(7) + b"\x01x", "ERR_WEBSOCKET"), (b"\x82\x7e\x00\x01x", "ERR_WEBSOCKET"),
], ids=lambda value: value[:16].hex() if isinstance(value, bytes) else value)  # fmt: skip
def test_frames_of_a_hostile_origin(postern, servers, frames, code):
    port = switches(servers, frames=frames)
    result = postern(WS + "const { next } = open(); await next('close'); __return(log);", args=[str(port)], policy=allowing(f"ws://127.0.0.1:{port}", message_bytes="64KiB"))
    assert result.value[-1] == ["close", 1006, "", False] and result.value[-2][0::2] == ["error", code]


def test_empty_fragments_are_no_memory(postern, servers):
    port = switches(servers, frames=b"\x02\x01x" + b"\x00\x00" * 200_000 + b"\x80\x01y")
    result = postern(WS + "const { next } = open(); await next('message'); __return(log[1]); process.exit();", args=[str(port)], policy=allowing(f"ws://127.0.0.1:{port}"))
    assert result.value == ["message", [120, 121]]


@pytest.mark.parametrize("code,name", [("new WebSocket('nonsense')", "SyntaxError"), ("new WebSocket('ftp://a')", "SyntaxError"), ("new WebSocket('ws://a/#x')", "SyntaxError"),
                                       ("new WebSocket('ws://a', ['x', 'x'])", "SyntaxError"), ("new WebSocket('ws://a', null); new WebSocket('ws://a', 5); new WebSocket('ws://a', {}); new WebSocket('ws://a', [])", None),
                                       ("new WebSocket('ws://a', { protocols: 'a b' })", "SyntaxError"), ("new WebSocket('ws://a', { headers: 5 })", "TypeError"), ("new WebSocket('ws://a', 'a b')", "SyntaxError"), ("new WebSocket()", "TypeError"),
                                       ("new WebSocket('ws://a').close(1001)", "InvalidAccessError"), ("new WebSocket('ws://a').send('x')", "InvalidStateError")])
def test_websocket_arguments(postern, code, name):
    assert postern(f"let e = null; try {{ {code}; }} catch (x) {{ e = x.name; }} __return(e);").value == name


HEADERS = """
const [url] = process.argv.slice(2);
const ask = (init) => new Promise((done) => { const s = new WebSocket(url, init); s.onmessage = (e) => { done([s.protocol, e.data.split('\\n')]); s.close(); }; s.onerror = (e) => done(e.error?.cause?.code); });
"""


def test_websocket_headers(postern, ws):
    """As Node.js takes them; what fetch leaves out is left out, and what the handshake is made of."""
    async def handler(socket, path=None):
        headers = socket.request_headers if hasattr(socket, "request_headers") else socket.request.headers
        await socket.send("\n".join(f"{k}: {v}" for k, v in headers.raw_items()))

    port = ws(handler, subprotocols=["chat"])
    result = postern(HEADERS + """
      __return([await ask({ headers: { Authorization: 'Bearer t', 'X-Own': '1', Cookie: 'a=b', 'User-Agent': 'mine', Host: 'evil.test', Connection: 'close', 'Sec-WebSocket-Key': 'x', 'sec-websocket-extensions': 'y', 'Content-Length': '5', Upgrade: 'h2c' }, protocols: ['chat'] }),
                await ask({ headers: new Headers([['X-a', '1'], ['X-a', '2']]) }), await ask({ protocols: 'chat' }), await ask({}), await ask(['chat'])]);""",
                     args=[f"ws://127.0.0.1:{port}/"], policy=allowing(f"ws://127.0.0.1:{port}"))
    (protocol, own), (_, listed), *others = result.value
    assert protocol == "chat" and {"Authorization: Bearer t", "X-Own: 1", "Cookie: a=b", "User-Agent: mine", f"Host: 127.0.0.1:{port}"} <= set(own)
    assert not any(line in own for line in ("Sec-WebSocket-Key: x", "Connection: close")) and not any("evil" in line or "h2c" in line or line.lower().startswith(("content-length", "sec-websocket-extensions")) for line in own)
    assert [line for line in listed if line.startswith("X-")] == ["X-a: 1", "X-a: 2"]
    assert [protocol for protocol, _ in others] == ["chat", "", "chat"] and "user-agent: Postern" in others[1][1]


@pytest.mark.parametrize("headers", ["{ 'a b': '1' }", "{ a: 'b\\nc' }", "{ a: 'b\\x01c' }", "[['a']]", "{ a: '€' }"])
def test_websocket_headers_that_cannot_be_sent(postern, headers):
    result = postern("try { new WebSocket('ws://a', { headers: %s }); __return('no error'); } catch (e) { __return([e.name, e.message]); }" % headers)
    name, message = result.value
    assert name == "TypeError" and ("header" in message.lower()), result.value


def test_secrets_and_streams_do_not_mix(postern, ws, certificates, monkeypatch):
    monkeypatch.setenv("API_KEY", "a-secret-value")
    port = ws(ws_echo)
    policy = named(certificates, f"ws://good.test:{port}")
    policy["network"]["rules"].append({"allow": "https://good.test", "secrets": ["API_KEY"]})
    policy["secrets"] = {"API_KEY": {"env": "API_KEY"}}
    result = postern(WS + "const { next } = open(); await next('close'); __return(log);", args=[str(port), "good.test"], policy=policy)
    assert result.value[0][2] == "ERR_SECRET_STREAM"
