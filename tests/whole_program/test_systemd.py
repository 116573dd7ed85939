"""The units of packaging/systemd in a real systemd, booted in a container: start, stop, reload, crash and restart, watchdog, socket
activation, credentials, DynamicUser, the journal."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import time

import pytest
from conftest import ROOT
from minimal_system import minimal_system, own_release
from test_containers import INSTALLED, PODMAN, libraries

PACKAGING = ROOT / "packaging"
TREE = ROOT / "build" / "systemd-root"  # kept from one run of the tests to the next
NAME = f"postern-systemd-{os.getpid()}"
PARTS = {
    **INSTALLED,
    "usr/lib/systemd/system/postern.service": PACKAGING / "systemd" / "postern.service",
    "usr/lib/systemd/system/postern.socket": PACKAGING / "systemd" / "postern.socket",
    "etc/postern/policy.yaml": PACKAGING / "policy.yaml",
}


def test_exposure_is_small():
    text = subprocess.run(["systemd-analyze", "security", "--offline=true", PACKAGING / "systemd" / "postern.service"], capture_output=True, text=True).stdout
    level = re.search(r"Overall exposure level for postern.service: ([\d.]+)", text)
    assert float(level[1]) <= 1.5, text


def build_tree():
    """A minimal system of this machine's own release, with Postern installed."""
    minimal_system(TREE, own_release(), "systemd,systemd-sysv,dbus,curl")
    for name, source in PARTS.items():
        (TREE / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, TREE / name)
    programs = [source for name, source in INSTALLED.items() if not name.endswith(".snapshot")]
    for library in libraries(*programs):
        target = TREE / library.lstrip("/")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)
    for place in ("etc/systemd/system/postern.service.d", "etc/systemd/system/multi-user.target.wants"):
        shutil.rmtree(TREE / place, ignore_errors=True)


class Machine:
    def run(self, *words, check=True, **options):
        done = subprocess.run(["podman", "--runtime", "runc", "--cgroup-manager=cgroupfs", "exec", "-i", NAME, *words], capture_output=True, text=True,
                              timeout=120, **options)  # fmt: skip
        assert not check or done.returncode == 0, (words, done.stdout, done.stderr)
        return done

    def show(self, prop, unit="postern.service"):
        return self.run("systemctl", "show", "--value", "-p", prop, unit).stdout.strip()

    def await_show(self, prop, wanted, seconds=40):
        end = time.monotonic() + seconds
        while not wanted(self.show(prop)):
            assert time.monotonic() < end, (prop, self.show(prop), self.run("journalctl", "-n", "30", "--no-pager").stdout)

    def eval(self, code, *options, check=True):
        return self.run("postern", "eval", "--server=unix:/run/postern.sock", *options, code, check=check)

    @contextlib.contextmanager
    def drop_in(self, text, files=None):
        """The service, restarted with these lines and files."""
        for path, content in (files or {}).items():
            self.run("sh", "-c", f"mkdir -p $(dirname {path}) && cat > {path}", input=content)
        path = "/etc/systemd/system/postern.service.d/test.conf"
        self.run("sh", "-c", f"mkdir -p $(dirname {path}) && cat > {path}", input="[Service]\n" + text)
        try:
            self.run("systemctl", "daemon-reload")
            self.run("systemctl", "reset-failed", check=False)
            done = self.run("systemctl", "restart", "postern.service", check=False)
            assert done.returncode == 0, journal(self)
            yield
        finally:
            self.run("rm", path, *(files or {}))
            self.run("systemctl", "daemon-reload")
            self.run("systemctl", "reset-failed", "postern.service", check=False)


@pytest.fixture(scope="module")
def machine():
    if os.geteuid() != 0:
        pytest.skip("booting a systemd takes root")
    build_tree()
    subprocess.run([*PODMAN, "--detach", f"--name={NAME}", "--network=none", "--systemd=always", "--cgroupns=private", "--privileged", "--rootfs", TREE, "/sbin/init"],
                   check=True, capture_output=True, timeout=120)  # fmt: skip
    try:
        m = Machine()
        end = time.monotonic() + 60
        while m.run("systemctl", "is-system-running", "--wait", check=False).stdout.strip() not in ("running", "degraded"):
            assert time.monotonic() < end, "systemd does not boot"
        # As a machine's root is, and a container's is not: credentials are mounted by a helper in a namespace of its own.
        m.run("mount", "--make-rshared", "/")
        yield m
    finally:
        subprocess.run(["podman", "--runtime", "runc", "--cgroup-manager=cgroupfs", "rm", "--force", "--time=5", NAME], capture_output=True, timeout=60)


