"""The Web APIs beyond fetch, each against known answers: Web Crypto's test vectors, structured clones, messages, streams of compressed
bytes, events of servers. What the web-platform tests cover is counted by docs/wpt.md."""

import gzip
import hashlib
import http.server
import threading
import zlib

import pytest

HELP = """
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (h) => parseInt(h, 16));
const hex = (b) => Array.from(new Uint8Array(b), (x) => x.toString(16).padStart(2, '0')).join('');
const text = (s) => new TextEncoder().encode(s);
const failed = async (f) => { try { await f(); return 'none'; } catch (e) { return e.name; } };
const { subtle } = crypto;
"""


def value(postern, code, *options, **more):
    return postern(HELP + code, *options, **more).value


# ---- crypto.subtle


@pytest.mark.parametrize("name,python", [("SHA-1", "sha1"), ("SHA-256", "sha256"), ("SHA-384", "sha384"), ("SHA-512", "sha512")])
def test_digests(postern, name, python):
    got = value(postern, f"__return([hex(await subtle.digest('{name}', text(''))), hex(await subtle.digest({{ name: '{name.lower()}' }}, new Uint8Array(100_000).buffer))]);")
    assert got == [hashlib.new(python, b"").hexdigest(), hashlib.new(python, bytes(100_000)).hexdigest()]


def test_ciphers_against_published_vectors(postern):
    """NIST SP 800-38A F.2.1 and F.5.1, the GCM specification's test case 4, RFC 3394 section 4.1."""
    got = value(postern, """
      const key = (name, k, uses) => subtle.importKey('raw', bytes(k), name, false, uses);
      const iv = '000102030405060708090a0b0c0d0e0f', k = '2b7e151628aed2a6abf7158809cf4f3c', plain = '6bc1bee22e409f96e93d7e117393172a';
      const cbc = await key('AES-CBC', k, ['encrypt', 'decrypt']);
      const sealed = await subtle.encrypt({ name: 'AES-CBC', iv: bytes(iv) }, cbc, bytes(plain));
      const ctr = await subtle.encrypt({ name: 'AES-CTR', counter: bytes('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff'), length: 128 }, await key('AES-CTR', k, ['encrypt']), bytes(plain));
      const gcm = await subtle.encrypt({ name: 'AES-GCM', iv: bytes('cafebabefacedbaddecaf888'), additionalData: bytes('feedfacedeadbeeffeedfacedeadbeefabaddad2') },
        await key('AES-GCM', 'feffe9928665731c6d6a8f9467308308', ['encrypt']), bytes('d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39'));
      const kek = await key('AES-KW', '000102030405060708090a0b0c0d0e0f', ['wrapKey', 'unwrapKey']);
      const inner = await subtle.importKey('raw', bytes('00112233445566778899aabbccddeeff'), 'AES-CBC', true, ['encrypt']);
      const wrapped = await subtle.wrapKey('raw', inner, kek, 'AES-KW');
      const back = await subtle.unwrapKey('raw', wrapped, kek, 'AES-KW', 'AES-CBC', true, ['encrypt']);
      __return([hex(sealed).slice(0, 32), hex(await subtle.decrypt({ name: 'AES-CBC', iv: bytes(iv) }, cbc, sealed)), hex(ctr), hex(gcm).slice(-32), hex(wrapped), hex(await subtle.exportKey('raw', back))]);""")
    assert got == ["7649abac8119b246cee98e9b12e9197d", "6bc1bee22e409f96e93d7e117393172a", "874d6191b620e3261bef6864990db6ce", "5bc94fbc3221a5db94fae95ae7121a47",
                   "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5", "00112233445566778899aabbccddeeff"]


