"""The guest's world: each test is a module that checks itself with `check(actual, expected)`."""

import json
import re

import pytest
from conftest import allowing, unless_sanitized

CHECK = """
const failures = [];
const show = (v) => JSON.stringify(v, (_, x) => (typeof x === 'bigint' ? `${x}n` : x === undefined ? '<undefined>' : x));
const check = (actual, expected) => { if (show(actual) !== show(expected)) failures.push(`${show(actual)} is not ${show(expected)}`); };
const throws = async (f, name) => { try { await f(); failures.push(`${f} does not throw`); } catch (e) { check(e.name, name); } };
"""


@pytest.fixture
def checks(postern):
    def run(code, *options, **more):
        result = postern(CHECK + code + "\n__return(failures);", *options, **more)
        assert result.json["outcome"] == "succeeded", result.json
        assert result.value == []
        return result

    return run


def test_url(checks):
    checks("""
      const u = new URL('HTTP://user:pw@EXAMPLE.com:80/a/../b?x=1&y=ü#h');
      check([u.href, u.origin, u.host, u.port], ['http://user:pw@example.com/b?x=1&y=%C3%BC#h', 'http://example.com', 'example.com', '']);
      u.searchParams.append('z', 'a b');
      check(u.search, '?x=1&y=%C3%BC&z=a+b');
      u.port = '8080'; u.hash = ''; u.pathname = '/ü';
      check(u.href, 'http://user:pw@example.com:8080/%C3%BC?x=1&y=%C3%BC&z=a+b');
      check(new URL('../c', 'http://h/a/b/').href, 'http://h/a/c');
      check([URL.canParse('nope'), URL.parse('nope')], [false, null]);
      await throws(() => new URL('nope'), 'TypeError');
      const p = new URLSearchParams([['b', '2'], ['a', '1'], ['b', '3']]);
      p.sort(); check([...p], [['a', '1'], ['b', '2'], ['b', '3']]);
      p.delete('b', '2'); check([p.toString(), p.has('b', '3'), p.size, p.getAll('b')], ['a=1&b=3', true, 2, ['3']]);
    """)


def test_encoding(checks):
    checks("""
      check([...new TextEncoder().encode('aü€😀\\ud800')], [97, 195, 188, 226, 130, 172, 240, 159, 152, 128, 239, 191, 189]);
      check(new TextEncoder().encodeInto('ü€', new Uint8Array(4)), { read: 1, written: 2 });
      const d = new TextDecoder();
      check(d.decode(new Uint8Array([0xf0, 0x9f]), { stream: true }) + d.decode(new Uint8Array([0x98, 0x80])), '😀');
      check(new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 97])), 'a');
      check(new TextDecoder('utf-8', { ignoreBOM: true }).decode(new Uint8Array([0xef, 0xbb, 0xbf, 97])), '\\ufeffa');
      for (const bad of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]]) {
        await throws(() => new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array(bad)), 'TypeError');
      }
      check(new TextDecoder('utf-16le').decode(new Uint8Array([97, 0, 0x3d, 0xd8, 0, 0xde])), 'a😀');
      check(new TextDecoder('latin1').decode(new Uint8Array([0x80, 0xe9])), '€é');
      await throws(() => new TextDecoder('nope'), 'RangeError');
      check([btoa('aé'), atob(' YWI= \\n'), atob('')], ['Yek=', 'ab', '']);
      await throws(() => btoa('€'), 'InvalidCharacterError');
      await throws(() => atob('a'), 'InvalidCharacterError');
      await throws(() => atob('ab*d'), 'InvalidCharacterError');
    """)


def test_events_and_abort(checks):
    checks("""
      const log = [];
      const t = new EventTarget();
      t.addEventListener('x', () => log.push('a'), { once: true });
      t.addEventListener('x', { handleEvent(e) { log.push(e.type + this.n); e.preventDefault(); }, n: 1 });
      check([t.dispatchEvent(new Event('x', { cancelable: true })), t.dispatchEvent(new Event('x'))], [false, true]);
      check(log, ['a', 'x1', 'x1']);
      const c = new AbortController();
      c.signal.onabort = (e) => log.push(e.type);
      c.abort(); c.abort();
      check([log.at(-1), log.length, c.signal.aborted, c.signal.reason.name, c.signal.reason.code], ['abort', 4, true, 'AbortError', 20]);
      await throws(() => c.signal.throwIfAborted(), 'AbortError');
      const any = AbortSignal.any([new AbortController().signal, AbortSignal.timeout(10)]);
      await new Promise((done) => { any.onabort = done; setTimeout(() => {}, 50); });
      check(any.reason.name, 'TimeoutError');
      await throws(() => new AbortSignal(), 'TypeError');
    """)


