"""Handler mode against workerd: the same module, the same load, in turn, in one run.

    ./dev bench handler [PAIRS]"""

import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests" / "support"))
from ports import free_port  # noqa: E402

ROOT = pathlib.Path(__file__).parent.parent
POSTERN = str(ROOT / "build" / "release" / "bin" / "postern")
PEERS = ROOT / "build" / "bench-peers"
WORKERD = str(PEERS / "node_modules" / "@cloudflare" / "workerd-linux-64" / "bin" / "workerd")
HELLO = "export default { async fetch(request) { return new Response('hello world'); } };"
JSON = """
export default { async fetch(request) {
  const url = new URL(request.url);
  const body = request.method === 'POST' ? await request.json() : null;
  return Response.json({ path: url.pathname, agent: request.headers.get('user-agent'), body, items: Array.from({ length: 20 }, (_, i) => ({ i, square: i * i })) });
} };"""
POST = """wrk.method = "POST"; wrk.body = '{"a": [1, 2, 3], "b": "text"}'; wrk.headers["content-type"] = "application/json" """
CONFIG = """using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (services = [(name = "main", worker = .w)],
  sockets = [(name = "http", address = "127.0.0.1:%d", http = (), service = "main")]);
const w :Workerd.Worker = (modules = [(name = "app.mjs", esModule = embed "app.mjs")], compatibilityDate = "2024-09-01");
"""
SECONDS = 3


def serve(command, port):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 20
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/").read()
            return process
        except OSError:
            if time.monotonic() > end or process.poll() is not None:
                sys.exit(f"{command[0]} does not serve")
            time.sleep(0.05)


def load(port, connections, script):
    words = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}", "--latency", *(["-s", script] if script else []), f"http://127.0.0.1:{port}/"]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        sys.exit(text)
    number, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", text).groups()
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)), float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


def main():
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    PEERS.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        (PEERS / name).write_text((ROOT / "bench" / "peers" / name).read_text())
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=PEERS, check=True, stdout=subprocess.DEVNULL)
    for what, code, lua in (("hello", HELLO, None), ("JSON", JSON, POST)):
        with tempfile.TemporaryDirectory() as name:
            directory = pathlib.Path(name)
            (directory / "app.mjs").write_text(code)
            script = None
            if lua:
                script = str(directory / "load.lua")
                pathlib.Path(script).write_text(lua)
            ports = free_port(), free_port()
            (directory / "config.capnp").write_text(CONFIG % ports[1])
            servers = [
                serve([POSTERN, "serve", f"--handler={directory}/app.mjs", f"--listen={ports[0]}"], ports[0]),
                serve([WORKERD, "serve", str(directory / "config.capnp")], ports[1]),
            ]
            try:
                for connections in (1, 8, 64):
                    both = [[load(port, connections, script) for port in ports] for _ in range(pairs)]
                    rate, p50 = (statistics.median(ours[i] / theirs[i] for ours, theirs in both) for i in (0, 1))
                    ours, theirs = ([statistics.median(side[i] for side in sides) for i in (0, 1)] for sides in zip(*both))
                    print(
                        f"{what:6} {connections:3} connections: postern {ours[0]:7.0f}/s p50 {ours[1]:6.0f} us, "
                        f"workerd {theirs[0]:7.0f}/s p50 {theirs[1]:6.0f} us: rate {rate:.2f} (at least 1), p50 {p50:.2f}",
                        flush=True,
                    )
            finally:
                for server in servers:
                    server.terminate()
                    server.wait()


main()