def test_a_counter_of_few_bits_wraps_and_does_not_repeat(postern):
    got = value(postern, """
      const k = await subtle.importKey('raw', new Uint8Array(16), 'AES-CTR', false, ['encrypt']);
      const at = (counter, length, n) => subtle.encrypt({ name: 'AES-CTR', counter: bytes(counter), length }, k, new Uint8Array(16 * n));
      const ff = 'f'.repeat(32), zero = 'f'.repeat(30) + '00';
      const two = hex(await at(ff, 8, 2));
      __return([two.slice(0, 32) === hex(await at(ff, 128, 1)), two.slice(32) === hex(await at(zero, 128, 1)), await failed(() => at(ff, 1, 3)), await failed(() => at(ff, 0, 1))]);""")
    assert got == [True, True, "OperationError", "OperationError"]


def test_derivation_against_published_vectors(postern):
    """RFC 6070 (PBKDF2), RFC 5869 A.1 (HKDF), RFC 4231 case 2 (HMAC), RFC 7748 6.1 (X25519), RFC 8032 7.1 (Ed25519)."""
    got = value(postern, """
      const base = (name, k) => subtle.importKey('raw', k, name, false, ['deriveBits']);
      const out = [hex(await subtle.deriveBits({ name: 'PBKDF2', hash: 'SHA-1', salt: text('salt'), iterations: 4096 }, await base('PBKDF2', text('password')), 160))];
      out.push(hex(await subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt: bytes('000102030405060708090a0b0c'), info: bytes('f0f1f2f3f4f5f6f7f8f9') }, await base('HKDF', new Uint8Array(22).fill(11)), 336)));
      const hmac = await subtle.importKey('raw', text('Jefe'), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify']);
      const mac = await subtle.sign('HMAC', hmac, text('what do ya want for nothing?'));
      out.push(hex(mac), await subtle.verify('HMAC', hmac, mac, text('what do ya want for nothing?')), await subtle.verify('HMAC', hmac, mac, text('else')));
      const pkcs8 = (oid, k) => bytes('302e020100300506032b65' + oid + '04220420' + k);
      const alice = await subtle.importKey('pkcs8', pkcs8('6e', '77076d0a7318a57d3c16c17251b26645df4c2f92ebc099ac15dab82bb29b2a2a'.slice(0, 64)), 'X25519', false, ['deriveBits']).catch((e) => e);
      const bob = await subtle.importKey('raw', bytes('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f'), 'X25519', false, []);
      out.push(hex(await subtle.deriveBits({ name: 'X25519', public: bob }, alice, 256)).length);
      const ed = await subtle.importKey('pkcs8', pkcs8('70', '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'), 'Ed25519', false, ['sign']);
      out.push(hex(await subtle.sign('Ed25519', ed, new Uint8Array(0))));
      const zero = await subtle.importKey('raw', new Uint8Array(32), 'X25519', false, []);
      out.push(await failed(() => subtle.deriveBits({ name: 'X25519', public: zero }, alice, 256)));
      __return(out);""")
    assert got == ["4b007901b765489abead49d926f721d065a429c1", "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
                   "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", True, False, 64,
                   "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b", "OperationError"]