def test_timers_and_microtasks(checks):
    checks("""
      const log = [];
      setTimeout((a, b) => log.push(a + b), 5, 'x', 'y');
      setTimeout(() => log.push('zero'));
      const cleared = setTimeout(() => log.push('never'), 1);
      clearTimeout(cleared);
      queueMicrotask(() => log.push('micro'));
      Promise.resolve().then(() => log.push('then'));
      let n = 0;
      await new Promise((done) => { const i = setInterval(() => { if (++n === 3) { clearInterval(i); done(); } }, 4); });
      check([log, n], [['micro', 'then', 'zero', 'xy'], 3]);
      const order = [];
      await new Promise((done) => {
        setTimeout(() => { order.push(1); Promise.resolve().then(() => order.push(2)); }, 0);
        setTimeout(() => { order.push(3); done(); }, 0);
      });
      check(order, [1, 2, 3]);
      await throws(() => setTimeout('code'), 'TypeError');
      check(performance.now() > 0 && performance.now() < 5000, true);
    """)


def test_headers_request_response(checks):
    checks("""
      const h = new Headers({ 'X-B': ' 2 ', a: '1' });
      h.append('x-b', '3'); h.append('Set-Cookie', 'a=1'); h.append('set-cookie', 'b=2');
      check([...h], [['a', '1'], ['set-cookie', 'a=1'], ['set-cookie', 'b=2'], ['x-b', '2, 3']]);
      check(h.getSetCookie(), ['a=1', 'b=2']);
      for (const bad of ['', 'a b', 'é', 'a:']) await throws(() => h.set(bad, 'x'), 'TypeError');
      for (const bad of ['a\\nb', 'a\\0', '€']) await throws(() => h.set('x', bad), 'TypeError');
      const r = new Request('http://h/p#f', { method: 'post', body: 'text', headers: { a: 'b' } });
      check([r.method, r.url, r.headers.get('content-type'), await r.clone().text(), r.bodyUsed, await r.text(), r.bodyUsed],
            ['POST', 'http://h/p#f', 'text/plain;charset=UTF-8', 'text', false, 'text', true]);
      await throws(() => new Request('http://h', { body: 'x' }), 'TypeError');
      await throws(() => new Request('http://u:p@h/'), 'TypeError');
      await throws(() => new Request('http://h', { method: 'TRACE' }), 'TypeError');
      await throws(() => new Request('http://h', { method: 'POST', body: new ReadableStream() }), 'TypeError');
      const s = new Response(new Blob(['ab', new Uint8Array([99])], { type: 'text/x' }), { status: 201, statusText: 'Made' });
      check([s.status, s.ok, s.statusText, s.headers.get('content-type'), (await s.blob()).size], [201, true, 'Made', 'text/x', 3]);
      await throws(() => s.text(), 'TypeError');
      check(await Response.json({ a: [1] }).json(), { a: [1] });
      check([Response.error().type, Response.redirect('http://h/').status], ['error', 302]);
      await throws(() => new Response('x', { status: 204 }), 'TypeError');
      await throws(() => new Response('x', { status: 99 }), 'RangeError');
      const clone = new Response('both');
      const other = clone.clone();
      check([await clone.text(), await other.text()], ['both', 'both']);
      await throws(() => new Response('{').json(), 'SyntaxError');
      check([...new Uint8Array(await new Response('é').arrayBuffer())], [195, 169]);
    """)


def test_form_data_and_blob(checks):
    checks("""
      const f = new FormData();
      f.append('a', 'x\\ny'); f.append('file', new File(['bytes'], 'n"m.txt', { type: 'text/plain' }));
      const back = await new Response(f).formData();
      check([back.get('a'), back.get('file').name, back.get('file').type, await back.get('file').text()], ['x\\r\\ny', 'n"m.txt', 'text/plain', 'bytes']);
      check((await new Response(new URLSearchParams({ q: 'a b' })).formData()).get('q'), 'a b');
      await throws(() => new Response('x', { headers: { 'content-type': 'multipart/form-data; boundary=b' } }).formData(), 'TypeError');
      const b = new Blob(['hello ', 'world']);
      check([await b.slice(-5).text(), await b.slice(0, 5).text(), b.slice(3, 1).size], ['world', 'hello', 0]);
      let text = ''; for await (const c of b.stream().pipeThrough(new TextDecoderStream())) text += c;
      check(text, 'hello world');
    """)


