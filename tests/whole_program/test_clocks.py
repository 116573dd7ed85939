"""A guest's clocks are as coarse as it was told, and nothing gives it a finer one."""

import pytest

# Every clock there is, in microseconds; each read until it has moved a few times.
CLOCKS = {
    "performance.now": "performance.now() * 1000",
    "hrtime": "(([s, ns]) => s * 1e6 + ns / 1000)(process.hrtime())",
    "hrtime.bigint": "Number(process.hrtime.bigint() / 1000n)",
    "Temporal": "Number(Temporal.Now.instant().epochNanoseconds % 10n ** 12n) / 1000",
    "event": "new Event('x').timeStamp * 1000",
    "timeOrigin": "(performance.timeOrigin + performance.now()) % 1e6 * 1000",
    "Date": "Date.now() % 1e6 * 1000",
    "new Date": "new Date().getMilliseconds() * 1000",
    "file in memory": "(fs.writeFileSync('/tmp/x', ''), Number(fs.statSync('/tmp/x', { bigint: true }).mtimeNs % 10n ** 12n) / 1000)",
    "file in memory, as a Date": "(fs.writeFileSync('/tmp/x', ''), fs.statSync('/tmp/x').birthtimeMs % 1e6 * 1000)",
    "a file's access": "(fs.rmSync('/tmp/x', { force: true }), fs.writeFileSync('/tmp/x', ''), Number(fs.statSync('/tmp/x', { bigint: true }).atimeNs % 10n ** 12n) / 1000)",
    "file of a mount": "(fs.writeFileSync('/w/x', ''), Number(fs.statSync('/w/x', { bigint: true }).ctimeNs % 10n ** 12n) / 1000)",
}


def steps(clock):
    """The values between which the clock moved."""
    return f"""
        import fs from 'node:fs';
        const values = [];
        for (let last = null; values.length < 6;) {{ const t = {clock}; if (t !== last) values.push(last = t); }}
        __return(values);"""


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("option, resolution", [((), 100), (("--timer-resolution=5ms",), 5000)])
def test_a_clock_moves_by_its_resolution(postern, tmp_path, clock, option, resolution):
    (tmp_path / "w").mkdir()
    values = postern(steps(CLOCKS[clock]), *option, f"--mount={tmp_path / 'w'}:/w:rw").value
    for before, after in zip(values, values[1:]):
        assert abs((after - before) / resolution - round((after - before) / resolution)) < 0.02 or after < before, values
        assert after - before > 0.9 * resolution or after < before, values


def test_a_finer_clock_can_be_asked_for(postern):
    values = postern(steps(CLOCKS["performance.now"]), "--timer-resolution=1us").value
    assert min(b - a for a, b in zip(values, values[1:])) < 100


def test_the_policy_file_says_the_same(postern):
    values = postern(steps(CLOCKS["performance.now"]), policy="version: 1\nlimits: {timer_resolution: 20ms}\n").value
    assert all(abs(b - a - 20000) < 1 for a, b in zip(values, values[1:])), values


def test_timers_keep_their_own_time(postern):
    """A coarse clock must not make a timer early, or late by its resolution."""
    r = postern("const t = Date.now(); await new Promise((f) => setTimeout(f, 30)); __return(1)", "--timer-resolution=1s")
    assert r.value == 1 and r.json["usage"]["wallMs"] < 900


@pytest.mark.parametrize("text, why", [("0us", "at least 1us"), ("2s", "at most 1000000us"), ("1h", "no resolution"), ("-1ms", "no resolution")])
def test_what_is_no_resolution(postern, text, why):
    r = postern("", f"--timer-resolution={text}", json_result=False)
    assert r.status == 2 and why in r.err, r.err


# (module (memory (export "m") 1 1 shared))
SHARED = "new Uint8Array([0,97,115,109,1,0,0,0, 5,4,1,3,1,1, 7,5,1,1,109,2,0])"


@pytest.mark.parametrize("memory", ["new SharedArrayBuffer(65536)", "new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer",
                                    f"new WebAssembly.Instance(new WebAssembly.Module({SHARED})).exports.m.buffer"])  # fmt: skip
