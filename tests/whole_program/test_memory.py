"""What bounds a guest's memory when machine code in it takes all that it can: first without a cgroup, then with one that
was delegated, as systemd does it, of version 1 here where the kernel has that."""

import json
import os
import pathlib
import subprocess

import pytest
from conftest import POSTERN
from test_cage import TREE, attempt, remains  # noqa: F401

GREEDY = "const all = []; while (true) all.push(new Array(1e5).fill(1.5))"
SLACK = 64 << 20


def test_without_a_cgroup_the_limits_bound_pages_and_their_tables(attempt):  # noqa: F811
    result = attempt("take-all-memory", "--memory=32MiB")
    assert result["outcome"] == "succeeded"
    read, written = map(int, result["value"].split()[1:])
    assert 15 << 10 <= read <= 17 << 10  # 16 GiB of address space: 32 MiB of page tables
    assert 90 <= written <= 32 + 64  # 32 MiB, and the slack
    assert result["usage"]["peakMemoryBytes"] < (32 << 20) + SLACK + (32 << 20)


def own_memory_cgroup():
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            return pathlib.Path("/sys/fs/cgroup/memory" + path)
    return None


@pytest.fixture
def delegated(request):
    """A memory cgroup below our own, marked as systemd marks what it delegates."""
    own = own_memory_cgroup()
    if own is None:
        pytest.skip("this kernel's memory controller is not of version 1; MemoryCgroup.* are the unit tests of version 2")
    try:
        directory = own / f"postern-test-{os.getpid()}"
        directory.mkdir()
    except OSError as e:
        pytest.skip(f"no memory cgroup can be made here: {e}")
    try:
        yield directory
    finally:
        for child in directory.glob("*/"):
            child.rmdir()  # fails where one was left behind
        directory.rmdir()


def mark(directory):
    try:
        os.setxattr(directory, "trusted.delegate", b"1")
    except OSError as e:
        pytest.skip(f"no cgroup can be marked as delegated here: {e}")


def inside(directory):
    """For subprocess: the child goes into this cgroup before it becomes postern."""
    return lambda: (directory / "cgroup.procs").write_text(str(os.getpid()))


def run_in(directory, *words, program=POSTERN):
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=60, preexec_fn=inside(directory))
    assert list(directory.glob("*/")) == []  # nothing is left behind
    return done


def test_a_delegated_cgroup_is_used(delegated):
    mark(delegated)
    result = json.loads(run_in(delegated, "eval", "--json", "1").stdout)
    assert result["confinement"]["guest"] == {"on": ["memory-cgroup:1"], "missing": []}
    assert run_in(delegated, "eval", "--require=memory-cgroup", "1").returncode == 0
    assert json.loads(run_in(delegated, "doctor", "--json").stdout)["memoryCgroup"] == {"version": 1}
    assert "guests' memory cgroups: version 1" in run_in(delegated, "doctor").stdout


def test_a_cgroup_that_is_somebody_else_s_is_left_alone(delegated):
    result = json.loads(run_in(delegated, "eval", "--json", "1").stdout)
    [missing] = result["confinement"]["guest"]["missing"]
    assert missing.startswith("memory-cgroup: ") and missing.endswith("is not delegated")
    done = run_in(delegated, "eval", "--require=memory-cgroup", "1")
    assert done.returncode == 125 and '"memory-cgroup"' in done.stderr
    assert "Delegate=yes" in run_in(delegated, "doctor").stdout


def test_the_cgroup_counts_what_the_other_limits_do_not(delegated, tmp_path):
    """Pages and their tables together are more than the cgroup has."""
    mark(delegated)
    file = tmp_path / "attempt"
    file.write_text("take-all-memory")
    done = run_in(delegated, "run", "--json", "--memory=32MiB", file, "x", program=TREE / "bin/postern")
    result = json.loads(done.stdout)
    assert (result["outcome"], done.returncode) == ("out_of_memory", 137)
    assert result["error"]["message"] == f"the guest ran out of its memory cgroup's {32 + (SLACK >> 20)}MiB (--memory)"


