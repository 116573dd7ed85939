"""A soak: for a while, every kind of run and request at once, as fast as the machine bears it. Each is answered as it should be, and in the end
the server is as it was in the beginning: memory, descriptors, processes.

    ./dev soak [SECONDS]"""

import collections
import contextlib
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from conftest import BUILD, our_processes  # noqa: E402
from origin import Origin  # noqa: E402
from server import Server, ask  # noqa: E402
from test_handler import Handler  # noqa: E402

# (name, share, run request, (outcome kind, condition of the outcome))
RUNS = [
    ("good", 30, lambda o: {"code": "console.log('out'); __return(6 * 7)"}, ("succeeded", lambda r: r["value"] == 42 and r["stdout"] == "out\n")),
    ("modules", 10, lambda o: {"files": {"main.mjs": "import { x } from './x.mjs'; __return(x)", "x.mjs": "export const x = 'x'.repeat(10000)"}, "entry": "main.mjs"}, ("succeeded", lambda r: len(r["value"]) == 10_000)),
    ("fetching", 20, lambda o: {"code": f"__return((await (await fetch('http://{o.http}/ok')).text()))"}, ("succeeded", lambda r: r["value"] == "fine")),
    ("denied", 10, lambda o: {"code": "const all = []; for (let i = 0; i < 20; i++) all.push(fetch('http://no.example/').catch((e) => e.cause.code)); __return((await Promise.all(all))[19])"}, ("succeeded", lambda r: r["value"] == "ERR_NETWORK_DENIED")),
    ("failing", 10, lambda o: {"code": "throw new TypeError('on purpose')"}, ("failed", lambda r: r["error"]["name"] == "TypeError")),
    ("hanging", 5, lambda o: {"code": "setInterval(() => {}, 1000)", "limits": {"wall": "150ms"}}, ("timed_out", lambda r: True)),
    ("looping", 4, lambda o: {"code": "for (;;);", "limits": {"wall": "150ms"}}, ("timed_out", lambda r: True)),
    ("greedy", 2, lambda o: {"code": "const a = []; for (;;) a.push(new Array(1e5).fill(1.5))", "limits": {"memory": "24MiB"}}, ("out_of_memory", lambda r: True)),
    ("printing", 3, lambda o: {"code": "for (;;) console.log('x'.repeat(1000))", "limits": {"output": "100kB"}}, ("killed", lambda r: True)),
    ("stalled", 3, lambda o: {"code": f"await fetch('http://{o.silent}/')", "limits": {"wall": "200ms"}}, ("timed_out", lambda r: True)),
    ("leaving", 3, lambda o: {"code": "process.exit(9)"}, ("failed", lambda r: r["exitCode"] == 9)),
]  # fmt: skip
REQUESTS = [("/hello", 60, 200), ("/echo", 15, 200), ("/download?pieces=8", 8, 200), ("/throw", 6, 500), ("/nowhere", 5, 404), ("/exit", 2, 502), ("/forever", 2, 504), ("/loop", 1, 504), ("/break", 1, None)]  # fmt: skip