def test_streams(checks):
    checks("""
      const doubled = new ReadableStream({ start(c) { for (const n of [1, 2, 3]) c.enqueue(n); c.close(); } })
        .pipeThrough(new TransformStream({ transform(n, c) { c.enqueue(n * 2); } }));
      const out = []; for await (const n of doubled) out.push(n);
      check(out, [2, 4, 6]);
      const [a, b] = ReadableStream.from(['x', 'y']).tee();
      const read = async (s) => { const list = []; for await (const v of s) list.push(v); return list; };
      check([await read(a), await read(b)], [['x', 'y'], ['x', 'y']]);
      const bytes = new ReadableStream({ type: 'bytes', start(c) { c.enqueue(new Uint8Array([1, 2, 3])); c.close(); } });
      const { value } = await bytes.getReader({ mode: 'byob' }).read(new Uint8Array(2));
      check([...value], [1, 2]);
    """)


def test_structured_clone_and_crypto(checks):
    checks("""
      const m = { d: new Date(5), m: new Map([[1, { a: 2 }]]), s: new Set([3]), e: new RangeError('r'), b: new Uint8Array([1]), n: 10n };
      m.self = m;
      const c = structuredClone(m);
      check([c.d.getTime(), c.m.get(1), [...c.s], c.e.name, [...c.b], c.n, c.self === c, c !== m], [5, { a: 2 }, [3], 'RangeError', [1], 10n, true, true]);
      const buffer = new ArrayBuffer(8);
      check([structuredClone(buffer, { transfer: [buffer] }).byteLength, buffer.byteLength], [8, 0]);
      await throws(() => structuredClone(() => {}), 'DataCloneError');
      check(crypto.randomUUID().length, 36);
      check(crypto.getRandomValues(new Uint32Array(64)).some((n) => n > 0), true);
      await throws(() => crypto.getRandomValues(new Float32Array(1)), 'TypeMismatchError');
      await throws(() => crypto.getRandomValues(new Uint8Array(65537)), 'QuotaExceededError');
    """)


def test_randomness_differs_between_runs(postern):
    code = "__return([Math.random(), crypto.randomUUID()]);"
    first, second = postern(code).value, postern(code).value
    assert first[0] != second[0] and first[1] != second[1] and 0 <= first[0] < 1


def test_console_is_formatted_as_node_does(postern):
    result = postern("""
      console.log('%s is %d and %o', 'x', 4.5, [1], { a: { b: { c: {} } } });
      console.error(new Map([['k', new Set([1])]]), [undefined, null, -0, 1n], Symbol('s'), function f() {}, class A {});
      console.table([{ a: 1, b: 'x' }]);
      console.group('g'); console.log('in\\ndented'); console.groupEnd();
      console.log(Promise.resolve(4), Promise.reject(new Error('x')).catch(() => {}) && 1, new Map([[1, 2]]).entries());
      console.count(); console.count(); console.assert(false, 'no');
    """)
    assert result.json["stdout"] == ("x is 4.5 and [ 1, [length]: 1 ] { a: { b: { c: {} } } }\n"
                                     "┌─────────┬───┬─────┐\n│ (index) │ a │ b   │\n├─────────┼───┼─────┤\n│ 0       │ 1 │ 'x' │\n"
                                     "└─────────┴───┴─────┘\ng\n  in\n  dented\nPromise { 4 } 1 [Map Entries] { [ 1, 2 ] }\ndefault: 1\ndefault: 2\n")
    assert result.json["stderr"] == ("Map(1) { 'k' => Set(1) { 1 } } [ undefined, null, -0, 1n ] Symbol(s) [Function: f] [class A]\n"
                                     "Assertion failed: no\n")


def test_process_and_return(postern):
    result = postern("__return({ argv: process.argv.slice(2), env: process.env, cwd: process.cwd() });", "--env=A=1", "--cwd=/work",
                     args=["--x", "y"])
    assert result.value == {"argv": ["--x", "y"], "env": {"A": "1"}, "cwd": "/work"}
    result = postern("__return(1); process.exit(7);")
    assert (result.status, result.json["exitCode"], result.value) == (7, 7, 1)
    assert postern("").json.get("value") is None


