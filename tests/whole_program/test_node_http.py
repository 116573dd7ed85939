"""node:http as what is written on it needs it: the wire's names, what comes before and after a response, its connection, and upgrades, over
which the packages ws and socket.io-client speak."""

import asyncio
import json
import shutil
import socket
import struct
import subprocess

import pytest
from conftest import BUILD, POSTERN, ROOT, allowing, our_processes
from raw_guest import RawGuest
from test_adapters import tinyproxy  # noqa: F401
from test_http import Wire
from test_sockets import servers  # noqa: F401

NODE = BUILD / "lib" / "postern" / "node"


def in_both(tmp_path, code, *arguments, policy):
    """What the module `code` leaves in `out`, in Node and in a guest."""
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    file = tmp_path / "job.mjs"
    file.write_text(code + "\nglobalThis.__return ? __return(out) : console.log('\\n' + JSON.stringify(out));")
    node = subprocess.run([NODE.resolve(), "--no-warnings", file, *arguments], capture_output=True, text=True, timeout=60)
    assert node.returncode == 0, node.stderr
    guest = subprocess.run([POSTERN, "run", "--json", "--timeout=30s", f"--policy={tmp_path}/policy.json", file, *arguments], capture_output=True, text=True, timeout=60)
    outcome = json.loads(guest.stdout)
    assert outcome["outcome"] == "succeeded", outcome
    assert our_processes() == []
    return json.loads(node.stdout.splitlines()[-1]), outcome["value"]


@pytest.fixture
def raw(servers):  # noqa: F811
    """raw(*pieces): the port of an origin that answers each request with them, and between two of them waits for a byte; raw.heads and
    raw.bytes have what came."""
    def start(*pieces, then=None):
        async def serve(reader, writer):
            try:
                while True:
                    start.heads.append(await reader.readuntil(b"\r\n\r\n"))
                    for i, piece in enumerate(pieces):
                        if i > 0:
                            start.bytes += await reader.read(1)
                        writer.write(piece)
                        await writer.drain()
                    if then == "hold":
                        while data := await reader.read(65536):
                            start.bytes += data
                    if then == "close":
                        break
            except (OSError, asyncio.IncompleteReadError):
                pass
            writer.close()

        return servers.start(asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20))

    start.heads, start.bytes = [], bytearray()
    return start


ASK = """
import http from 'node:http';
const [port] = process.argv.slice(2), out = [];
const ask = (options = {}, body, also = () => {}) => new Promise((done) => {
  const q = http.request({ host: '127.0.0.1', port, agent: false, ...options }, (r) => {
    let text = ''; r.on('data', (c) => (text += c)); r.on('end', () => done([r.statusCode, r.httpVersion, r.httpVersionMinor, text, r.rawHeaders, r.headers, r.rawTrailers, r.trailers, r.trailersDistinct]));
  });
  q.on('error', (e) => done(['error', e.code]));
  also(q);
  if (body !== null) q.end(body);
});
"""


def test_names_as_they_are_written(raw, tmp_path):
    port = raw(b"HTTP/1.1 200 OK\r\nX-ABC: 1\r\nx-abc: 2\r\nCoNtEnT-lEnGtH: 2\r\nETag: e\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\nok")
    node, guest = in_both(tmp_path, ASK + "out.push(await ask({ headers: { 'X-Own-Name': '1', 'SOAPAction': 'a', 'x-list': ['a', 'b'], lower: '1' } }));", str(port),
                          policy=allowing(f"127.0.0.1:{port}"))
    assert guest == node
    by_node, by_guest = ({line.split(b": ")[0] for line in head.split(b"\r\n")[1:-2]} for head in raw.heads)
    assert by_guest == by_node - {b"Connection"} and b"SOAPAction" in by_guest and b"lower" in by_guest


@pytest.mark.parametrize("by", ["fetch", "http"])
@pytest.mark.parametrize("count,written", [(250, b"\r\nX-A"), (450, b"\r\nx-a")])
def test_names_that_are_too_long_in_all_go_in_lower_case(raw, postern, by, count, written):
    port = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", then="close")
    value = postern(ASK + f"const headers = {{}}; for (let i = 0; i < {count}; i++) headers['X-' + 'A'.repeat(140) + i] = '1'; "
                    + ("__return(await (await fetch(`http://127.0.0.1:${port}/`, { headers })).text());" if by == "fetch" else "__return((await ask({ headers }))[3]);"), args=[str(port)],
                    policy=allowing(f"127.0.0.1:{port}")).value
    assert value == "ok" and raw.heads[0].lower().count(b"\r\nx-aaa") == count == raw.heads[0].count(written)