@pytest.mark.parametrize("algorithm,uses", [
    ("{ name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' }", "sign"),
    ("{ name: 'RSA-PSS', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-512' }", "sign"),
    ("{ name: 'RSA-OAEP', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' }", "encrypt"),
    ("{ name: 'ECDSA', namedCurve: 'P-256' }", "sign"), ("{ name: 'ECDSA', namedCurve: 'P-384' }", "sign"), ("{ name: 'ECDSA', namedCurve: 'P-521' }", "sign"),
    ("{ name: 'ECDH', namedCurve: 'P-384' }", "derive"), ("{ name: 'Ed25519' }", "sign"), ("{ name: 'X25519' }", "derive"),
])
def test_key_pairs_go_out_and_in_again(postern, algorithm, uses):
    got = value(postern, """
      const alg = %s, kind = '%s', data = text('data');
      const [forPublic, forPrivate] = { sign: [['verify'], ['sign']], encrypt: [['encrypt'], ['decrypt']], derive: [[], ['deriveBits']] }[kind];
      const pair = await subtle.generateKey(alg, true, [...forPublic, ...forPrivate]);
      const params = { ...alg, saltLength: 32, hash: 'SHA-384' };
      const out = [pair.publicKey.type, pair.privateKey.type, pair.privateKey.algorithm.name];
      for (const [publicFormat, privateFormat] of [['spki', 'pkcs8'], ['jwk', 'jwk']]) {
        const pub = await subtle.importKey(publicFormat, await subtle.exportKey(publicFormat, pair.publicKey), alg, true, forPublic);
        const priv = await subtle.importKey(privateFormat, await subtle.exportKey(privateFormat, pair.privateKey), alg, false, forPrivate);
        if (kind === 'sign') { const s = await subtle.sign(params, priv, data); out.push(await subtle.verify(params, pub, s, data), await subtle.verify(params, pub, s, text('dat?')), await subtle.verify(params, pub, new Uint8Array(3), data)); }
        else if (kind === 'encrypt') out.push(hex(await subtle.decrypt(alg, priv, await subtle.encrypt(alg, pub, data))) === hex(data), false, false);
        else out.push(hex(await subtle.deriveBits({ name: alg.name, public: pub }, pair.privateKey, null)) === hex(await subtle.deriveBits({ name: alg.name, public: pair.publicKey }, priv, null)), false, false);
        out.push(await failed(() => subtle.exportKey(privateFormat, priv)));
      }
      out.push(await failed(() => subtle.generateKey(alg, true, ['wrapKey', 'no such use'])), await failed(() => subtle.importKey('spki', new Uint8Array(5), alg, true, forPublic)));
      __return(out);""" % (algorithm, uses))
    name = algorithm.split("'")[1]
    assert got == ["public", "private", name, *[True, False, False, "InvalidAccessError"] * 2, "TypeError", "DataError"]


@pytest.mark.parametrize("code,name", [
    ("subtle.digest('MD5', new Uint8Array(1))", "NotSupportedError"),
    ("subtle.digest('SHA-256', 'text')", "TypeError"),
    ("subtle.generateKey({ name: 'AES-GCM', length: 100 }, true, ['encrypt'])", "OperationError"),
    ("subtle.generateKey({ name: 'AES-GCM', length: 128 }, true, [])", "SyntaxError"),
    ("subtle.generateKey({ name: 'AES-GCM', length: 128 }, true, ['sign'])", "SyntaxError"),
    ("subtle.importKey('raw', new Uint8Array(5), 'AES-GCM', true, ['encrypt'])", "DataError"),
    ("subtle.importKey('jwk', { kty: 'oct', k: '!!' }, 'AES-GCM', true, ['encrypt'])", "DataError"),
    ("subtle.importKey('jwk', { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' }, { name: 'ECDSA', namedCurve: 'P-256' }, true, ['verify'])", "DataError"),
    ("subtle.importKey('raw', new Uint8Array(65).fill(4), { name: 'ECDH', namedCurve: 'P-256' }, true, [])", "DataError"),
    ("subtle.importKey('raw', new Uint8Array(16), 'HKDF', true, ['deriveBits'])", "SyntaxError"),
    ("subtle.decrypt({ name: 'AES-GCM', iv: new Uint8Array(12) }, await subtle.generateKey({ name: 'AES-GCM', length: 128 }, false, ['decrypt']), new Uint8Array(40))", "OperationError"),
    ("subtle.encrypt({ name: 'AES-GCM', iv: new Uint8Array(12) }, await subtle.generateKey({ name: 'AES-GCM', length: 128 }, false, ['decrypt']), new Uint8Array(40))", "InvalidAccessError"),
    ("subtle.encrypt({ name: 'AES-GCM', iv: new Uint8Array(12) }, {}, new Uint8Array(40))", "TypeError"),
    ("subtle.exportKey('raw', await subtle.generateKey({ name: 'AES-GCM', length: 128 }, false, ['decrypt']))", "InvalidAccessError"),
    ("subtle.generateKey({ name: 'RSA-PSS', modulusLength: 2048, publicExponent: new Uint8Array([2]), hash: 'SHA-256' }, true, ['sign'])", "OperationError"),
    ("new CryptoKey()", "TypeError"), ("new SubtleCrypto()", "TypeError"),
])
def test_misuse_of_crypto(postern, code, name):
    assert value(postern, f"__return(await failed(async () => {code}));") == name