@pytest.mark.parametrize("value,expected", [
    ("2n ** 70n", "1180591620717411303424"),
    ("new Date(0)", "1970-01-01T00:00:00.000Z"),
    ("new Date(NaN)", None),
    ("undefined", None),
    ("{ a: undefined, b: [undefined, NaN, -0, Infinity] }", {"b": [None, None, 0, None]}),
    ("new Map([['a', 1], [{ k: 1 }, new Set([1, 2n])]])", [["a", 1], [{"k": 1}, [1, "2"]]]),
    ("new Uint8Array([1, 2])", [1, 2]),
    ("new BigInt64Array([-1n])", ["-1"]),
    ("new Float32Array([0.5])", [0.5]),
    ("new DataView(new Uint8Array([7, 8, 9]).buffer, 1)", [8, 9]),
    ("new Uint8Array([3]).buffer", [3]),
    ("/a+/gi", "/a+/gi"),
    ("[new Number(1), new String('s'), new Boolean(false), Object(3n)]", [1, "s", False, "3"]),
    ("(() => { const o = { a: [{}] }; o.a[0]['x y'] = o; o.a.push(o.a); return o; })()",
     {"a": [{"x y": {"$ref": "$"}}, {"$ref": "$.a"}]}),
    ("(() => { const shared = { n: 1 }; return [shared, shared]; })()", [{"n": 1}, {"n": 1}]),
    ("(() => { const m = new Map(); m.set('self', m); return { m }; })()", {"m": [["self", {"$ref": "$.m"}]]}),
    ("JSON.parse('{\"__proto__\": 1, \"toJSON\": 2}')", {"__proto__": 1, "toJSON": 2}),
])
def test_what_return_gives(postern, value, expected):
    result = postern(f"__return({value});")
    assert result.json["outcome"] == "succeeded", result.json
    assert result.value == expected


def test_returned_errors_and_what_cannot_be_returned(postern):
    value = postern("__return(new RangeError('r', { cause: new Error('why') }));").value
    assert (value["name"], value["message"], value["cause"]["message"]) == ("RangeError", "r", "why")
    assert value["stack"].startswith("RangeError: r\n    at ")
    for code in ("Symbol()", "() => 1", "{ f() {} }", "new WeakMap()", "Promise.resolve(1)"):
        result = postern(f"__return({code});")
        assert (result.status, result.json["error"]["name"]) == (1, "DataCloneError"), result.json


def test_uncaught_errors_are_reported_as_node_does(postern):
    result = postern("function inner() {\n  throw new RangeError('boom', { cause: new Error('why') });\n}\ninner();\n", json_result=False)
    assert result.status == 1
    assert re.search(r"job\.mjs:2:9\n  throw new RangeError\('boom'.*\n        \^\n\nRangeError: boom\n    at inner \(file://.*job\.mjs:2:9\)", result.err), result.err
    assert "[cause]: Error: why" in result.err and "postern:" not in result.err
    for code in ("setTimeout(() => { throw new Error('later'); })", "Promise.reject(new Error('nobody'))",
                 "queueMicrotask(() => { throw new Error('micro'); })"):
        result = postern(code)
        assert (result.status, result.json["outcome"]) == (1, "failed"), code
    handled = postern("addEventListener('unhandledrejection', (e) => { e.preventDefault(); __return(e.reason); }); Promise.reject(5);")
    assert (handled.status, handled.value) == (0, 5)
    assert postern("const p = Promise.reject(1); queueMicrotask(() => p.catch(() => {}));").status == 0


def test_rejections_with_what_is_no_error(postern):
    result = postern("Promise.reject({ a: 1 });")
    assert result.status == 1
    assert result.json["error"]["name"] == "UnhandledPromiseRejection"
    assert result.json["error"]["message"] == "a promise was rejected with { a: 1 }, and nothing handles that"


def test_process_exit_code(postern):
    result = postern("process.exitCode = 4; console.log('to the end');")
    assert (result.status, result.json["stdout"]) == (4, "to the end\n")
    assert postern("process.exitCode = 0;").status == 0


@pytest.mark.parametrize("thrown", ["null", "undefined", "'text'", "Symbol('s')", "{ get message() { throw 1; }, get stack() { throw 2; } }",
                                    "new Proxy({}, { get() { throw 3; } })", "Object.create(null)",
                                    "Object.defineProperty(new Error('x'), 'stack', { get() { throw 4; } })"])