def test_version_and_trailers(raw, tmp_path):
    for response in (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nx-sum: 2\r\nServer-Timing: a\r\n\r\n"):
        port = raw(response, then="close")
        node, guest = in_both(tmp_path, ASK + "out.push(await ask());", str(port), policy=allowing(f"127.0.0.1:{port}"))
        hop = [n for n in ("Transfer-Encoding", "Trailer") if n.encode() in response]
        node[0][4] = [x for i in range(0, len(node[0][4]), 2) for x in node[0][4][i:i + 2] if node[0][4][i] not in hop]
        node[0][5] = {k: v for k, v in node[0][5].items() if k not in ("transfer-encoding", "trailer")}
        assert guest == node


def test_the_peer(postern, origin):
    value = postern("""
      import http from 'node:http'; const [host, port] = process.argv[2].split(':');
      __return(await new Promise((done) => http.get({ host, port, path: '/ok' }, (r) => { done([r.socket.remoteAddress, String(r.socket.remotePort) === port, r.socket.remoteFamily, r.req.socket === r.socket]); r.resume(); })));""",
                    args=(origin.http,), policy=allowing(origin.http)).value
    assert value == ["127.0.0.1", True, "IPv4", True]


HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLINK: </b>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_information_before_a_response(raw, tmp_path):
    port = raw(HINTS + OK, then="close")
    node, guest = in_both(tmp_path, ASK + "out.push(await ask({}, undefined, (q) => q.on('information', (i) => out.push(i))));", str(port), policy=allowing(f"127.0.0.1:{port}"))
    assert guest == node and len(guest) == 3


@pytest.mark.parametrize("length", ["'content-length': 1,", ""])
def test_who_expects_to_continue_is_told(raw, tmp_path, length):
    """The body is sent once the origin has said so."""
    port = raw(b"HTTP/1.1 100 Continue\r\n\r\n", OK, then="close")
    node, guest = in_both(tmp_path, ASK + """
      out.push(await ask({ method: 'PUT', headers: { %s Expect: '100-continue' } }, null, (q) => q.on('continue', () => { out.push('continue'); q.end('x'); })));""" % length, str(port),
                          policy=allowing(f"127.0.0.1:{port}"))
    assert guest == node and guest[0] == "continue"
    assert all(b"\r\nexpect: 100-continue" in head.lower() for head in raw.heads) and raw.heads[1]


def test_who_is_not_told_to_continue_goes_on_when_it_likes(postern, servers):  # noqa: F811
    """As programs do that wait for a while: the head has gone already, the body goes then."""
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(5)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + body)
        writer.close()

    port = servers.start(asyncio.start_server(serve, "127.0.0.1", 0))
    value = postern(ASK + "__return(await ask({ method: 'PUT', headers: { Expect: '100-continue', 'Content-Length': 5 } }, null, (q) => setTimeout(() => q.end('hello'), 100)));",
                    args=[str(port)], policy=allowing(f"127.0.0.1:{port}")).value
    assert value[0] == 200 and value[3] == "hello"


def test_an_origin_of_http2_and_a_recording(postern, nginx, certificates, tmp_path):
    """Names in lower case, and no address where nothing was connected to."""
    policy = allowing({"allow": "good.test", "addresses": ["127.0.0.0/8"]})
    policy["network"].update({"dns": {"hosts": {"good.test": "127.0.0.1"}}, "tls": {"ca_file": str(certificates[1])}})
    code = """
      import https from 'node:https';
      __return(await new Promise((done) => https.get(process.argv[2], (r) => { r.resume(); done([r.httpVersion, r.httpVersionMajor, r.rawHeaders[0], r.headers.server !== undefined, r.socket.remoteAddress ?? null]); })));"""
    url, har = f"https://good.test:{nginx.http2}/version", tmp_path / "run.har"
    assert postern(code, f"--record={har}", args=[url], policy=policy).value == ["2.0", 2, "server", True, "127.0.0.1"]
    assert postern(code, f"--adapter=replay:{har}", args=[url], policy=policy).value == ["1.1", 1, "server", True, None]