# ---- structured clones and messages


def test_structured_clones_of_the_runtimes_own_objects(postern):
    got = value(postern, """
      const file = new File(['abc'], 'n.txt', { type: 'text/plain', lastModified: 5 });
      const key = await subtle.generateKey({ name: 'AES-GCM', length: 128 }, true, ['encrypt']);
      const copy = structuredClone({ file, blob: new Blob(['x']), twice: [file, file], error: new DOMException('m', 'AbortError'), key });
      const source = new Blob(['streamed']).stream();
      const moved = structuredClone({ s: source }, { transfer: [source] });
      const refused = new Set();
      for (const v of [new Response('x'), new Headers(), new URL('http://a/'), new AbortController().signal, new FormData(), new EventTarget(), new Event('x'), () => {}, Symbol(), new WeakMap(), Promise.resolve()])
        refused.add(await failed(() => structuredClone({ v })));
      const twice = new ArrayBuffer(1), memory = new WebAssembly.Memory({ initial: 1 });
      __return([copy.file instanceof File, copy.file.name, copy.file.lastModified, await copy.file.text(), copy.blob.size, copy.twice[0] === copy.twice[1], copy.error.name, copy.error.code,
        hex(await subtle.exportKey('raw', copy.key)).length, [...refused], await new Response(moved.s).text(), source.locked, await failed(() => structuredClone(1, { transfer: [1] })),
        await failed(() => structuredClone(source, { transfer: [source] })), await failed(() => structuredClone(1, { transfer: [twice, twice] })), await failed(() => structuredClone(1, { transfer: [memory.buffer] }))]);""")
    assert got == [True, "n.txt", 5, "abc", 1, True, "AbortError", 20, 32, ["DataCloneError"], "streamed", True, *["DataCloneError"] * 4]


def test_streams_that_are_transferred(postern):
    got = value(postern, """
      const double = new TransformStream({ transform(n, c) { c.enqueue({ n: n.n * 2 }); } }); const { readable, writable } = double;
      const moved = structuredClone(double, { transfer: [double] }); const { port1, port2 } = new MessageChannel();
      const there = await new Promise((got) => { port2.onmessage = (e) => got(e.data); port1.postMessage(moved, [moved]); }); port1.close();
      const sent = { n: 4 }, writer = there.writable.getWriter(), reader = there.readable.getReader(); writer.write(sent); const first = await reader.read(); writer.close(); const last = await reader.read();
      const fails = new TransformStream({ transform() { throw new RangeError('no'); } }), broken = structuredClone(fails, { transfer: [fails] }); broken.writable.getWriter().write(1).catch(() => {}); const locked = new TransformStream(); locked.readable.getReader();
      const sunk = []; const sink = new WritableStream({ write(chunk) { sunk.push(chunk); } }), away = structuredClone(sink, { transfer: [sink] }); await away.getWriter().write(sent);
      __return([there instanceof TransformStream, first.value, last.done, readable.locked, writable.locked, await failed(() => broken.readable.getReader().read()), await failed(() => structuredClone(locked, { transfer: [locked] })),
        await failed(() => structuredClone(double, { transfer: [double] })), await failed(() => structuredClone(new TransformStream())), sunk[0].n, sunk[0] === sent]);""")
    assert got == [True, {"n": 8}, True, True, True, "RangeError", "DataCloneError", "DataCloneError", "DataCloneError", 4, False]