def test_anything_can_be_thrown(postern, thrown):
    result = postern(f"throw {thrown if thrown[0] != '{' else '(' + thrown + ')'};")
    assert (result.status, result.json["outcome"]) == (1, "failed"), result.json


def test_guest_prepare_stack_trace(postern):
    result = postern("Error.prepareStackTrace = (e, sites) => sites.map((s) => s.getLineNumber()); __return(new Error('x').stack);")
    assert result.value == [1]


def test_top_level_await_that_never_settles(postern):
    result = postern("await new Promise(() => {});")
    assert result.status == 13 and "never settles" in result.json["error"]["message"]


def test_modules(postern, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "a.mjs").write_text("export const at = import.meta.url; export default await Promise.resolve(5);")
    (tmp_path / "lib" / "data.json").write_text('{"n": [1]}')
    result = postern("""
      import five, { at } from './lib/a.mjs';
      import data from './lib/data.json' with { type: 'json' };
      const again = await import('./lib/a.mjs');
      __return([five, at.endsWith('/lib/a.mjs'), data, again.default, import.meta.filename.endsWith('job.mjs'), import.meta.dirname.length > 1]);
    """)
    assert result.value == [5, True, {"n": [1]}, 5, True, True]


def test_mount(postern, tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "x.mjs").write_text("export default 'mounted'")
    (tmp_path / "home").mkdir()
    code = "import x from '/lib/x.mjs'; __return(x);"
    assert postern(code, f"--mount={tmp_path}/shared:/lib", name="home/job.mjs").value == "mounted"
    assert postern(code, name="home/job.mjs").json["error"]["cause"]["code"] == "EACCES"


def test_eval(postern):
    assert postern("1 + 1", command="eval", json_result=False).out == "2\n"
    assert postern("({ a: 1 })", command="eval").value == {"a": 1}
    assert postern("Promise.resolve('later')", command="eval", json_result=False).out == "later\n"
    assert postern("__return(await Promise.resolve(3))", command="eval").value == 3
    assert postern("await Promise.resolve(4) + 1 // five", command="eval").value == 5
    assert postern("const x = await 1; x", command="eval").json.get("value") is None
    failed = postern("await Promise.reject(new RangeError('no'))", command="eval").json["error"]
    assert (failed["name"], "[eval]:1:22" in failed["stack"]) == ("RangeError", True), failed
    assert postern("await (", command="eval").json["error"]["name"] == "SyntaxError"
    bad = postern("1 +", command="eval", json_result=False)
    assert bad.status == 1 and "SyntaxError" in bad.err


def test_stdin_as_module(postern):
    done = postern("", "-", stdin="__return(import.meta.url);", name="unused.mjs", raw=True)
    assert done.value == "file:///[stdin]"


def test_fetch_bodies_up_and_down(checks, origin):
    checks(f"""
      const base = 'http://{origin.http}';
      const echo = async (body, more) => (await fetch(base + '/echo', {{ method: 'POST', body, ...more }})).text();
      check(await echo('text'), 'text');
      check(await echo(new Uint8Array([97, 98])), 'ab');
      check(await echo(new Blob(['blob'])), 'blob');
      check(await echo(new URLSearchParams({{ a: 'b c' }})), 'a=b+c');
      check(await echo(''), '');
      const chunks = ReadableStream.from(['one ', 'two ', 'three'].map((s) => new TextEncoder().encode(s)));
      check(await echo(chunks, {{ duplex: 'half' }}), 'one two three');
      const large = new Uint8Array(3 << 20).fill(120);
      check((await echo(large)).length, 3 << 20);
      const form = new FormData(); form.append('k', 'v');
      const answer = await fetch(base + '/echo', {{ method: 'POST', body: form }});
      check((await answer.formData()).get('k'), 'v');
      let n = 0; for await (const c of (await fetch(base + '/bytes?n=5000000')).body) n += c.length;
      check(n, 5000000);
      check((await fetch(base + '/ok', {{ method: 'HEAD' }})).status, 200);
      check((await fetch(base + '/echo', {{ method: 'DELETE' }})).headers.get('x-method'), 'DELETE');
      check((await fetch(base + '/echo', {{ method: 'patch', body: 'p' }})).headers.get('x-method'), 'patch');
      check((await fetch(base + '/nothing-here')).status, 404);
      const sent = await (await fetch(base + '/headers', {{ headers: {{ 'X-Own': 'é', host: 'evil.test' }} }})).text();
      check([sent.includes('x-own: é') || sent.includes('x-own: '), sent.includes('evil')], [true, false]);
    """, policy=allowing(origin.http))


