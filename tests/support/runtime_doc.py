"""Writes the tables of docs/runtime.md: what a guest has, by what it says itself (runtime_surface.mjs), beside what the Node.js whose V8
it is has.

    python3 tests/support/runtime_doc.py BUILD_DIR          prints docs/runtime.md with its tables made anew
"""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SURFACE = ROOT / "tests" / "whole_program" / "guests" / "runtime_surface.mjs"

# The WinterTC minimum common API (ECMA-429), and the language's own that a guest might miss.
GLOBALS = """
AbortController AbortSignal Blob ByteLengthQueuingStrategy CompressionStream CountQueuingStrategy Crypto CryptoKey CustomEvent DOMException
DecompressionStream ErrorEvent Event EventTarget File FormData Headers MessageChannel MessageEvent MessagePort Performance
PromiseRejectionEvent ReadableByteStreamController ReadableStream ReadableStreamBYOBReader ReadableStreamBYOBRequest
ReadableStreamDefaultController ReadableStreamDefaultReader Request Response SubtleCrypto TextDecoder TextDecoderStream TextEncoder
TextEncoderStream TransformStream TransformStreamDefaultController URL URLPattern URLSearchParams WebAssembly WritableStream
WritableStreamDefaultController WritableStreamDefaultWriter atob btoa clearInterval clearTimeout console crypto fetch globalThis navigator
performance queueMicrotask reportError self setInterval setTimeout structuredClone
""".split()
MORE = """
BroadcastChannel Buffer Cache CacheStorage CloseEvent EventSource FileReader Immediate PerformanceEntry PerformanceMark PerformanceMeasure
PerformanceObserver PerformanceObserverEntryList ProgressEvent DOMMatrix DOMMatrixReadOnly DOMPoint DOMPointReadOnly DOMRect DOMRectReadOnly WebSocket caches clearImmediate global process setImmediate Intl Temporal
SharedArrayBuffer Atomics FinalizationRegistry WeakRef
""".split()
ELSEWHERE = "Worker SharedWorker XMLHttpRequest document window location localStorage sessionStorage indexedDB Navigator Storage".split()
MODULES = """
assert assert/strict async_hooks buffer child_process cluster console constants crypto dgram diagnostics_channel dns dns/promises domain
events fs fs/promises http http2 https inspector inspector/promises module net os path path/posix path/win32 perf_hooks process punycode
querystring readline readline/promises repl sea sqlite stream stream/consumers stream/promises stream/web string_decoder sys test
timers timers/promises tls trace_events tty url util util/types v8 vm wasi worker_threads zlib
""".split()


def surface(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, "MODULES": json.dumps(MODULES)})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def some(names, most=12):
    shown = ", ".join(f"`{n}`" for n in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def tables(build):
    installed = pathlib.Path(build) / "lib" / "postern"
    node = surface([installed / "node", "--no-warnings", "--experimental-eventsource", SURFACE])
    guest = surface([pathlib.Path(build) / "bin" / "postern", "run", "--env", "MODULES", "--timeout=60s", SURFACE])
    lines = ["### Globals", "", "| Global | State | Missing |", "|---|---|---|"]
    for name in sorted([*GLOBALS, *MORE], key=str.lower):
        if name not in guest["globals"]:
            lines.append(f"| `{name}` | absent | |")
            continue
        missing = sorted(set(node["globals"].get(name, [])) - set(guest["globals"][name]))
        lines.append(f"| `{name}` | {'partial' if missing else 'full'} | {some(missing)} |")
    gone = [n for n in ELSEWHERE if n not in guest["globals"]]
    lines += ["", "Not there, being of browsers: " + some(gone, 20) + ".", "", "### Node's modules", "", "| Module | State | Missing, or there to say why it is not |", "|---|---|---|"]
    for name in MODULES:
        ours, theirs = guest["modules"][name], node["modules"][name]
        if ours is None:
            lines.append(f"| `node:{name}` | absent | |")
            continue
        missing = sorted(set(theirs["keys"] if theirs else []) - set(ours["keys"]))
        working = set(ours["functions"]) - set(ours["absent"])
        refused = sorted([*missing, *ours["absent"]])
        state = "full" if not refused else "partial" if working & set(theirs["functions"] if theirs else []) or not ours["absent"] else "absent"
        why = f"{ours['reason']}: " if ours["reason"] else ""
        lines.append(f"| `node:{name}` | {state} | {why}{some(refused)} |")
    return "\n".join(lines)


BEGIN, END = "<!-- tables: tests/support/runtime_doc.py -->", "<!-- end of the tables -->"


def document(build):
    text = (ROOT / "docs" / "runtime.md").read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{tables(build)}\n{END}{after}"


if __name__ == "__main__":
    sys.stdout.write(document(sys.argv[1]))