def test_messages(postern):
    got = value(postern, """
      const { port1, port2 } = new MessageChannel(), inner = new MessageChannel(), log = [];
      const buffer = new ArrayBuffer(8);
      port2.onmessage = (e) => { log.push([e.data.n ?? e.data, e.ports.length, e.isTrusted]); e.ports[0]?.postMessage('through'); };
      inner.port2.addEventListener('message', (e) => log.push(['inner', e.data])); inner.port2.start();
      port1.postMessage({ n: 1n }); port1.postMessage({ n: buffer, p: inner.port1 }, [buffer, inner.port1]); port1.postMessage(3);
      const at = (f) => { try { f(); return 'none'; } catch (e) { return e.name; } };
      log.push([buffer.byteLength, at(() => port1.postMessage(() => {})), at(() => port1.postMessage(1, [port1])), at(() => new MessagePort())]);
      await new Promise((done) => setTimeout(done, 20)); port2.onclose = () => log.push('closed'); port1.close(); await new Promise((done) => setTimeout(done, 20)); port1.postMessage('late');
      const a = new BroadcastChannel('x'), b = new BroadcastChannel('x'), c = new BroadcastChannel('y'); b.onmessage = (e) => log.push(['b', e.data]); c.onmessage = () => log.push('c'); a.postMessage({ d: 1 });
      await new Promise((done) => setTimeout(done, 20)); a.close(); log.push(at(() => a.postMessage(1))); __return(log.map((l) => JSON.parse(JSON.stringify(l, (_, v) => (typeof v === 'bigint' ? `${v}n` : v)))));""")
    assert got == [[0, "DataCloneError", "DataCloneError", "TypeError"], ["1n", 0, True], [{}, 1, True], [3, 0, True], ["inner", "through"], "closed", ["b", {"d": 1}], "InvalidStateError"]


# ---- compression


@pytest.mark.parametrize("name", ["gzip", "deflate", "deflate-raw", "brotli", "zstd"])
def test_compression(postern, name):
    got = value(postern, """
      const format = '%s', data = text('hello '.repeat(50_000));
      const through = (body, stream) => new Response(new Blob([body]).stream().pipeThrough(stream)).bytes();
      const small = await through(data, new CompressionStream(format));
      const back = await through(small, new DecompressionStream(format));
      const bad = async (b) => failed(() => through(b, new DecompressionStream(format)));
      __return([small.length < 5000, hex(await subtle.digest('SHA-1', back)), hex(small), await bad(small.slice(0, -3)), await bad(new Uint8Array([...small, 1, 2, 3])), await bad(new Uint8Array(50).fill(255)),
        await failed(() => new CompressionStream('lzma')), await failed(() => through('', new DecompressionStream(format)))]);""" % name)
    plain = b"hello " * 50_000
    assert got[0] is True and got[1] == hashlib.sha1(plain).hexdigest() and got[3:] == ["TypeError"] * 5
    data = bytes.fromhex(got[2])
    decoders = {"gzip": gzip.decompress, "deflate": zlib.decompress, "deflate-raw": lambda b: zlib.decompress(b, -15)}
    if name in decoders:
        assert decoders[name](data) == plain


# ---- WebAssembly, performance, caches, URLs of Blobs, readers


def test_webassembly_streaming(postern):
    got = value(postern, """
      const wasm = bytes('0061736d0100000001070160027f7f017f030201000707010361646400000a09010700200020016a0b');
      const response = (type, status = 200) => new Response(wasm, { status, headers: type ? { 'content-type': type } : {} });
      const { instance, module } = await WebAssembly.instantiateStreaming(Promise.resolve(response('application/wasm')), {});
      __return([instance.exports.add(2, 3), module instanceof WebAssembly.Module, (await WebAssembly.compileStreaming(response('Application/WASM'))) instanceof WebAssembly.Module,
        await failed(() => WebAssembly.compileStreaming(response('text/plain'))), await failed(() => WebAssembly.compileStreaming(response('application/wasm', 404))), await failed(() => WebAssembly.compileStreaming(response())), await failed(() => WebAssembly.compileStreaming({}))]);""")
    assert got == [5, True, True, "TypeError", "TypeError", "TypeError", "TypeError"]