def test_a_container_s_limit_below_the_guest_s_is_told_as_out_of_memory(delegated):
    mark(delegated)
    (delegated / "memory.limit_in_bytes").write_text(str(96 << 20))
    done = run_in(delegated, "eval", "--json", "--memory=512MiB", GREEDY)
    assert (json.loads(done.stdout)["outcome"], done.returncode) == ("out_of_memory", 137)


def test_a_heap_that_is_full_says_so_before_the_cgroup_does(delegated):
    mark(delegated)
    done = run_in(delegated, "eval", "--json", "--memory=64MiB", GREEDY)
    result = json.loads(done.stdout)
    assert result["outcome"] == "out_of_memory"
    assert result["error"]["message"] == "the guest ran out of its 64MiB of memory (--memory)"


# Modules with much code, compiled at once.
WASM_CODE = """
const leb = (n) => { const out = []; do { const b = n & 127; n >>>= 7; out.push(n ? b | 128 : b); } while (n); return out; };
const section = (id, bytes) => [id, ...leb(bytes.length), ...bytes];
const body = [0]; for (let i = 0; i < 4000; i++) body.push(0x20, 0, 0x41, i & 63, 0x6a, 0x21, 0); body.push(0x20, 0, 0x0b);
const functions = 200, code = [...leb(functions)]; for (let i = 0; i < functions; i++) code.push(...leb(body.length), ...body);
const bytes = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, ...section(1, [1, 0x60, 1, 0x7f, 1, 0x7f]), ...section(3, [...leb(functions), ...Array(functions).fill(0)]), ...section(7, [...leb(functions), ...Array.from({ length: functions }, (_, i) => [2, 97 + (i % 26), 97 + (i / 26 | 0), 0, ...leb(i)]).flat()]), ...section(10, code)]);
const kept = []; for (;;) { const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes)); for (const name in exports) exports[name](1); kept.push(exports); }
"""

# Libraries in the executable that do not expect to be refused: ICU writes through the null pointer, V8 gives up, Brotli calls exit(3).
WITHOUT_MEMORY = {
    **{f"Intl.{name}": f"const a = []; for (;;) a.push(new Intl.{name}({argument}));" for name, argument in
       {"DateTimeFormat": "'en', { dateStyle: 'full' }", "RelativeTimeFormat": "'de'", "NumberFormat": "'de'", "ListFormat": "'de'", "PluralRules": "'ar'", "Collator": "'sv'",
        "Segmenter": "'th', { granularity: 'word' }", "DisplayNames": "'de', { type: 'region' }"}.items()},
    "strings": "const a = []; for (;;) a.push('x'.repeat(1000) + a.length);",
    "functions": "const a = []; for (;;) a.push(new Function(`return ${a.length}`));",
    "expressions": "const a = []; for (;;) { const r = new RegExp(`(a{1,50}){1,50}${a.length}`); r.test('aaaa'); a.push(r); }",
    "wasm": "const a = []; for (;;) a.push(new WebAssembly.Memory({ initial: 1 }), new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])));",
    "code of wasm": WASM_CODE,
    "keys": "const c = require('node:crypto'), a = []; for (;;) a.push(c.createHash('sha512'), c.createSecretKey(Buffer.alloc(1000)));",
    "deflate": "const z = require('node:zlib'), a = []; for (;;) { const d = z.createDeflate(); d.write('x'); a.push(d); }",
    "brotli": "const z = require('node:zlib'); const a = []; for (;;) a.push(z.brotliCompressSync(Buffer.alloc(3e7), { params: { [z.constants.BROTLI_PARAM_LGWIN]: 24 } }), new Uint8Array(4e6));",
}


@pytest.mark.parametrize("what", WITHOUT_MEMORY)
def test_whoever_is_refused_memory_the_guest_ends_in_order(postern, what):
    result = postern(WITHOUT_MEMORY[what], "--memory=64MiB", "--timeout=60s", command="eval")
    error = result.json.get("error", {})
    thrown = result.status == 1 and error.get("name") in ("RangeError", "Error")  # what says so by an exception
    assert thrown or (result.status, result.json["outcome"]) == (137, "out_of_memory"), result.json


def test_garbage_is_collected_before_memory_is_refused(postern):
    assert postern("for (let i = 0; i < 300_000; i++) new ArrayBuffer(10_000); __return('fine')", "--memory=64MiB").value == "fine"