def test_headers_that_belong_to_the_connection_are_left_out(checks, origin):
    checks(f"""
      const own = {{ connection: 'close', 'content-length': '999', 'transfer-encoding': 'gzip', upgrade: 'x', te: 'y', 'keep-alive': '1', expect: '100-continue', ok: 'kept' }};
      const answer = await fetch('http://{origin.http}/echo', {{ method: 'POST', body: 'four', headers: own }});
      check(await answer.text(), 'four');
      const sent = await (await fetch('http://{origin.http}/headers', {{ headers: own }})).text();
      check([sent.includes('ok: kept'), sent.includes('gzip,'), sent.includes('100-continue')], [true, true, false]);
    """, policy=allowing(origin.http))


def test_requests_too_large_to_be_made(postern, origin):
    value = postern(f"""
      const code = (promise) => promise.then((r) => r.status, (error) => error.cause.code);
      __return([await code(fetch('http://{origin.http}/ok?' + 'x'.repeat(40000))), await code(fetch('http://{origin.http}/ok?' + 'x'.repeat(150000))),
                await code(fetch('http://{origin.http}/ok', {{ headers: {{ a: 'y'.repeat(300000) }} }})), await code(fetch('http://{origin.http}/ok'))]);
    """, policy=allowing(origin.http)).value
    assert value == [200, "ERR_LIMIT", "ERR_LIMIT", 200]


@unless_sanitized
def test_bodies_that_do_not_fit_into_memory(postern, origin):
    value = postern(f"""
      const all = await Promise.all(Array.from({{ length: 40 }}, () => fetch('http://{origin.http}/bytes?n=10000000')
        .then((r) => r.arrayBuffer()).then((b) => b.byteLength, (error) => error.cause.code)));
      __return([[...new Set(all)].sort(), await (await fetch('http://{origin.http}/ok')).text()]);
    """, "--memory=64MiB", policy=allowing(origin.http)).value
    assert value == [[10000000, "ERR_LIMIT"], "fine"]


def test_fetch_decodes(checks, origin):
    checks(f"""
      for (const how of ['gzip', 'deflate', 'raw', 'br', 'zstd']) {{
        check((await (await fetch('http://{origin.http}/coded?how=' + how)).text()).length, 8000);
      }}
    """, policy=allowing(origin.http))


def test_fetch_redirects(checks, origin):
    checks(f"""
      const base = 'http://{origin.http}';
      const to = (target, status, init) => fetch(`${{base}}/redirect?status=${{status}}&to=${{target}}`, init);
      const followed = await to('/echo', 302, {{ method: 'POST', body: 'x' }});
      check([followed.redirected, followed.url, followed.headers.get('x-method')], [true, base + '/echo', 'GET']);
      const kept = await to('/echo', 307, {{ method: 'POST', body: 'x' }});
      check([await kept.text(), kept.headers.get('x-method')], ['x', 'POST']);
      const manual = await to('/echo', 302, {{ redirect: 'manual' }});
      check([manual.status, manual.headers.get('location')], [302, '/echo']);
      await throws(() => to('/echo', 302, {{ redirect: 'error' }}), 'TypeError');
      await throws(() => to('file:///etc/passwd', 302), 'TypeError');
      await throws(() => to('http://u:p@{origin.http}/', 302), 'TypeError');
    """, policy=allowing(origin.http))


def test_authorization_does_not_cross_origins(postern, origin):
    port = origin.http.split(":")[1]
    value = postern(f"""
      const r = await fetch('http://{origin.http}/redirect?to=http://localhost:{port}/headers', {{ headers: {{ authorization: 'secret', 'x-a': 'b' }} }});
      __return(await r.text());
    """, policy=allowing(origin.http, "localhost")).value
    assert "secret" not in value and "x-a: b" in value


