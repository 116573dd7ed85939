"""What the net broker holds while a guest reads nothing, or an origin does not: over each protocol. The next way is a row here."""

import base64
import hashlib
import json
import socket
import subprocess
import threading

import pytest
from conftest import POSTERN, allowing, our_processes, unless_sanitized

pytestmark = unless_sanitized

MIB = 1024  # in KiB, as /proc tells


def broker_memory(field):
    for pid in our_processes():
        if b"postern-broker\0net" in open(f"/proc/{pid}/cmdline", "rb").read():
            return int(next(line for line in open(f"/proc/{pid}/status") if line.startswith(field)).split()[1])
    raise AssertionError("there is no net broker")


@pytest.fixture
def live(tmp_path):
    """live(code, policy, arguments): a run that says a line, whose broker is looked at, and that goes on when it is told to."""
    runs = []

    def start(code, policy, *arguments, options=()):
        (tmp_path / "live.mjs").write_text("const next = (() => { const it = process.stdin[Symbol.asyncIterator](); return () => it.next(); })();\n" + code)
        (tmp_path / "live.json").write_text(json.dumps(policy))
        run = subprocess.Popen([POSTERN, "run", f"--policy={tmp_path}/live.json", *options, str(tmp_path / "live.mjs"), *arguments], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
        runs.append(run)
        return run

    yield start
    for run in runs:
        run.kill()
        run.communicate()


def said(run, line):
    assert run.stdout.readline().strip() == line


def go_on(run):
    run.stdin.write("\n")
    run.stdin.flush()


# Unread bodies: all are asked for, none is read, and they are let go of in each way that there is.
UNREAD = """
const [url] = process.argv.slice(2);
for (const how of ['cancel', 'abort', 'cancel', 'abort', 'exit']) {
  const controller = new AbortController();
  const bodies = await Promise.all(Array.from({ length: 40 }, () => fetch(url, { signal: controller.signal })));
  if (how === 'cancel') await Promise.all(bodies.map((r) => r.body.cancel()));
  if (how === 'abort') controller.abort();
}
console.log('done'); await next();
process.exit(0);
"""


@pytest.fixture
def large(nginx):
    with open(nginx.www / "large", "wb") as file:
        file.truncate(100_000_000)
    return {"http/2": f"https://good.test:{nginx.http2}/large", "tls": f"https://good.test:{nginx.tls}/large", "plain": f"http://good.test:{nginx.plain}/large"}


@pytest.mark.parametrize("protocol", ["http/2", "tls", "plain", "http/2 by a proxy", "plain by a proxy"])
def test_bodies_that_nobody_reads(live, large, certificates, microsocks, protocol):
    policy = allowing({"allow": "good.test", "addresses": ["127.0.0.0/8"]})
    policy["network"].update({"dns": {"hosts": {"good.test": "127.0.0.1"}}, "tls": {"ca_file": str(certificates[1])}})
    if protocol.endswith("proxy"):
        policy["network"]["adapter"] = {"proxy": f"socks5h://127.0.0.1:{microsocks().port}"}
    run = live(UNREAD, policy, large[protocol.split(" ")[0]])
    said(run, "done")
    assert broker_memory("VmHWM") < 88 * MIB
    go_on(run)
    assert run.wait(20) == 0


# An origin that shakes hands and reads nothing.
DEAF = """
const socket = new WebSocket(process.argv[2]);
await new Promise((open, fail) => { socket.onopen = open; socket.onerror = fail; });
const size = +process.argv[3];
let left = 320 << 20;
for (let idle = 0; left > 0 && idle < 500;) {
  if (socket.bufferedAmount === 0) socket.send(new Uint8Array(size)), left -= size, idle = 0;
  await new Promise((done) => setTimeout(done, 10));
  idle += 10;
}
console.log(left > 0 ? 'waits' : 'all is gone'); await next();
"""


class Deaf:
    """A WebSocket server that takes the handshake and nothing more."""

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def _serve(self):
        self._socket, _ = self._listener.accept()
        head = b""
        while b"\r\n\r\n" not in head:
            head += self._socket.recv(65536)
        key = next(line.split(": ")[1] for line in head.decode().split("\r\n") if line.lower().startswith("sec-websocket-key"))
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        self._socket.sendall(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode())

    def __exit__(self, *_):
        self._thread.join()
        self._socket.close()
        self._listener.close()


@pytest.mark.parametrize("size", [16 << 20, 8 << 20, 1 << 20, 60_000])
def test_messages_that_no_origin_takes(live, size):
    with Deaf() as origin:
        run = live(DEAF, allowing({"allow": f"ws://127.0.0.1:{origin.port}"}), f"ws://127.0.0.1:{origin.port}/", str(size))
        said(run, "waits")
        assert broker_memory("VmHWM") < 88 * MIB


# TCP: an origin that sends without end to a guest that has paused, and one that reads nothing.
UNREAD_STREAMS = """
import net from 'node:net';
const [port, path] = process.argv.slice(2);
const open = () => new Promise((done, fail) => {
  const socket = net.connect(+port, '127.0.0.1', () => { socket.write(`GET ${path} HTTP/1.0\\r\\n\\r\\n`); });
  socket.once('readable', () => done(socket)).once('error', fail);
});
for (let round = 0; round < 3; round++) {
  const sockets = await Promise.all(Array.from({ length: 40 }, open));
  for (const socket of sockets) socket.destroy();
}
console.log('done'); await next();
process.exit(0);
"""

DEAF_STREAM = """
import net from 'node:net';
const socket = net.connect(+process.argv[2], '127.0.0.1');
await new Promise((open, fail) => { socket.once('connect', open).once('error', fail); });
const piece = Buffer.alloc(1 << 20);
let left = 320, full = false;
while (left-- > 0 && !full) {
  if (!socket.write(piece)) full = !(await Promise.race([new Promise((done) => socket.once('drain', () => done(true))), new Promise((done) => setTimeout(done, 500, false))]));
}
console.log(full ? 'waits' : 'all is gone'); await next();
"""


def test_streams_that_nobody_reads(live, large, nginx):
    run = live(UNREAD_STREAMS, allowing({"allow": f"tcp://127.0.0.1:{nginx.plain}"}), str(nginx.plain), "/large")
    said(run, "done")
    assert broker_memory("VmHWM") < 88 * MIB
    go_on(run)
    assert run.wait(20) == 0


def test_a_stream_that_no_origin_takes(live):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        run = live(DEAF_STREAM, allowing({"allow": f"tcp://127.0.0.1:{port}"}), str(port))
        said(run, "waits")
        assert broker_memory("VmHWM") < 88 * MIB


def test_recorded_bodies_have_a_bound_together(live, nginx, tmp_path):
    """Twelve of them at once; those for which there is no room are left out, and said to be."""
    with open(nginx.www / "medium", "wb") as file:
        file.truncate(15 << 20)
    code = """
      const url = process.argv[2];
      const size = async (r) => { let n = 0; for await (const piece of r.body) n += piece.length; return n; };
      const sizes = await Promise.all(Array.from({ length: 24 }, async () => size(await fetch(url))));
      console.log(new Set(sizes).size); await next();
      process.exit(0);"""
    run = live(code, allowing(f"http://127.0.0.1:{nginx.plain}"), f"http://127.0.0.1:{nginx.plain}/medium", options=[f"--record={tmp_path}/r.har"])
    said(run, "1")
    assert broker_memory("VmHWM") < 300 * MIB
    go_on(run)
    assert run.wait(60) == 0
    entries = json.loads((tmp_path / "r.har").read_text())["log"]["entries"]
    contents = [e["response"]["content"] for e in entries]
    kept = [len(base64.b64decode(content.get("text", ""))) for content in contents]
    assert len(kept) == 24 and set(kept) <= {0, 15 << 20} and 15 << 20 in kept
    assert all(content["size"] == 15 << 20 for content in contents)
    assert all(e["_postern"].get("responseBodyOmitted", False) == (size == 0) for e, size in zip(entries, kept))
