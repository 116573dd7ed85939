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
}


def steps(clock):
    """The values between which the clock moved."""
    return f"""
        const values = [];
        for (let last = null; values.length < 6;) {{ const t = {clock}; if (t !== last) values.push(last = t); }}
        __return(values);"""


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("option, resolution", [((), 100), (("--timer-resolution=5ms",), 5000)])
def test_a_clock_moves_by_its_resolution(postern, clock, option, resolution):
    values = postern(steps(CLOCKS[clock]), *option).value
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


@pytest.mark.parametrize("code", [
    "typeof SharedArrayBuffer",
    "new Function('return typeof SharedArrayBuffer')()",
])
def test_no_shared_memory(postern, code):
    assert postern(f"__return({code})").value == "undefined"


# (module (memory (export "m") 1 1 shared))
SHARED = "new Uint8Array([0,97,115,109,1,0,0,0, 5,4,1,3,1,1, 7,5,1,1,109,2,0])"


@pytest.mark.parametrize("memory", [
    "new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })",
    f"new WebAssembly.Instance(new WebAssembly.Module({SHARED})).exports.m",
])
@pytest.mark.parametrize("way", [".buffer", ".toResizableBuffer()"])
def test_no_shared_memory_by_webassembly(postern, memory, way):
    r = postern(f"let v; try {{ v = {memory}{way}.constructor.name }} catch (e) {{ v = e.name }} __return(v)")
    assert r.value == "TypeError"


def test_webassembly_s_own_memory_is_there(postern):
    assert postern("__return(new WebAssembly.Memory({ initial: 1 }).buffer.byteLength)").value == 65536