def test_an_expectation_that_fails(raw, postern):
    """The request is not repeated, and what follows the head is not read."""
    port = raw(b"HTTP/1.1 417 Expectation Failed\r\nX-A: b\r\nContent-Length: 4\r\n\r\nnope", then="hold")
    value = postern(ASK + "out.push(await ask({ method: 'PUT', headers: { Expect: '100-continue' } }, null, (q) => q.on('response', (r) => r.on('end', () => q.destroy())))); __return(out);",
                    args=[str(port)], policy=allowing(f"127.0.0.1:{port}")).value
    assert value[0][0] == 417 and value[0][3] == "" and value[0][5] == {"x-a": "b"}
    assert len(raw.heads) == 1 and raw.bytes == b""


def test_what_is_endless_before_a_response_ends(raw, postern):
    port = raw(HINTS * 5000, then="hold")
    value = postern(ASK + "let n = 0; out.push(await ask({}, undefined, (q) => q.on('information', () => n++)), n > 0 && n <= 100); __return(out);", args=[str(port)],
                    policy=allowing(f"127.0.0.1:{port}")).value
    assert value == [["error", "ERR_LIMIT"], True]


# ---- what failed


CODES = """
import http from 'node:http';
const [refused, origin] = process.argv.slice(2), out = [];
const system = (e) => ['code', 'errno', 'syscall', 'address', 'port'].map((n) => e?.[n] ?? null);
const byFetch = (url) => fetch(url).then((r) => r.text()).then(() => 'fine', (e) => [e.name, e.cause?.code]);
const byHttp = (url) => new Promise((done) => { const q = http.get(url, { agent: false }, (r) => { r.resume(); r.on('error', (e) => done(system(e))); r.on('end', () => done(['fine'])); }); q.on('error', (e) => done(system(e))); });
out.push(await byFetch(`http://${refused}/`), await byHttp(`http://${refused}/`));
for (const path of ['/ok', '/close', '/short-body', '/reset-midway', '/silence-and-reset']) out.push([path, await byFetch(`http://${origin}${path}`), (await byHttp(`http://${origin}${path}`))[0]]);
"""


def test_codes_are_node_s_where_it_has_them(tmp_path, origin):
    async def do_silence_and_reset(reader, writer, *_):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    origin.do_silence_and_reset = do_silence_and_reset
    node, guest = in_both(tmp_path, CODES, origin.refused, origin.http, policy=allowing(origin.refused, origin.http))
    assert guest == node and guest[0] == ["TypeError", "ECONNREFUSED"]


def test_postern_s_own_codes_stand_beside_them(postern, origin):
    """In fetch's cause, in node:http's and node:net's errors, and where they were before in both's causes."""
    policy = allowing(origin.refused, origin.silent, f"tcp://{origin.refused}", "nx.test", headers_timeout="200ms")
    policy["network"]["dns"] = {"servers": [origin.dns]}
    value = postern("""
      import http from 'node:http'; import net from 'node:net';
      const [refused, silent] = process.argv.slice(2), [host, port] = refused.split(':');
      const byFetch = (url) => fetch(url).catch((e) => [e.cause.code, e.cause.posternCode]);
      const of = (emitter) => new Promise((done) => emitter.on('error', (e) => done([e.code, e.posternCode, e.cause.code, e.syscall ?? null, e.hostname ?? e.address ?? null])));
      __return([await byFetch(`http://${refused}/`), await byFetch('http://nx.test/'), await byFetch(`http://${silent}/`), await byFetch('http://denied.test/'),
        await of(http.get(`http://${refused}/`)), await of(http.get('http://nx.test/')), await of(http.get(`http://${silent}/`)), await of(http.get('http://denied.test/')), await of(net.connect(port, host)), await of(net.connect(1, host))]);""",
                    args=[origin.refused, origin.silent], policy=policy).value
    refused, dns, late, denied = "ERR_CONNECTION_REFUSED", "ERR_DNS", "ERR_RESPONSE_TIMEOUT", "ERR_NETWORK_DENIED"
    assert value == [["ECONNREFUSED", refused], ["ENOTFOUND", dns], ["UND_ERR_HEADERS_TIMEOUT", late], [denied, denied],
                     ["ECONNREFUSED", refused, refused, "connect", "127.0.0.1"], ["ENOTFOUND", dns, dns, "getaddrinfo", "nx.test"], ["ETIMEDOUT", late, late, "connect", "127.0.0.1"],
                     ["EACCES", denied, denied, None, None], ["ECONNREFUSED", refused, refused, "connect", "127.0.0.1"], ["EACCES", denied, denied, "connect", "127.0.0.1"]]