def test_user_timing(postern):
    got = value(postern, """
      const seen = []; new PerformanceObserver((list) => seen.push(...list.getEntries().map((e) => e.name))).observe({ entryTypes: ['mark', 'measure'] });
      performance.mark('a', { startTime: 10, detail: { x: 1 } }); performance.mark('b', { startTime: 30 });
      const m = performance.measure('m', 'a', 'b'), n = performance.measure('n', { start: 5, duration: 7 });
      const at = (f) => { try { f(); return 'none'; } catch (e) { return e.name; } };
      await new Promise((done) => setTimeout(done, 20));
      const out = [m.startTime, m.duration, n.toJSON().duration, performance.getEntriesByName('a')[0].detail.x, performance.getEntriesByType('measure').length, performance.getEntries().map((e) => e.name), at(() => performance.measure('x', 'none')), at(() => performance.mark('x', { startTime: -1 })), seen];
      performance.clearMarks('a'); performance.clearMeasures(); out.push(performance.getEntries().length, performance instanceof EventTarget, performance.now() >= 0, Math.abs(performance.timeOrigin - Date.now()) < 60_000); __return(out);""")
    assert got == [10, 20, 7, 1, 2, ["n", "a", "m", "b"], "SyntaxError", "TypeError", ["n", "a", "m", "b"], 1, True, True, True]


def test_blob_urls_and_file_reader(postern):
    got = value(postern, """
      const url = URL.createObjectURL(new Blob(['0123456789'], { type: 'text/plain' }));
      const r = await fetch(`${url}#x`), part = await fetch(url, { headers: { range: 'bytes=2-4' } }), tail = await fetch(url, { headers: { range: 'bytes=-3' } });
      const out = [await r.text(), r.headers.get('content-type'), part.status, await part.text(), part.headers.get('content-range'), await tail.text(), await failed(() => fetch(url, { method: 'POST' })), await failed(() => fetch(url, { headers: { range: 'bytes=20-' } }))];
      URL.revokeObjectURL(url); out.push(await failed(() => fetch(url)), await failed(() => URL.createObjectURL({})));
      const read = (how, blob, ...more) => new Promise((done) => { const f = new FileReader(); f.onloadend = () => done(f.result); f[how](blob, ...more); });
      out.push(await read('readAsText', new Blob([bytes('82a0')]), 'shift_jis'), await read('readAsDataURL', new Blob(['a'])), (await read('readAsArrayBuffer', new Blob(['abc']))).byteLength, await read('readAsText', new Blob([bytes('fffe6100')])));
      __return(out);""")
    assert got == ["0123456789", "text/plain", 206, "234", "bytes 2-4/10", "789", "TypeError", "TypeError", "TypeError", "TypeError", "あ", "data:application/octet-stream;base64,YQ==", 3, "a"]


def test_caches(postern):
    got = value(postern, """
      const c = await caches.open('one'); await c.put('http://a.example/x?q', new Response('kept', { headers: { vary: 'x-a' } }));
      __return([await (await c.match('http://a.example/x?q')).text(), await c.match('http://a.example/x'), (await c.match('http://a.example/x', { ignoreSearch: true })) !== undefined, (await c.keys()).map((r) => r.url), await c.match(new Request('http://a.example/x?q', { headers: { 'x-a': '1' } })),
        await (await caches.match('http://a.example/x?q')).text(), await caches.has('one'), await failed(() => c.put(new Request('http://a.example/', { method: 'POST' }), new Response())), await c.delete('http://a.example/x?q'), await c.match('http://a.example/x?q'), await caches.delete('one'), await caches.keys()]);""")
    assert got == ["kept", None, True, ["http://a.example/x?q"], None, "kept", True, "TypeError", True, None, True, []]


# ---- fetch's own additions