def test_shared_memory_has_nobody_who_counts(postern, memory):
    """Whatever could take another end of it runs in the guest's one thread: while that is busy, nothing moves."""
    code = f"""
      const shared = {memory}, cell = new Int32Array(shared), others = [];
      const {{ port1, port2 }} = new MessageChannel();
      port2.onmessage = ({{ data }}) => {{ for (const end = performance.now() + 50; performance.now() < end;) new Int32Array(data)[0]++; port2.close(); }};
      port1.postMessage(shared);
      for (const make of [() => new Worker('data:,'), () => new (require('node:worker_threads').Worker)('x', {{ eval: true }}), () => new SharedWorker('x'), () => require('node:cluster').fork(), () => new AudioWorkletNode()])
        try {{ make(); others.push('made'); }} catch (e) {{ others.push(e.name); }}
      const ends = performance.now() + 100, before = cell[0];
      while (performance.now() < ends);
      const alone = cell[0] - before;
      await new Promise((done) => setTimeout(done, 20));
      __return([shared.constructor.name, alone, cell[0] > 0, others.includes('made')]);"""
    assert postern("import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" + code).value == ["SharedArrayBuffer", 0, True, False]


def test_waiting_sleeps_and_tells_no_time(postern):
    code = """
      const cell = new Int32Array(new SharedArrayBuffer(4)), told = [Atomics.wait(cell, 0, 1), Atomics.wait(cell, 0, 0, 30), Atomics.wait(cell, 0, 0, -1), Atomics.notify(cell, 0)];
      const waits = Atomics.waitAsync(cell, 0, 0, 10_000);
      setTimeout(() => Atomics.notify(cell, 0), 10);
      told.push(await waits.value);
      __return(told);"""
    for options in ((), ("--jitless",)):
        result = postern(code, *options)
        assert result.value == ["not-equal", "timed-out", "timed-out", 0, "ok"] and result.json["usage"]["wallMs"] >= 30


def test_waiting_for_ever_ends_with_the_run(postern):
    result = postern("Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)", "--timeout=300ms")
    assert (result.status, result.json["outcome"]) == (124, "timed_out")


def test_shared_memory_is_cloned_shared_and_never_transferred(postern):
    code = """
      const shared = new SharedArrayBuffer(8), told = [];
      const clone = structuredClone({ shared, view: new Uint8Array(shared, 4), map: new Map([[1, shared]]) });
      new Uint8Array(clone.shared)[5] = 9;
      told.push(clone.view[1], new Uint8Array(shared)[5], new Uint8Array(clone.map.get(1))[5], clone.view.buffer === clone.shared, clone.shared === shared);
      const at = async (make) => { try { await make(); told.push('none'); } catch (e) { told.push(e.name); } };
      const stream = (pull) => new ReadableStream({ type: 'bytes', pull });
      await at(() => structuredClone(shared, { transfer: [shared] }));
      await at(() => new MessageChannel().port1.postMessage(0, [shared]));
      await at(() => stream((c) => c.enqueue(new Uint8Array(shared))).getReader().read());
      await at(() => stream((c) => c.enqueue(new Uint8Array(1))).getReader({ mode: 'byob' }).read(new Uint8Array(shared)));
      await at(() => new SharedArrayBuffer(2 ** 40));
      await at(() => new SharedArrayBuffer(1, { maxByteLength: 1e9 }).grow(5e8));
      await at(() => v8.serialize(shared));
      told.push(new TextDecoder().decode(new Uint8Array(shared).fill(65)), (await new Blob([new Uint8Array(shared)]).text()), Buffer.from(shared).toString());
      __return(told);"""
    told = postern("import v8 from 'node:v8';" + code, "--memory=64MiB").value
    assert told == [9, 9, 9, True, False, "DataCloneError", "DataCloneError", "DataCloneError", "DataCloneError", "RangeError", "RangeError", "Error", "A" * 8, "A" * 8, "A" * 8]


def test_webassembly_s_own_memory_is_there(postern):
    assert postern("__return(new WebAssembly.Memory({ initial: 1 }).buffer.byteLength)").value == 65536
