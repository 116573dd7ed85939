"""Fixtures: running postern on a piece of JavaScript, and the misbehaving origin."""

import ctypes
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import types

import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE / folder) for folder in ("", "support", "whole_program")]
from origin import Origin  # noqa: E402
from ports import free_port  # noqa: E402

ROOT = HERE.parent
RELEASE = ROOT / "build" / "release"
# Whose programs are tested: the release build's, or the sanitizers'.
BUILD = pathlib.Path(os.environ.get("POSTERN_BUILD", RELEASE))
unless_sanitized = pytest.mark.skipif(BUILD != RELEASE, reason="the sanitizers' build takes memory of its own and is not hardened")
POSTERN = str(BUILD / "bin" / "postern")


# What these tests start stays among their descendants when its parent ends, so that they can tell it from what others start.
PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0, os.strerror(ctypes.get_errno())


started = set()  # by these tests themselves
start = subprocess.Popen.__init__


def start_and_note(self, *words, **options):
    start(self, *words, **options)
    started.add(self.pid)


subprocess.Popen.__init__ = start_and_note


def reap(pid):
    """Lets go of a child whose parent was one of ours. Those that the tests have started are waited for where they were."""
    if pid not in started:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass


def descendants():
    """Pids of all processes below this one."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:2]
            except OSError:  # gone by now
                continue
            parent = int(parent)
            if state == "Z" and parent == os.getpid():
                reap(int(entry.name))
            children.setdefault(parent, []).append(int(entry.name))
    found, below = [], [os.getpid()]
    while below:
        below = [child for pid in below for child in children.get(pid, [])]
        found += below
    return found


def our_processes(programs=(str(BUILD / "lib" / "postern"),)):
    """Pids of the workers and brokers that these tests have started, or of other programs: the beginnings of their paths."""
    found = []
    for pid in descendants():
        try:
            line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if line.startswith(tuple(p.encode() for p in programs)):
            found.append(pid)
    return found


class Result:
    def __init__(self, status, out, err, seconds):
        self.status, self.out, self.err, self.seconds = status, out, err, seconds

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def value(self):
        assert "value" in self.json, (self.out, self.err)
        return self.json["value"]


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """A directory with the package, as ./dev package makes it."""
    path = subprocess.run([ROOT / "dev", "package"], capture_output=True, text=True, timeout=900)
    assert path.returncode == 0, path.stderr[-2000:]
    directory = tmp_path_factory.mktemp("package")
    shutil.copy(path.stdout.split()[-1], directory / "postern.deb")
    return directory


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """A directory with the packages of tests/packages."""
    home = tmp_path_factory.mktemp("packages")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / "tests" / "packages" / name, home)
    done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], cwd=home, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return home


@pytest.fixture
def postern(tmp_path):
    """postern(code, *options, args=(), policy=None): runs the module `code`, asserts that nothing stays behind."""

    def run(code, *options, args=(), policy=None, json_result=True, command="run", name="job.mjs", timeout=60, stdin=None,
            raw=False):
        if raw:
            code = options[-1]
            options = options[:-1]
        elif command == "run":
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(code) if isinstance(code, str) else file.write_bytes(code)
            code = str(file)
        if policy is not None:
            path = tmp_path / "policy.yaml"
            path.write_text(policy if isinstance(policy, str) else json.dumps(policy))
            options = ["--policy=%s" % path, *options]
        if json_result:
            options = ["--json", *options]
        begun = time.monotonic()
        done = subprocess.run([POSTERN, command, *options, code, *args], capture_output=True, text=True, timeout=timeout, input=stdin,
                              errors="replace")
        result = Result(done.returncode, done.stdout, done.stderr, time.monotonic() - begun)
        assert our_processes() == []
        return result

    return run


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """name -> (certificate, key): good, expired, selfsigned, wrongname; and "ca" -> path."""
    d = tmp_path_factory.mktemp("certificates")

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=d, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=Test CA",
            "-addext", "basicConstraints=critical,CA:TRUE")
    (d / "index.txt").write_text("")
    (d / "ca.cnf").write_text("[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n"
                              "rand_serial=yes\ncopy_extensions=copy\n[p]\ncommonName=supplied\n")
    files = {}
    for name, host, dates in (("good", "good.test", ()), ("wrongname", "other.test", ()),
                              ("expired", "expired.test", ("-startdate", "20200101000000Z", "-enddate", "20200201000000Z"))):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", name + ".key", "-out", name + ".csr", "-subj", "/CN=" + host,
                "-addext", "subjectAltName=DNS:" + host)
        openssl("ca", "-batch", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-in", name + ".csr", "-out", name + ".pem",
                "-notext", *(dates or ("-days", "30")))
        files[name] = (d / (name + ".pem"), d / (name + ".key"))
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "self.key", "-out", "self.pem", "-days", "30", "-subj", "/CN=self.test",
            "-addext", "subjectAltName=DNS:self.test")
    files["selfsigned"] = (d / "self.pem", d / "self.key")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "client.key", "-out", "client.csr", "-subj", "/CN=client")
    openssl("ca", "-batch", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-in", "client.csr", "-out", "client.pem", "-notext", "-days", "30")
    return files, d / "ca.pem"


@pytest.fixture
def origin(certificates):
    with Origin(certificates[0]) as o:
        yield o


FETCH = """
const begun = performance.now();
const settle = (rest) => __return({ ms: performance.now() - begun, ...rest });
try {
  const response = await fetch(process.argv[2], JSON.parse(process.argv[3] ?? '{}'));
  const body = await response.text();
  settle({ status: response.status, statusText: response.statusText, body, headers: Object.fromEntries(response.headers) });
} catch (error) {
  settle({ name: error.name, message: error.message, code: error.cause?.posternCode ?? null });
}
"""


@pytest.fixture
def fetch(postern):
    """fetch(url, policy, init): what one fetch came to, in the guest: status and body, or name, message and code; ms."""

    def one(url, policy, init=None, options=()):
        return postern(FETCH, *options, args=(url, json.dumps(init or {})), policy=policy).value

    return one


def allowing(*rules, **limits):
    """A policy that allows `rules` (texts, or mappings) with `limits`."""
    return {"version": 1, "network": {"permission": "allow", "limits": limits,
                                      "rules": [r if isinstance(r, dict) else {"allow": r} for r in rules]}}


def until_it_listens(port, process):
    while True:
        assert process.poll() is None
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return


@pytest.fixture
def microsocks():
    started = []

    def start(*options):
        port = free_port()
        process = subprocess.Popen(["microsocks", "-i", "127.0.0.1", "-p", str(port), *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        started.append(process)
        until_it_listens(port, process)
        process.port = port
        return process

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=10)


@pytest.fixture
def nginx(tmp_path, certificates):
    """nginx: its ports http2 (over TLS), tls (HTTP/1.1 over TLS) and plain, and www, the directory that it serves, with "big" of 3 MB."""
    ports = http2, tls, plain = [free_port() for _ in range(3)]
    cert, key = certificates[0]["good"]
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "big").write_bytes(b"x" * 3_000_000)
    (tmp_path / "nginx.conf").write_text(f"""
daemon off; pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log; worker_processes 1; user root;
events {{ worker_connections 512; }}
http {{ access_log {tmp_path}/access.log; client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/p; fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
  ssl_certificate {cert}; ssl_certificate_key {key}; root {tmp_path}/www;
  server {{ listen 127.0.0.1:{http2} ssl http2; location /version {{ return 200 "$server_protocol"; }} location /early/ {{ return 200 "hello"; }} location /early/large {{ return 413 "hello"; }} }}
  server {{ listen 127.0.0.1:{tls} ssl; }}
  server {{ listen 127.0.0.1:{plain}; }} }}
""")
    process = subprocess.Popen(["/usr/sbin/nginx", "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "error.log")], stderr=subprocess.DEVNULL)
    for port in ports:
        until_it_listens(port, process)
    yield types.SimpleNamespace(http2=http2, tls=tls, plain=plain, www=tmp_path / "www")
    process.terminate()
    process.wait(10)