@pytest.fixture
def service(machine):
    machine.run("systemctl", "reset-failed", check=False)
    machine.run("systemctl", "restart", "postern.service")
    yield machine
    machine.run("systemctl", "stop", "postern.service")


def test_start_and_run(service):
    assert service.show("ActiveState") == "active" and service.show("SubState") == "running"
    assert service.show("StatusText").startswith("ready at unix:/run/postern.sock")
    assert service.eval("6 * 7").stdout == "42\n"
    refused = service.eval("await fetch('http://a.test/')", check=False)
    assert refused.returncode == 1 and "this guest has no network permission" in refused.stderr


def test_it_is_nobody_in_particular(service):
    pid = service.show("MainPID")
    status = service.run("cat", f"/proc/{pid}/status").stdout
    uids = re.search(r"Uid:\s+(\d+)", status)
    assert int(uids[1]) >= 61184  # DynamicUser's range
    assert re.search(r"CapEff:\s+0+$", status, re.M) and re.search(r"NoNewPrivs:\s+1", status)


def test_guests_have_their_layers_there(service):
    report = json.loads(service.run("curl", "-sS", "--unix-socket", "/run/postern.sock", "http://x/v1/doctor").stdout)
    assert {"seccomp", "user", "net", "mount", "root", "pid", "ipc", "uts", "cgroup"} <= {layer.split(":")[0] for layer in report["parts"]["worker"]["on"]}


def test_reload(service):
    pid = service.show("MainPID")
    service.run("systemctl", "reload", "postern.service")
    assert (service.show("MainPID"), service.show("ActiveState")) == (pid, "active")
    assert service.eval("1").stdout == "1\n"
    end = time.monotonic() + 20
    while "the policy was read again" not in journal(service):
        assert time.monotonic() < end, journal(service)


def journal(machine, *options):
    return machine.run("journalctl", "--no-pager", "-u", "postern.service", *options).stdout


def test_the_journal_has_runs_with_their_priority(service):
    service.eval("1")
    entries = [json.loads(line) for line in journal(service, "-o", "json").splitlines()]
    [*_, last] = [e for e in entries if str(e["MESSAGE"]).startswith("run ")]
    assert last["PRIORITY"] == "6" and re.match(r"run [0-9a-f]{16} of uid:0 succeeded status=0 wall_ms=\d+ ", last["MESSAGE"])


def test_a_crash_is_followed_by_a_restart(service):
    pid, restarts = service.show("MainPID"), int(service.show("NRestarts"))
    service.run("sh", "-c", f"kill -KILL {pid}")
    service.await_show("NRestarts", lambda n: int(n) == restarts + 1)
    service.await_show("ActiveState", lambda state: state == "active")
    assert service.eval("1").stdout == "1\n"
    assert service.show("MainPID") != pid


def test_a_server_that_hangs_is_replaced_by_the_watchdog(machine):
    with machine.drop_in("WatchdogSec=1\nWatchdogSignal=SIGKILL\n"):
        restarts = int(machine.show("NRestarts"))
        machine.run("sh", "-c", f"kill -STOP {machine.show('MainPID')}")
        machine.await_show("NRestarts", lambda n: int(n) > restarts)
        machine.await_show("ActiveState", lambda state: state == "active")
        assert "Watchdog timeout" in journal(machine)
        assert machine.eval("1").stdout == "1\n"


def test_socket_activation(machine):
    machine.run("systemctl", "stop", "postern.service", "postern.socket")
    assert machine.eval("1", check=False).returncode == 125
    machine.run("systemctl", "start", "postern.socket")
    assert machine.show("ActiveState") == "inactive"
    assert machine.eval("'started by this'").stdout == "started by this\n"
    machine.await_show("ActiveState", lambda state: state == "active")


def test_stopping_lets_a_run_end(service):
    pid = service.show("MainPID")
    run = subprocess.Popen(["podman", "--runtime", "runc", "--cgroup-manager=cgroupfs", "exec", NAME, "postern", "eval", "--server=unix:/run/postern.sock",
                            "console.log('up'); await new Promise((r) => setTimeout(r, 1000)); console.log('done')"], stdout=subprocess.PIPE, text=True)
    assert run.stdout.readline() == "up\n"
    service.run("systemctl", "stop", "postern.service")
    assert run.communicate(timeout=30)[0] == "done\n" and run.returncode == 0
    assert service.show("Result") == "success"
    assert service.run("test", "-e", f"/proc/{pid}", check=False).returncode == 1
    service.run("systemctl", "start", "postern.socket")