@pytest.mark.parametrize("options", ["{ path: '*', method: 'OPTIONS' }", "{ path: 'echo' }", "{ path: 'http://evil.test/' }", "{ path: '@evil.test/' }", "{ path: ':1/' }"])
def test_targets_that_are_no_path(raw, postern, options):
    """What is decided about is a path: a target in asterisk, absolute or no form at all is refused, and never reaches an origin."""
    port = raw(OK)
    result = postern(ASK + "__return(await new Promise((done) => http.get({ host: '127.0.0.1', port, ...%s }).on('error', (e) => done([e.code, e.posternCode])).on('response', () => done('response'))));" % options,
                     args=[str(port)], policy=allowing("*", f"127.0.0.1:{port}"))
    assert result.value == ["EACCES", "ERR_NETWORK_DENIED"] and raw.heads == []


# ---- unref


@pytest.mark.parametrize("code", [
    "const s = net.connect(port, '127.0.0.1'); s.unref();",
    "const s = net.connect(port, '127.0.0.1', () => s.unref());",
    "const s = net.connect(port, '127.0.0.1'); s.on('data', () => {}); s.on('connect', () => { s.write('x'); s.unref(); });",
    "http.get({ host: '127.0.0.1', port }).on('socket', (s) => s.unref());",
    "const q = http.get({ host: '127.0.0.1', port }); q.on('socket', (s) => setTimeout(() => s.unref(), 20));",
    "setTimeout(() => {}, 1e6).unref(); setInterval(() => {}, 1e6).unref(); setImmediate(() => setTimeout(() => {}, 1e6).unref());",
])
def test_what_is_unrefed_keeps_no_run_going(postern, origin, code):
    result = postern("import net from 'node:net'; import http from 'node:http'; const port = Number(process.argv[2]);" + code, "--timeout=20s", args=[origin.silent.split(":")[1]],
                     policy=allowing(origin.silent, f"tcp://{origin.silent}"))
    assert result.json["outcome"] == "succeeded" and result.seconds < 3, result.out


def test_what_is_refed_again_does(postern, raw):
    port = raw(b"hello", then="close")
    result = postern("""
      import net from 'node:net'; const s = net.connect(Number(process.argv[2]), '127.0.0.1'); s.unref(); s.ref(); s.write('\\r\\n\\r\\n');
      s.on('data', (d) => __return(String(d)));""", args=[str(port)], policy=allowing(f"tcp://127.0.0.1:{port}"))
    assert result.value == "hello"


def test_undici_s_idle_connections_keep_no_run_going(installed, origin):
    (installed / "job.mjs").write_text("""
      import { Agent, request } from 'undici'; const r = await request(process.argv[2], { dispatcher: new Agent({ keepAliveTimeout: 10_000 }) });
      __return([r.statusCode, await r.body.text()]);""")
    done = subprocess.run([POSTERN, "run", "--json", "--timeout=20s", f"--allow-net=tcp://{origin.http}", installed / "job.mjs", f"http://{origin.http}/ok"], capture_output=True, text=True, timeout=60)
    outcome = json.loads(done.stdout)
    assert outcome["value"] == [200, "fine"] and outcome["usage"]["wallMs"] < 2000, outcome


# ---- upgrades


@pytest.fixture
def chat(installed, certificates):
    """The ports of tests/support/websocket_origin.cjs."""
    shutil.copy(ROOT / "tests" / "support" / "websocket_origin.cjs", installed)
    with subprocess.Popen([NODE.resolve(), installed / "websocket_origin.cjs", *certificates[0]["good"]], stdout=subprocess.PIPE, text=True) as server:
        yield server.stdout.readline().split()
        server.terminate()