class Soak:
    def __init__(self, seconds, directory):
        self.seconds = seconds
        self.directory = pathlib.Path(directory)
        self.counts, self.wrong, self.samples = collections.Counter(), [], []
        self.lock = threading.Lock()

    def note(self, name, problem=None):
        with self.lock:
            self.counts[name] += 1
            if problem is not None and len(self.wrong) < 20:
                self.wrong.append((name, problem))

    def running(self):
        return time.monotonic() < self.end

    def ask_runs(self, seed):
        chance = random.Random(seed)
        with self.runs.connection(timeout=60) as c:
            while self.running():
                name, _, request, (kind, holds) = chance.choices(RUNS, [r[1] for r in RUNS])[0]
                answer = ask(c, "POST", "/v1/runs", request(self.origin))
                outcome = answer.json
                fine = answer.status == 200 and outcome["outcome"] == kind and holds(outcome)
                self.note(name, None if fine else (answer.status, str(outcome)[:500]))

    def ask_handler(self, seed):
        chance = random.Random(seed)
        while self.running():
            path, _, status = chance.choices(REQUESTS, [r[1] for r in REQUESTS])[0]
            try:
                answer = self.handler.get(path, "POST" if path == "/echo" else "GET", b"x" * 3000 if path == "/echo" else None, timeout=60)
                got = answer.status
            except (http.client.HTTPException, ConnectionError):
                got = None
            # A guest that ends takes its other requests with it, and each of them hears of that.
            self.note(path, None if got in (status, 502, 503, 504, None) else (got, status))
            if got == status:
                self.note(f"{path} itself")

    def be_rude(self, seed):
        """Clients that go away, send nonsense, or stop reading."""
        chance = random.Random(seed)
        host, port = self.handler.address().rsplit(":", 1)
        while self.running():
            kind = chance.choice(["leave a run", "leave a request", "nonsense", "half"])
            if kind == "leave a run":
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(self.runs.socket)
                    body = json.dumps({"code": "setInterval(() => {}, 1000)", "limits": {"wall": "20s"}}).encode()
                    s.sendall(b"POST /v1/runs HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                    time.sleep(chance.random() / 20)
            else:
                text = {"leave a request": b"GET /forever HTTP/1.1\r\nHost: h\r\n\r\n", "nonsense": os.urandom(2000), "half": b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\nhalf"}[kind]
                with contextlib.suppress(ConnectionError), socket.create_connection((host, int(port)), timeout=10) as s:
                    s.sendall(text)
                    time.sleep(chance.random() / 20)
            self.note(kind)

    def measure(self):
        """(resident KiB, descriptors) of the servers, and of what they keep: their brokers and zygotes."""
        total = collections.Counter()
        for name, server in (("run API", self.runs), ("handler", self.handler)):
            pid = server.process.pid
            total[f"{name}: KiB"] = resident(pid)
            total[f"{name}: descriptors"] = len(os.listdir(f"/proc/{pid}/fd"))
        for pid in our_processes():
            with contextlib.suppress(OSError, ValueError):
                command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
                if b"postern-broker\0net" in command:
                    total["net brokers: KiB"] += resident(pid)
                    total["net brokers: descriptors"] += len(os.listdir(f"/proc/{pid}/fd"))
        return total

    def go(self):
        with Origin() as self.origin:
            allow = f"--allow-net={self.origin.http},{self.origin.silent}"
            for name in ("runs", "handler"):
                (self.directory / name).mkdir()
            self.runs = Server(self.directory / "runs", allow, "--queue=1000", "--queue-timeout=60s")
            self.handler = Handler(self.directory / "handler", allow, "--guests=2", "--guest-requests=500", "--handler-timeout=500ms", "--memory=64MiB")
            with self.runs, self.handler:
                self.end = time.monotonic() + self.seconds
                def guarded(f, i):
                    try:
                        f(i)
                    except Exception as error:  # a client that is not answered at all
                        self.note(f.__name__, repr(error))

                threads = [threading.Thread(target=guarded, args=(f, i)) for i, f in enumerate([self.ask_runs] * 4 + [self.ask_handler] * 3 + [self.be_rude])]
                for t in threads:
                    t.start()
                while self.running():
                    time.sleep(min(1, self.seconds / 60))
                    self.samples.append(self.measure())
                for t in threads:
                    t.join(90)
                    assert not t.is_alive(), "a request was never answered"
                self.settled = self.await_rest()
                assert self.runs.process.poll() is None and self.handler.process.poll() is None
        assert our_processes() == []
        return self

    def await_rest(self):
        """Processes that are left when nothing runs any more."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            count = collections.Counter(kind(p) for p in our_processes())
            if count["guest"] <= 2 + 2 + 1 + 2:  # spares and guests of the handler
                return count
            time.sleep(0.1)
        return count

    def growth(self):
        """{what: (in the second tenth, in the last one)}, medians."""
        tenth = max(1, len(self.samples) // 10)
        early, late = self.samples[tenth : 2 * tenth] or self.samples[:1], self.samples[-tenth:]
        return {what: (statistics.median(s[what] for s in early), statistics.median(s[what] for s in late)) for what in self.samples[-1]}

    def check(self):
        assert self.wrong == [], self.wrong
        # All of it happened, and what a broken guest answers for others is not most of it.
        assert {r[0] for r in RUNS} | {r[0] for r in REQUESTS} <= set(self.counts), self.counts
        assert self.counts["/hello itself"] > 0.8 * self.counts["/hello"], self.counts
        for what, (early, late) in self.growth().items():
            allowed = 16 * 1024 if what.endswith("KiB") else 16
            assert late <= early * 1.1 + allowed, (what, early, late)
        assert self.settled["guest"] <= 7 and self.settled["net broker"] <= 2, self.settled


def resident(pid):
    with contextlib.suppress(OSError, IndexError):
        return int(pathlib.Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])
    return 0


def kind(pid):
    with contextlib.suppress(OSError):
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        if b"postern-broker\0net" in command:
            return "net broker"
        if b"postern-broker" in command:
            return "other broker"
        parent = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        mine = pathlib.Path(f"/proc/{parent}/cmdline").read_bytes()
        return "guest" if mine.startswith(str(BUILD / "lib").encode()) else "worker"
    return "gone"


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3600
    with tempfile.TemporaryDirectory() as directory:
        soak = Soak(seconds, directory).go()
    total = sum(soak.counts.values())
    print(f"{total} runs and requests in {seconds:.0f} s ({total / seconds:.0f} a second), {len(soak.wrong)} not answered as they should be")
    for name, n in sorted(soak.counts.items(), key=lambda item: -item[1]):
        print(f"  {name:24} {n}")
    for what, (early, late) in sorted(soak.growth().items()):
        print(f"  {what:28} early {early:9.0f}  late {late:9.0f}")
    print(f"  left at rest: {dict(soak.settled)}")
    soak.check()


if __name__ == "__main__":
    main()