def test_fetch_abort(checks, origin):
    checks(f"""
      const base = 'http://{origin.http}';
      const c = new AbortController();
      setTimeout(() => c.abort(new Error('mine')), 50);
      let reason; try {{ await fetch(base + '/silence', {{ signal: c.signal }}); }} catch (e) {{ reason = e.message; }}
      check(reason, 'mine');
      await throws(() => fetch(base + '/silence', {{ signal: AbortSignal.timeout(30) }}), 'TimeoutError');
      await throws(() => fetch(base + '/ok', {{ signal: AbortSignal.abort() }}), 'AbortError');
      const late = new AbortController();
      const response = await fetch(base + '/endless-body', {{ signal: late.signal }});
      const reader = response.body.getReader(); await reader.read();
      late.abort();
      await throws(async () => {{ for (;;) await reader.read(); }}, 'AbortError');
      const cancelled = await fetch(base + '/endless-body'); await cancelled.body.cancel();
      check((await (await fetch(base + '/ok')).text()), 'fine');
    """, policy=allowing(origin.http))


def test_fetches_given_up_in_a_loop(checks, origin):
    checks(f"""
      for (let i = 0; i < 2000; i++) {{
        const c = new AbortController();
        const pending = fetch('http://{origin.http}/ok', {{ signal: c.signal }});
        if (i % 2) await null;
        c.abort();
        await throws(() => pending, 'AbortError');
      }}
      for (let i = 0; i < 1500; i++) await (await fetch('http://{origin.http}/bytes?n=3000000')).body.cancel();
      check((await fetch('http://{origin.http}/ok')).status, 200);
    """, policy=allowing(origin.http))


def test_pollution_of_the_prototypes_does_not_change_fetch(checks, origin):
    checks(f"""
      for (const proto of [Array.prototype, String.prototype, Map.prototype, Promise.prototype, Uint8Array.prototype]) {{
        for (const key of ['push', 'shift', 'slice', 'get', 'set', 'then', 'indexOf', 'charCodeAt', 'toLowerCase']) {{
          if (proto !== Promise.prototype && typeof proto[key] === 'function') proto[key] = () => {{ throw new Error('polluted'); }};
        }}
      }}
      const r = await fetch('http://{origin.http}/ok');
      if (r.status !== 200 || await r.text() !== 'fine') failures[failures.length] = 'not answered';
    """, policy=allowing(origin.http))


def test_usage_is_counted(postern, origin):
    usage = postern(f"""
      await (await fetch('http://{origin.http}/bytes?n=1000')).text();
      await fetch('http://{origin.refused}/').catch(() => {{}});
    """, policy=allowing(origin.http)).json["usage"]
    assert (usage["requests"], usage["denied"], usage["bytesIn"]) == (2, 1, 1000)
    assert usage["wallMs"] > 0 and usage["peakMemoryBytes"] > 1 << 20


def test_data_urls(checks):
    checks("""
      const r = await fetch('data:text/plain;base64,aGk=');
      check([await r.text(), r.headers.get('content-type')], ['hi', 'text/plain']);
      check(await (await fetch('data:,a%20b')).text(), 'a b');
      await throws(() => fetch('ftp://h/'), 'TypeError');
    """)


def test_json_is_one_object(postern):
    text = postern("console.log('out'); console.error('err'); __return({ '</script>': '\\u2028' });").out
    assert json.loads(text)["stdout"] == "out\n" and text.count("\n") == 1


@pytest.mark.parametrize("code,shown", [("1 + 1", "2\n"), ("__return('x')", "x\n"), ("__return({ a: 1 }); 7", "{ a: 1 }\n"), ("const a = 1", "")])
def test_eval_prints_what_return_gave_or_the_last_value(postern, code, shown):
    result = postern(code, command="eval", json_result=False)
    assert (result.status, result.out, result.err) == (0, shown, "")


@pytest.mark.parametrize("thrown, cause", [
    ("new Error('x')", None),
    ("Object.assign(new Error('x'), { code: 'E_OWN' })", {"code": "E_OWN"}),
    ("new Error('x', { cause: new Error('why') })", {"message": "why"}),
    ("new Error('x', { cause: Object.assign(new Error('why'), { code: 'E_CAUSE' }) })", {"code": "E_CAUSE", "message": "why"}),
    ("Object.assign(new Error('x', { cause: Object.assign(new Error('why'), { code: 'E_CAUSE' }) }), { code: 'E_OWN' })", {"code": "E_CAUSE", "message": "why"}),
])  # fmt: skip
def test_what_a_result_says_of_an_error_s_cause(postern, thrown, cause):
    error = postern(f"throw {thrown}").json["error"]
    assert error["message"] == "x" and error.get("cause") == cause
