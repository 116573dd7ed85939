"""Programs of public bug reports about Node.js, undici, bun and deno, each with its report: a guest does what the report asks for."""

import asyncio
import json
import subprocess

import pytest
from conftest import allowing
from test_node_modules import NODE, same_as_node
from test_sockets import Servers

# Without an origin: each gives in a guest what it gives in Node.js.
STREAMS = {
    "oven-sh/bun#19842": "let n = 0; finished(new ReadableStream(), () => n++); await wait(10); return n;",
    "oven-sh/bun#34559": """let sent = 0; const s = new ReadableStream({ pull(c) { if (!sent++) c.enqueue(new Uint8Array(1)); else c.error(Object.assign(new Error('x'), { code: 'ECONNRESET' })); } });
      return pipeline(Readable.fromWeb(s), new Writable({ write(a, b, c) { c(); } })).catch((e) => e.code);""",
    "nodejs/node#62089": "return pipeline(Readable.from(['foo']), new Transform({ readableObjectMode: true, transform(c, e, done) { this.push({}); this.push({}); done(); } }), (r) => r.map(async () => { throw Error('Boom!'); })).catch(String);",
    "nodejs/node#50707": "const s = new ReadableStream({ start(c) { c.error(new Error('Test')); } }), t = new TransformStream(); s.pipeTo(t.writable).catch(() => {}); return t.readable.getReader().read().catch((e) => e.message);",
    "nodejs/node#56297": "const out = []; await pipeline(Readable.from(ReadableStream.from(['a', 'b'])), new Writable({ write(c, e, done) { out.push(String(c)); done(); } })); for await (const c of ReadableStream.from(Buffer.from('ab'))) out.push(c); return out;",
    "nodejs/node#51944": "const [a, b] = new ReadableStream({ pull(c) { c.byobRequest?.respond(0); }, type: 'bytes' }).tee(); const moved = structuredClone(b, { transfer: [b] }); return [moved instanceof ReadableStream, b.locked];",
    "nodejs/node#41886": "const s = new ReadableStream({ pull(c) { const v = new Uint8Array(c.byobRequest.view.buffer, 0, 3); v.set([20, 21, 22]); c.byobRequest.respondWithNewView(v); }, autoAllocateChunkSize: 10, type: 'bytes' }); return [...(await s.getReader().read()).value];",
    "nodejs/node#40612": "const s = new ReadableStream({ type: 'bytes', start(c) { c.enqueue(new Uint8Array([1, 2, 3])); c.close(); } }); const r = await s.getReader({ mode: 'byob' }).read(new DataView(new ArrayBuffer(1024))); return [r.value.constructor.name, r.value.byteLength];",
    "nodejs/node#48233": "let c; const s = new ReadableStream({ type: 'bytes', start(x) { c = x; } }), p = s.getReader({ mode: 'byob' }).read(new Uint8Array(4)); c.close(); c.byobRequest?.respond(0); const r = await p; return [r.done, r.value.byteLength];",
    "nodejs/node#48916": "let n = 0; await new Blob([new Uint8Array(62), new Uint8Array([68]), new Uint8Array(36)]).stream().pipeTo(new WritableStream({ write(c) { n += c.length; } })); return n;",
    "oven-sh/bun#30966": "try { new ReadableStream({ type: 'direct', pull() {} }); } catch (e) { return e.name; }",
    "oven-sh/bun#21011": "const f = new FormData(); f.append('k', 'v'); const q = new Request('http://a/', { method: 'POST', body: f }); q.body; return q.headers.get('content-type').split(';')[0];",
    "oven-sh/bun#4070": "const h = new Headers({ 'Content-Type': 'text/plain' }); h.append('Set-Cookie', 'foo=bar'); return [...h];",
    "denoland/deno#33379": "const seen = []; process.on('SIGINT', (...args) => seen.push(...args)); process.kill(process.pid, 'SIGINT'); while (seen.length === 0) await wait(5); process.removeAllListeners('SIGINT'); return seen;",
}  # fmt: skip