class Events(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        parts = {"/stream": "retry: 20\nid: 7\nevent: tick\ndata: a\ndata: b\n\n: comment\n\ndata\n\n", "/plain": "no events"}
        self.send_response(204 if self.path == "/gone" else 200)
        if self.path != "/gone":
            self.send_header("content-type", "text/event-stream; charset=utf-8" if self.path == "/stream" else "text/plain")
        self.end_headers()
        self.wfile.write(parts.get(self.path, "").encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def events():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Events)
    server.seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.at = "127.0.0.1:%d" % server.server_address[1]
    yield server
    server.shutdown()


def test_event_source(postern, events):
    got = value(postern, """
      const at = process.argv[2], log = [];
      const s = new EventSource(`http://${at}/stream`);
      await new Promise((done) => { let errors = 0; s.addEventListener('tick', (e) => log.push([e.data, e.lastEventId, e.origin === `http://${at}`])); s.onmessage = (e) => log.push([e.data]); s.onerror = () => { log.push(s.readyState); if (++errors === 2) { s.close(); done(); } }; });
      const over = (path) => new Promise((done) => { const e = new EventSource(`http://${at}${path}`); e.onerror = () => done([e.readyState]); });
      log.push(s.readyState, await over('/plain'), await over('/gone'), await failed(() => new EventSource('http://[')));
      __return(log);""", f"--allow-net={events.at}", args=(events.at,))
    assert got == [["a\nb", "7", True], [""], 0, ["a\nb", "7", True], [""], 0, 2, [2], [2], "SyntaxError"]
    assert [h.get("last-event-id") for p, h in events.seen if p == "/stream"] == [None, "7"]
    assert events.seen[0][1]["accept"] == "text/event-stream"


def test_an_event_source_that_may_not_connect_ends(postern):
    """It does not connect anew: nothing keeps the run going."""
    done = postern("const s = new EventSource('http://127.0.0.1:1/'); s.onerror = (e) => console.log(s.readyState, e.message);", "--allow-net=127.0.0.1:2", "--timeout=20s").json
    assert done["outcome"] == "succeeded" and done["stdout"].startswith("2 ") and "is denied" in done["stdout"], done


def test_integrity_and_referrer(postern, origin):
    got = value(postern, """
      const url = `http://${process.argv[2]}/echo`, body = text('x');
      const b64 = async (alg) => btoa(String.fromCharCode(...new Uint8Array(await subtle.digest(alg, body))));
      const ask = (integrity) => failed(() => fetch(url, { method: 'POST', body: 'x', integrity }));
      const good = `sha384-${await b64('SHA-384')}`, weak = `sha256-${await b64('SHA-256')}`;
      __return([await ask(good), await ask('sha384-AAAA'), await ask(`${weak} sha512-AAAA`), await ask('md5-AAAA nonsense'), await ask(`sha384-AAAA ${good}?opt`), new Request('http://a/', { referrer: '' }).referrer,
        new Request('http://a/').referrer, await failed(() => new Request('http://a/', { referrer: 'http://[' })), await failed(() => new Request('http://a/', { referrerPolicy: 'x' }))]);""",
                f"--allow-net={origin.http}", args=(origin.http,))  # fmt: skip
    assert got == ["none", "TypeError", "TypeError", "none", "none", "", "about:client", "TypeError", "TypeError"]


@pytest.mark.parametrize("policy,same,other", [("", "http://{at}/p?q", "http://{at}/"), ("no-referrer", None, None), ("origin", "http://{at}/", "http://{at}/"), ("same-origin", "http://{at}/p?q", None),
                                               ("unsafe-url", "http://{at}/p?q", "http://{at}/p?q")])  # fmt: skip
def test_referrer_policies(postern, origin, policy, same, other):
    at = origin.http
    elsewhere = at.replace("127.0.0.1", "localhost")
    value(postern, """
      const [, , at, elsewhere, referrerPolicy] = process.argv;
      for (const host of [at, elsewhere]) await (await fetch(`http://${host}/ok`, { referrer: `http://u:p@${at}/p?q#h`, referrerPolicy })).text();
      await (await fetch(`http://${at}/ok`)).text(); __return(1);""", f"--allow-net={at},{elsewhere}", args=(at, elsewhere, policy))
    sent = [headers.get("referer") for _, _, headers in origin.requests]
    assert sent == [same and same.format(at=at), other and other.format(at=at), None]
