"""`postern serve` under test: started with a notify socket as a service manager would, and asked over its Unix socket or TCP. Every answer
is checked against docs/openapi.yaml."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time

import jsonschema
import yaml
from conftest import POSTERN, ROOT

API = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())


def check_answer(method, path, status, headers, body):
    """Against the document, where it has the path."""
    path = path.split("?")[0]
    template = re.sub("^/v1/runs/[^/]+", "/v1/runs/{id}", path)
    operation = API["paths"].get(template, {}).get(method.lower())
    described = (operation or {"responses": {}})["responses"].get(str(status)) or {"$ref": "#/components/responses/Problem"}
    if "$ref" in described:
        described = API["components"]["responses"]["Problem"]
    if "content" not in described:
        assert body == b""
        return
    media = described["content"][headers["content-type"]]
    if headers["content-type"].endswith("json"):
        jsonschema.validate(json.loads(body), {**media["schema"], "components": API["components"]}, cls=jsonschema.Draft202012Validator)


def until(what, message, seconds=10):
    """Waits for something that happens soon; `message` may be a function, asked where it does not."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, message() if callable(message) else message
        os.sched_yield()


class UnixHTTP(http.client.HTTPConnection):
    def __init__(self, path, timeout=30):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def events(self):
        """[(name, data)] of an event stream."""
        lines = (block.split("\n") for block in self.body.decode().split("\n\n") if block)
        return [(event.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for event, data in lines]


def read_beside(file):
    """All of a file that a process writes to: its position is that process's too."""
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(errors="replace")


class Server:
    def __init__(self, tmp_path, *options, env=None, wrapper=()):
        self.socket = str(tmp_path / "postern.sock")
        self.options = [f"--socket={self.socket}", *options]
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(tmp_path / f"notify{os.urandom(4).hex()}"))
        self.notify.settimeout(30)
        self.env = {**os.environ, "NOTIFY_SOCKET": self.notify.getsockname(), **(env or {})}
        self.wrapper = wrapper
        self.stdout = None

    def __enter__(self):
        self.stderr = tempfile.TemporaryFile("w+")  # not a pipe: nobody reads before the end
        self.process = subprocess.Popen([*self.wrapper, POSTERN, "serve", *self.options], stdout=self.stdout, stderr=self.stderr, env=self.env)
        self.status = self.await_state("READY=1")
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            self.process.kill()
        self.process.wait()
        self.log = self.said()
        self.stderr.close()
        self.notify.close()

    def said(self):
        return read_beside(self.stderr)

    def await_state(self, wanted):
        """The manager is told so; the other lines of that message. A server that ends first is an error."""
        self.notify.settimeout(0.2)
        for _ in range(150):
            try:
                lines = self.notify.recv(4096).decode().split("\n")
            except TimeoutError:
                assert self.process.poll() is None, self.said()
                continue
            if wanted in lines:
                return lines
        raise AssertionError(wanted + " was never said")

    def address(self):
        """HOST:PORT of its TCP socket, from what it told the manager."""
        status = next(line for line in self.status if line.startswith("STATUS="))
        return next(word for word in status.split() if word[0].isdigit() or word[0] == "[")

    @contextlib.contextmanager
    def connection(self, tcp=False, timeout=30):
        c = http.client.HTTPConnection(self.address(), timeout=timeout) if tcp else UnixHTTP(self.socket, timeout)
        try:
            yield c
        finally:
            c.close()

    def ask(self, method, path, body=None, headers=None, tcp=False, timeout=30):
        with self.connection(tcp, timeout) as c:
            return ask(c, method, path, body, headers)

    def run(self, body, headers=None, **options):
        return self.ask("POST", "/v1/runs", body, headers, **options)

    def outcome(self, body, **options):
        answer = self.run(body, **options)
        assert answer.status == 200, answer.body
        return answer.json


def ask(connection, method, path, body=None, headers=None):
    if isinstance(body, dict):
        body = json.dumps(body)
        headers = {"content-type": "application/json", **(headers or {})}
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    result = Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    check_answer(method, path, result.status, result.headers, result.body)
    return result