def test_streams_and_signals(postern, tmp_path):
    cases = ", ".join(f"{json.dumps(report)}: async () => {{ {code} }}" for report, code in STREAMS.items())
    same_as_node(postern, tmp_path, f"""
      const {{ Readable, Writable, Transform, finished }} = require('stream'), {{ pipeline }} = require('stream/promises'), wait = (ms) => new Promise((f) => setTimeout(f, ms)), out = {{}};
      for (const [report, run] of Object.entries({{ {cases} }})) out[report] = await run();
      return out;""")  # fmt: skip


def test_a_web_stream_that_is_cancelled_in_a_pause(postern):
    """nodejs/node#64529: an exception that nobody can catch, there."""
    result = postern("""
      import { PassThrough, Readable, pipeline } from 'node:stream';
      const wait = (ms) => new Promise((f) => setTimeout(f, ms));
      for (let i = 0; i < 10; i++) {
        let bytes = 0;
        const through = new PassThrough({ highWaterMark: 16384 }), stop = new AbortController();
        pipeline(new Readable({ read() { this.push(Buffer.alloc(16384, 1)); if ((bytes += 16384) > 512 * 1024) this.push(null); } }), through, () => {});
        const done = Readable.toWeb(through).pipeTo(new WritableStream({ write: () => wait(1) }, { highWaterMark: 1 }), { signal: stop.signal }).catch((e) => e.name);
        await wait(i % 7); stop.abort(); await done; await wait(2);
      }
      __return('fine');""")
    assert result.value == "fine"


# Files, the program among them, and what Node.js prints for it.
MODULES = {
    "nodejs/node#55516": ({"dep.mjs": "await 0;"}, "const r = []; for (let i = 0; i < 2; i++) try { require('./dep.mjs'); } catch (e) { r.push(e.code); } console.log(r.join());"),
    "nodejs/node#57451": ({"library.mjs": "import './index.cjs'; console.log('library');", "index.cjs": "try { require('./library.mjs'); } catch (e) { console.log(e.code); }"}, "import('./library.mjs');"),
    "nodejs/node#52864": ({"left.mjs": "import {} from './right.mjs'; export const l = 1;", "right.mjs": "import {} from './left.mjs'; export const r = 2;"}, "console.log(Object.keys(require('./left.mjs')));"),
    "nodejs/node#49497": ({"dep.cjs": "require('./dep.cjs'); console.log('RUNNING');"}, "import('./dep.cjs');"),
    "nodejs/node#57869": ({"node_modules/dual/package.json": '{"exports":{"module-sync":"./m.mjs","import":"./m.mjs","require":"./c.cjs"}}', "node_modules/dual/m.mjs": "export const kind = 'esm';", "node_modules/dual/c.cjs": "exports.kind = 'cjs';"},
                          "console.log(require('dual').kind); import('dual').then((m) => console.log(m.kind));"),
    "nodejs/node#62457": ({"many.mjs": "".join(f"export {{ v{i} }} from './more.mjs';\n" for i in range(2000)), "more.mjs": "import './many.mjs';" + "".join(f"export const v{i} = {i};\n" for i in range(2000))}, "import('./many.mjs').then((m) => console.log(Object.keys(m).length));"),
    "denoland/deno#29374": ({"node_modules/req/package.json": '{"exports":{"require":"./i.js"}}', "node_modules/req/i.js": ""}, "import('req').catch((e) => console.log(e.code));"),
    "denoland/deno#30597": ({"node_modules/only/package.json": '{"module":"dist/c.js","type":"module"}', "node_modules/only/dist/c.js": "export default 1;"}, "import('only').catch((e) => console.log(e.code));"),
}  # fmt: skip