CHAT = """
import WebSocket from 'ws'; import { io } from 'socket.io-client';
const [url, rooms] = process.argv.slice(2), out = [];
const shown = (d, binary) => (binary ? [...d].slice(0, 9) : d.length > 50 ? d.length : String(d));
const chat = (path, options, send) => new Promise((done) => {
  const log = [], s = new WebSocket(url + path, ['a', 'b'], options); let n = 0;
  s.on('upgrade', (r) => log.push(r.statusCode, r.headers.upgrade.toLowerCase()));
  s.on('open', () => { log.push(['open', s.protocol, s.extensions]); send(s); });
  s.on('message', (d, binary) => { log.push([binary, shown(d, binary)]); if (++n === 4) s.close(4001, 'bye'); });
  s.on('pong', (d) => log.push(['pong', String(d)]));
  s.on('error', (e) => log.push(['error', e.message]));
  s.on('close', (code, reason) => { log.push(['close', code, String(reason)]); done(log); });
});
const all = (s) => { s.send('text'); s.send(Buffer.from([1, 2, 3])); s.ping('p'); s.send('y'.repeat(300_000)); s.send(Buffer.alloc(70_000, 7)); };
for (const perMessageDeflate of [true, false]) out.push(await chat('/chat?x=1', { perMessageDeflate }, all));
for (const word of ['close', 'vanish']) out.push(await chat('/chat', {}, (s) => s.send(word)));
out.push(await chat('/denied', {}, all));
out.push(await new Promise((done) => { const s = new WebSocket(url + '/denied'); s.on('error', () => {}); s.on('unexpected-response', (q, r) => { let t = ''; r.on('data', (c) => (t += c)); r.on('end', () => { done([r.statusCode, t, r.rawHeaders]); q.destroy(); }); }); }));
out.push(JSON.parse(await new Promise((done) => { const s = new WebSocket(url + '/chat', { headers: { 'X-Own': 'v', Cookie: 'c' } }); s.on('open', () => s.send('head')); s.on('message', (d) => { done(String(d)); s.close(); }); }))['x-own']);
if (rooms) {
  const socket = io(rooms, { transports: ['websocket'] });
  out.push(await new Promise((done) => { socket.on('connect', () => socket.emit('hello', { a: 1 }, Buffer.from([9]), (x) => { done([socket.io.engine.transport.name, x]); socket.close(); })); socket.on('connect_error', (e) => done(e.message)); }));
}
"""


def test_ws_and_socket_io_speak_as_in_node(installed, chat):
    plain, _, rooms = chat
    node, guest = in_both(installed, CHAT, f"ws://127.0.0.1:{plain}", f"http://127.0.0.1:{rooms}", policy=allowing(f"ws://127.0.0.1:{plain}", f"127.0.0.1:{rooms}"))
    assert guest == node
    assert guest[0][2] == ["open", "b", "permessage-deflate"] and guest[-1] == ["websocket", [{"a": 1}, [9]]]


def test_ws_over_tls(installed, chat, certificates):
    policy = allowing({"allow": f"wss://good.test:{chat[1]}", "addresses": ["127.0.0.0/8"]})
    policy["network"].update({"dns": {"hosts": {"good.test": "127.0.0.1"}}, "tls": {"ca_file": str(certificates[1])}})
    (installed / "policy.json").write_text(json.dumps(policy))
    (installed / "job.mjs").write_text(CHAT + "__return(out);")
    done = subprocess.run([POSTERN, "run", "--json", "--timeout=30s", f"--policy={installed}/policy.json", installed / "job.mjs", f"wss://good.test:{chat[1]}"], capture_output=True, text=True, timeout=60)
    value = json.loads(done.stdout)["value"]
    assert value[0][2:5] == [["open", "b", "permessage-deflate"], [False, "text"], [True, [1, 2, 3]]] and value[4][-2][1] == "Unexpected server response: 403"