def test_credentials(machine):
    policy = "version: 1\nnetwork: {permission: allow, rules: [{allow: 'https://a.test', secrets: [API_KEY]}]}\nsecrets: {API_KEY: {credential: api-key}}\n"
    files = {"/etc/postern/with-secret.yaml": policy, "/etc/postern/api-key": "s3cret-of-the-service"}
    lines = "LoadCredential=api-key:/etc/postern/api-key\nExecStart=\nExecStart=/usr/bin/postern serve --policy=/etc/postern/with-secret.yaml\n"
    with machine.drop_in(lines, files):
        said = machine.eval("process.env.API_KEY", "--allow-net=https://a.test").stdout
        assert said.strip() and "s3cret" not in said  # the guest has a placeholder


def test_guests_memory_is_a_cgroup_of_their_own(machine):
    """Of version 1, systemd delegates memory to root only."""
    hybrid = "memory" in machine.run("cat", "/proc/self/cgroup").stdout
    with machine.drop_in("DynamicUser=no\nPrivateUsers=no\n" if hybrid else "\n"):
        result = json.loads(machine.eval("1", "--json").stdout)
        assert result["confinement"]["guest"]["on"] == ["memory-cgroup:1" if hybrid else "memory-cgroup:2"], result["confinement"]["guest"]


def test_the_document_s_commands(machine):
    """docs/service.md, tried as somebody would: in a clone, one command after the other."""
    machine.run("rm", "-rf", "/root/clone")
    archive = subprocess.run(["tar", "-C", ROOT, "-c", "examples", "docs", "packaging"], capture_output=True, check=True).stdout
    subprocess.run(["podman", "--runtime", "runc", "--cgroup-manager=cgroupfs", "exec", "-i", NAME, "sh", "-c", "mkdir -p /root/clone/build && tar -C /root/clone -x"], input=archive, check=True, timeout=60)
    machine.run("systemctl", "stop", "postern.service", "postern.socket")
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "service.md").read_text(), re.S)
    assert len(blocks) >= 4
    script = "set -e -o pipefail\ncd /root/clone\n" + "".join(f"echo; echo '+{i}'\n{block}\n" for i, block in enumerate(blocks)) + "kill %1 %2; wait\n"
    try:
        done = machine.run("bash", "-c", script, check=False)
        assert done.returncode == 0, (done.stdout[-3000:], done.stderr[-3000:])
    finally:
        machine.run("systemctl", "start", "postern.socket")
    said = dict(zip(blocks, re.split(r"^\+\d+\n", done.stdout, flags=re.M)[1:], strict=True))
    answers = list(said.values())
    assert "hello world\n" in answers[0]
    assert {"hello": "you", "method": "GET"} in [json.loads(line) for a in answers for line in a.splitlines() if line.startswith('{"hello"')]
    assert any('"value":1' in a for a in answers)
    service = next(a for b, a in said.items() if "systemctl" in b)
    assert "42\n" in service and "active\n" in service and "succeeded" in service


def test_a_handler_as_a_service(machine):
    unit = """ExecStart=
ExecStart=/usr/bin/postern serve --handler=/etc/postern/handler.mjs --listen=8080 --admin-listen=9090 --policy=/etc/postern/policy.yaml
PrivateNetwork=no
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
IPAddressDeny=
"""
    handler = "export default { fetch: () => { console.log('asked'); return new Response('version 1') } }"
    with machine.drop_in(unit, {"/etc/postern/handler.mjs": handler}):
        ask = lambda: machine.run("curl", "-sf", "http://127.0.0.1:8080/").stdout  # noqa: E731
        assert ask() == "version 1"
        machine.run("sh", "-c", "cat > /etc/postern/handler.mjs", input=handler.replace("1", "2"))
        # The reload is over when the new code takes requests.
        machine.run("systemctl", "reload", "postern.service")
        assert ask() == "version 2"
        assert "postern_handler_requests_total" in machine.run("curl", "-sf", "http://127.0.0.1:9090/metrics").stdout
        lines = [json.loads(line) for line in machine.run("journalctl", "-u", "postern.service", "-o", "json", "--no-pager").stdout.splitlines()]
        assert any(str(line["MESSAGE"]).endswith("] asked") and line["PRIORITY"] == "6" for line in lines)