@pytest.mark.parametrize("report", MODULES)
def test_modules(postern, tmp_path, report):
    files, program = MODULES[report]
    for name, text in (files | {"job.cjs": program}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    node = subprocess.run([NODE, "--no-warnings", tmp_path / "job.cjs"], capture_output=True, text=True, timeout=30)
    assert (postern(program, name="job.cjs", json_result=False).out, node.returncode) == (node.stdout, 0) and node.stdout


class Origin(Servers):
    """Answers as its path says; how many of its endless answers were let go of by their clients."""

    def __init__(self):
        super().__init__()
        self.let_go = 0

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                path = head.split(" ")[1]
                length = [int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length")]
                body = await reader.readexactly(length[0] if length else 0)
                await getattr(self, path[1:].split("?")[0])(head, body, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def endless(self, head, body, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0.001)
        except ConnectionError:
            self.let_go += 1
            raise

    async def echo(self, head, body, writer):
        answer = head.split(" ")[0].encode() + b" " + body
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))

    async def moved(self, head, body, writer):
        writer.write(b"HTTP/1.1 301 Moved\r\nLocation: /echo\r\nContent-Length: 0\r\n\r\n")

    async def slowly_moved(self, head, body, writer):
        writer.write(b"HTTP/1.1 307 Moved\r\nLocation: /echo\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.write(b"0\r\n\r\n")

    async def half(self, head, body, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")

    async def bad_chunk(self, head, body, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\nbad\r\n0\r\n\r\n")

    async def none(self, head, body, writer):
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")


FETCH = {
    "oven-sh/bun#34942": ("const r = await fetch(o + '/endless'); await r.body.cancel(new Error('no')); return 'let go';", "let go"),
    "mswjs/interceptors#712": ("const r = await fetch(o + '/endless'), k = r.clone(); await Promise.all([r.body.cancel(), k.body.cancel()]); return 'let go';", "let go"),
    "nodejs/undici#4627": ("const c = new AbortController(), r = await fetch(o + '/endless', { redirect: 'error', signal: c.signal }); for (let i = 0; i < 50; i++) new Array(1e5).fill(i); c.abort(); return r.text().catch((e) => e.name);", "AbortError"),
    "nodejs/undici#4647": ("const r = await fetch(o + '/moved', { mode: 'no-cors' }); return r.status;", 200),
    "nodejs/undici#2543": ("return (await fetch(o + '/slowly_moved', { method: 'POST', body: 'body' })).text();", "POST body"),
    "nodejs/undici#1622": ("const r = await fetch(o + '/moved', { redirect: 'manual' }); return [r.status, r.headers.get('location'), await r.text()];", [301, "/echo", ""]),
    "nodejs/node#56917": ("const c = new AbortController(), r = await fetch(o + '/half', { signal: c.signal }); setTimeout(() => c.abort('why'), 10); return r.bytes().catch((e) => e);", "why"),
    "nodejs/node#51441": ("const c = new AbortController(), told = []; process.on('warning', (w) => told.push(w.name)); for (let i = 0; i < 120; i++) await (await fetch(o + '/echo', { signal: c.signal })).text(); return told;", []),
    "oven-sh/bun#42261": ("const reader = (await fetch(o + '/bad_chunk')).body.getReader(), out = []; for (;;) try { const { value, done } = await reader.read(); if (done) return 'complete'; out.push(new TextDecoder().decode(value)); } catch (e) { return [...out, e.name]; }", ["hello", "TypeError"]),
    "denoland/deno#5974": ("const r = await fetch(o + '/none'); return [r.status, r.body, await r.text()];", [204, None, ""]),
    "oven-sh/bun#9188": ("const q = (await import('node:http')).request(o + '/echo'); return new Promise((f) => { q.on('error', (e) => f(e.code)); q.on('socket', (s) => { q.destroy(); f(typeof s); }); });", "object"),
    "CVE-2026-1527 of undici": ("try { (await import('node:http')).request(o + '/echo', { headers: { upgrade: 'x\\r\\nX-Evil: 1' } }); } catch (e) { return e.code; }", "ERR_INVALID_CHAR"),
}  # fmt: skip


def test_fetch(postern):
    cases = ", ".join(f"{json.dumps(report)}: async () => {{ {code} }}" for report, (code, _) in FETCH.items())
    with Origin() as origin:
        port = origin.start(asyncio.start_server(origin.serve, "127.0.0.1", 0))
        result = postern(f"const o = process.argv[2], out = {{}}; for (const [report, run] of Object.entries({{ {cases} }})) out[report] = await run(); __return(out);",
                         args=[f"http://127.0.0.1:{port}"], policy=allowing(f"127.0.0.1:{port}"))
        assert result.value == {report: expected for report, (_, expected) in FETCH.items()}
    assert origin.let_go == 3