UPGRADE = """
import http from 'node:http';
const [port] = process.argv.slice(2), key = 'dGhlIHNhbXBsZSBub25jZQ==';
const upgrade = (options = {}, then = () => {}) => new Promise((done) => {
  const q = http.get({ host: '127.0.0.1', port, ...options, headers: { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Key': key, 'Sec-WebSocket-Version': '13', ...options.headers } });
  q.on('upgrade', (r, s, head) => { let text = String(head); s.on('data', (d) => (text += d)); s.on('close', () => done(['upgrade', r.statusCode, text])); then(s); });
  q.on('response', (r) => { let text = ''; r.on('data', (c) => (text += c)); r.on('end', () => done([r.statusCode, text])); r.on('error', (e) => done(['cut', e.posternCode, e.message])); });
  q.on('error', (e) => done([e.code, e.posternCode, e.message]));
});
"""
ACCEPT = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
WEBSOCKET = SWITCH + b"Upgrade: websocket\r\n" + ACCEPT


@pytest.mark.parametrize("response,outcome", [
    (WEBSOCKET + b"\r\nfirst bytes", ["upgrade", 101, "first bytes"]),
    (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + WEBSOCKET + b"\r\n", ["upgrade", 101, ""]),
    (WEBSOCKET.replace(b": websocket", b": WebSocket") + b"\r\n", ["upgrade", 101, ""]),
    (SWITCH + b"Upgrade: websocket\r\n\r\n", ["ERR_WEBSOCKET"] * 2),
    (SWITCH + b"Upgrade: websocket\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n", ["ERR_WEBSOCKET"] * 2),
    (SWITCH + b"Upgrade: h2c\r\n" + ACCEPT + b"\r\n", ["ERR_WEBSOCKET"] * 2),
    (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" + ACCEPT + b"\r\n", ["ERR_WEBSOCKET"] * 2),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine", [200, "fine"]),
    (b"HTTP/1.1 426 Upgrade Required\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnope\r\n0\r\n\r\n", [426, "nope"]),
    (b"HTTP/1.1 400 Bad\r\n\r\nto the end", [400, "to the end"]),
    (b"HTTP/1.1 400 Bad\r\nContent-Length: 9\r\n\r\ncut", ["cut", "ERR_RESPONSE_INCOMPLETE"]),
    (b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ["cut", "ERR_HTTP_PROTOCOL"]),
    (b"HTTP/1.1 400 Bad\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nbody", ["ERR_HTTP_PROTOCOL"] * 2),
    (b"HTTP/1.1 400 Bad\r\nno colon\r\n\r\n", ["ERR_HTTP_PROTOCOL"] * 2),
    (b"HTTP/1.1 400 Bad\r\n" + b"X: y\r\n" * 300 + b"\r\n", ["ERR_HTTP_PROTOCOL"] * 2),
    (b"HTTP/1.1 400 Bad\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", ["ERR_LIMIT"] * 2),
    (b"HTTP/1.1 100 Continue\r\n\r\n" * 101, ["ERR_HTTP_PROTOCOL"] * 2),
    (b"SSH-2.0-x\r\n\r\n", ["ERR_HTTP_PROTOCOL"] * 2),
    (b"", ["ECONNRESET", "ERR_RESPONSE_INCOMPLETE"]),
])
def test_what_an_origin_answers_to_an_upgrade(postern, raw, response, outcome):
    port = raw(response, then="close")
    result = postern(UPGRADE + "__return(await upgrade());", args=[str(port)], policy=allowing(f"127.0.0.1:{port}"))
    assert result.value[:3 if outcome[0] == "upgrade" else 2] == outcome and result.seconds < 5
    assert len(outcome) == 3 or len(result.value) == 2 or f"127.0.0.1:{port}" in result.value[2]


def test_informational_responses_before_a_switch(tmp_path, raw):
    port = raw(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Odd: 1\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + WEBSOCKET + b"\r\n", then="close")
    code = UPGRADE.replace("  q.on('upgrade'", "  q.on('information', (i) => out.push([i.statusCode, i.statusMessage, i.headers, i.rawHeaders])); q.on('upgrade'").replace("const upgrade =", "export const out = []; const upgrade =") + "out.push(await upgrade());"
    by_node, by_guest = in_both(tmp_path, code, str(port), policy=allowing(f"127.0.0.1:{port}"))
    assert by_guest == by_node and by_node[0] == [103, "Early Hints", {"link": "</a>", "x-odd": "1"}, ["Link", "</a>", "X-Odd", "1"]], (by_node, by_guest)


def test_a_name_keeps_its_first_spelling(postern, raw):
    port = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    code = "import http from 'node:http'; __return(await new Promise((done) => { const q = http.request({ host: '127.0.0.1', port: process.argv[2], headers: ['X-A', '1', 'x-a', '2'] }, (r) => { r.resume().on('end', () => done(1)); }); q.appendHeader('x-A', '3'); q.end(); }));"
    assert postern(code, args=[str(port)], policy=allowing(f"127.0.0.1:{port}")).value == 1
    assert [line for line in raw.heads[0].split(b"\r\n") if line.lower().startswith(b"x-a")] == [b"X-A: 1", b"X-A: 2", b"X-A: 3"]


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad\r\n\r\n", b"HTTP/1.1 400 Bad\r\nContent-Length: 9999999\r\n\r\n"])
def test_an_answer_to_an_upgrade_has_a_bound(postern, raw, answer):
    port = raw(answer + b"x" * 200_000, then="close")
    result = postern(UPGRADE + "__return(await upgrade());", args=[str(port)], policy=allowing(f"127.0.0.1:{port}", response_bytes="64KiB"))
    assert result.value[1] == "ERR_LIMIT" and "response_bytes" in result.value[2]


def test_an_answer_to_an_upgrade_that_drips_ends(postern, servers):  # noqa: F811
    """It is an ordinary response, and has a total."""
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 400 Bad\r\n\r\n")
        try:
            while not reader.at_eof():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
        except OSError:
            pass
        writer.close()

    port = servers.start(asyncio.start_server(serve, "127.0.0.1", 0))
    result = postern(UPGRADE + "__return(await upgrade());", "--timeout=20s", args=[str(port)], policy=allowing(f"127.0.0.1:{port}", total_timeout="500ms"))
    assert result.value[:2] == ["cut", "ERR_TOTAL_TIMEOUT"] and result.seconds < 5


def test_an_upgrade_through_a_proxy(postern, raw, tinyproxy):  # noqa: F811
    proxy, port = tinyproxy(), raw(WEBSOCKET + b"\r\nhi", then="close")
    policy = allowing(f"ws://127.0.0.1:{port}")
    policy["network"]["adapter"] = {"proxy": f"http://127.0.0.1:{proxy.port}"}
    assert postern(UPGRADE + "__return(await upgrade());", args=[str(port)], policy=policy).value == ["upgrade", 101, "hi"]
    assert f"CONNECT 127.0.0.1:{port}" in proxy.log()


def test_secrets_and_upgrades_do_not_mix(postern, raw, monkeypatch):
    monkeypatch.setenv("API_KEY", "a-secret-value")
    port = raw(WEBSOCKET + b"\r\n")
    policy = allowing(f"ws://127.0.0.1:{port}", {"allow": "https://127.0.0.1", "secrets": ["API_KEY"]})
    policy["secrets"] = {"API_KEY": {"env": "API_KEY"}}
    assert postern(UPGRADE + "__return(await upgrade());", args=[str(port)], policy=policy).value[:2] == ["ERR_SECRET_STREAM"] * 2
    assert raw.heads == []


def test_an_origin_that_says_nothing_to_an_upgrade(postern, origin):
    result = postern(UPGRADE + "__return(await upgrade());", args=[origin.silent.split(":")[1]], policy=allowing(origin.silent, headers_timeout="300ms"))
    assert result.value[:2] == ["ETIMEDOUT", "ERR_RESPONSE_TIMEOUT"] and result.seconds < 3


@pytest.mark.parametrize("rule,options,code", [
    ("ws://127.0.0.1:{port}", "{}", None), ("http://127.0.0.1:{port}", "{}", None), ("ws://127.0.0.1:{port}/chat/**", "{ path: '/chat/a' }", None),
    ("ws://127.0.0.1:{port}/chat/**", "{ path: '/admin' }", "ERR_NETWORK_DENIED"), ("https://127.0.0.1:{port}", "{}", "ERR_NETWORK_DENIED"),
    ("tcp://127.0.0.1:{port}", "{}", "ERR_NETWORK_DENIED"), ("ws://127.0.0.2:{port}", "{}", "ERR_NETWORK_DENIED"),
    ("ws://127.0.0.1:{port}", "{ headers: { Upgrade: 'h2c' } }", "ERR_NETWORK_DENIED"),
])
def test_an_upgrade_is_decided_like_a_websocket(postern, raw, rule, options, code):
    port = raw(WEBSOCKET + b"\r\n", then="close")
    value = postern(UPGRADE + f"__return(await upgrade({options}));", args=[str(port)], policy=allowing(rule.format(port=port))).value
    assert value == ["upgrade", 101, ""] if code is None else value[:2] == ["EACCES", code]
    assert (raw.heads == []) == (code is not None)


def test_other_upgrades_are_not_asked_for(postern, raw):
    port = raw(OK)
    value = postern(UPGRADE + "__return(await upgrade({ headers: { Upgrade: 'h2c', 'HTTP2-Settings': 'AAMAAABkAAQAAP__' } }));", args=[str(port)], policy=allowing(f"127.0.0.1:{port}")).value
    assert value == [200, "ok"] and b"upgrade" not in raw.heads[0].lower()


def test_an_upgrade_that_nobody_listens_for_ends(postern, raw):
    port = raw(WEBSOCKET + b"\r\n", then="hold")
    result = postern(UPGRADE + "http.get({ port, host: '127.0.0.1', headers: { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Key': key } });", "--timeout=10s", args=[str(port)],
                     policy=allowing(f"127.0.0.1:{port}"))
    assert result.json["outcome"] == "succeeded" and result.seconds < 5


def test_bytes_both_ways_with_backpressure(postern, servers):  # noqa: F811
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(WEBSOCKET + b"\r\n")
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    port = servers.start(asyncio.start_server(serve, "127.0.0.1", 0))
    value = postern(UPGRADE + """
      const size = 8_000_000; let n = 0;
      const [, status, text] = await upgrade({}, async (s) => { for (let i = 0; i < size; i += 100_000) if (!s.write('z'.repeat(100_000))) await new Promise((r) => s.once('drain', r)); s.end(); });
      __return([status, text.length]);""", args=[str(port)], policy=allowing(f"127.0.0.1:{port}")).value
    assert value == [101, 8_000_000]


EVIL = [("postern-names", "X-A\r\nx-injected: 1"), ("postern-names", "X-Injected: 1,X-A"), ("postern-names", "HOST"), ("postern-names", ",,,"), ("postern-names", "Content-Length,TRANSFER-ENCODING"),
        ("sec-websocket-key", "a\r\nx-injected: 1"), ("x-a", "b\rx-injected: 1"), ("x a", "1"), ("upgrade", "h2c"), ("host", "evil.test"), ("transfer-encoding", "chunked"), ("content-length", "5"),
        ("connection", "close"), ("postern-upgraded", "on"), ("expect", "100-continue")]


@pytest.mark.parametrize("kind", ["upgrade", "raw"])
@pytest.mark.parametrize("field", EVIL, ids=repr)
def test_no_raw_request_smuggles(kind, field):
    """What a guest writes on its channel, past node:http."""
    with Wire() as wire, RawGuest(f"127.0.0.1:{wire.port}") as guest:
        ask = [(":method", "CONNECT"), (":protocol", "websocket")] if kind == "upgrade" else [(":method", "GET")]
        key = [] if field[0] == "sec-websocket-key" else [("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")]
        outcome = guest.request([*ask, (":scheme", "http"), (":authority", f"127.0.0.1:{wire.port}"), (":path", "/"), ("postern-raw", "on"), *key, ("x-a", "1"), field],
                                b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n" if kind == "upgrade" else b"")
        assert outcome in ("channel closed", "reset 1") or outcome[0][":status"] in ("200", "502", "403"), outcome
        for kept in wire.connections:
            head, _, rest = bytes(kept).partition(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            assert rest == b"" and lines[0] == b"GET / HTTP/1.1" and all(line.count(b": ") >= 1 for line in lines[1:]), kept
            names = [line.split(b":")[0].lower() for line in lines[1:]]
            assert b"x-injected" not in names and not any(n.startswith(b"postern-") for n in names) and names.count(b"host") == 1, names
            assert not {b"content-length", b"transfer-encoding", b"expect"} & set(names) and b"evil.test" not in head
            if kind == "upgrade":
                assert [v for v in lines if v.lower().startswith((b"upgrade:", b"connection:"))] == [b"Connection: Upgrade", b"Upgrade: websocket"]
        assert guest.lives()
