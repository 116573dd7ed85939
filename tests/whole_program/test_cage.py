"""What the cage stops, tried by machine code that has exactly what a guest has (tests/hostile/): first with every layer
on, one escape a test; then each layer alone, which must stop what it is for, and must not where it is left out."""

import ctypes
import json
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess

import pytest
from conftest import RELEASE, our_processes

TREE = RELEASE / "tests" / "hostile" / "tree"
NAMES = subprocess.run([TREE / "lib/postern/node", "--list"], capture_output=True, text=True, check=True).stdout.split()
# Not attempts, but what other tests use.
TOOLS = {"nothing", "speak", "wait", "execute", "read-cgroup", "take-all-memory"}
# What does not end in SIGSYS: the call is one that a guest needs, and what it asks for is refused or is nothing.
OTHERWISE = {
    "guess-descriptors": "kept: no descriptor beyond the guest's own",
    "order-the-zygote": "kept: written to 5 7 9 11",  # its own channels' pipes, which drop a guest that speaks like this
    "raise-data-limit": "refused: EPERM",
    "raise-cpu-limit": "refused: EPERM",
    "raise-address-limit": "refused: EPERM",
    "search-memory": "kept: nothing found",
}
EXECUTABLE = {"map-executable": "got a mapping", "protect-executable": "got 0", "key-executable": "got 0"}  # V8's JIT does this
PLANTED = "planted-for-the-guest-to-find"


def remains():
    return our_processes([str(TREE / "lib")])


@pytest.fixture
def attempt(tmp_path):
    """attempt(name, *options, argument=…): its JSON result."""

    def run(name, *options, argument="x", tree=TREE, wrapper=()):
        file = tmp_path / "attempt"
        file.write_text(name)
        done = subprocess.run([*wrapper, tree / "bin/postern", "run", "--json", "--timeout=10s", *options, file, argument], capture_output=True, text=True,
                              timeout=30, env={**os.environ, "PLANTED": PLANTED})
        assert remains() == []
        return json.loads(done.stdout) | {"status": done.returncode}

    return run


def verdict(result):
    if result["status"] == 159:
        assert result["outcome"] == "killed"
        return "killed"
    return result["value"] if "value" in result else result["error"]["message"]


def test_there_are_many_attempts():
    assert len(set(NAMES) - TOOLS) >= 150
    assert set(OTHERWISE) | set(EXECUTABLE) | TOOLS <= set(NAMES)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in TOOLS])
def test_escape(attempt, name):
    argument = PLANTED[::-1] if name == "search-memory" else "127.0.0.1:1" if name == "connect-host" else "1"
    said = verdict(attempt(name, argument=argument))
    if name == "i386" and said != "killed":  # a kernel without that entry has no such instruction
        assert said.startswith("the guest was killed by signal 11")
    else:
        assert said == (OTHERWISE | EXECUTABLE).get(name, "killed")


@pytest.mark.parametrize("name", EXECUTABLE)
def test_jitless_makes_nothing_executable(attempt, name):
    assert verdict(attempt(name, "--jitless")) == "killed"



def test_search_memory_would_find_it(attempt):
    """The control: a palindrome is what is looked for and lies in the guest's own arguments."""
    assert verdict(attempt("search-memory", argument=PLANTED + PLANTED[::-1])).startswith("got it in")


def test_the_debug_option_names_the_call(attempt):
    result = attempt("socket-inet", "--debug-seccomp")
    assert result["status"] == 159 and "forbidden system call socket (41) args 2 1 0" in result["stderr"]


# ---- each layer alone

LAYERS = ("nobody", "user", "net", "mount", "pid", "ipc", "uts", "cgroup", "root", "landlock", "seccomp", "rlimits", "capabilities", "no_new_privs", "dumpable")


@pytest.fixture
def alone(attempt, tmp_path):
    """alone(layers, name, argument): the verdict with these layers on and no other, in a mount and uts namespace of the
    test's own, where nothing that succeeds harms the machine."""

    def run(layers, name, argument="x"):
        return verdict(attempt(name, argument=argument, tree=tree_with(tmp_path, layers), wrapper=("unshare", "--mount", "--uts")))

    return run


def tree_with(tmp_path, layers):
    assert set(layers) <= set(LAYERS)
    tree = tmp_path / ("tree-" + "-".join(layers))
    if not tree.exists():
        shutil.copytree(TREE, tree)
        (tree / "layers").write_text("\n".join(set(LAYERS) - set(layers)))
        for directory in (tmp_path, *tmp_path.parents[:2]):
            directory.chmod(0o755)  # nobody starts what lies here
    return tree


@pytest.fixture
def listener():
    """(HOST:PORT, the name of an abstract socket) of listeners on the host."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        name = f"postern-test-{os.getpid()}"
        unix.bind("\0" + name)
        unix.listen()
        yield "127.0.0.1:%d" % tcp.getsockname()[1], name


@pytest.fixture
def file(tmp_path):
    f = tmp_path / "file"
    f.write_text("theirs")
    f.chmod(0o600)
    return f


def landlock_abi():
    return ctypes.CDLL(None).syscall(444, None, 0, 1)


def stops(alone, layers, name, argument, by):
    """With `layers` the attempt is stopped `by` that verdict; without the first of them it gets through."""
    assert alone(layers, name, argument) == by
    assert alone(layers[1:], name, argument).startswith("got")


def test_seccomp_alone(alone, listener, file):
    for name, argument in (("connect-host", listener[0]), ("connect-abstract", listener[1]), ("open-file", str(file)), ("kill-pid", str(os.getpid())),
                           ("read-memory-of", str(os.getpid())), ("fork", "x"), ("mount", "x"), ("memfd", "x"), ("dup", "x")):
        if name == "read-memory-of":  # its address is the attempt's own: the call is what is looked at
            assert alone(["seccomp"], name, argument) == "killed"
        else:
            stops(alone, ["seccomp"], name, argument, "killed")


def test_network_namespace_alone(alone, listener):
    stops(alone, ["net"], "connect-host", listener[0], "refused: ENETUNREACH")
    stops(alone, ["net"], "connect-abstract", listener[1], "refused: ECONNREFUSED")


def test_empty_root_alone(alone, file):
    for name, argument in (("open-file", str(file)), ("open-proc-self-mem", "x"), ("readlink", "x")):
        stops(alone, ["root", "mount"], name, argument, "refused: ENOENT")
    stops(alone, ["root", "mount"], "write-file", str(file), "refused: ENOENT")
    assert alone(["root", "mount"], "mkdir", "/x") == "refused: EROFS"
    assert alone(["mount"], "mkdir", str(file.parent / "x")).startswith("got")


def test_pid_namespace_alone(alone):
    stops(alone, ["pid"], "kill-pid", str(os.getpid()), "refused: ESRCH")


def test_ipc_namespace_alone(alone):
    libc = ctypes.CDLL(None, use_errno=True)
    key = 0x504F5354 ^ os.getpid()
    segment = libc.shmget(key, 4096, 0o1600)
    assert segment >= 0
    try:
        stops(alone, ["ipc"], "shmget-host", str(key), "refused: ENOENT")
    finally:
        libc.shmctl(segment, 0, None)


def test_uts_namespace_alone(attempt, tmp_path):
    def host_name_after(layers):
        file = tmp_path / "attempt"
        file.write_text("sethostname")
        command = f"{tree_with(tmp_path, layers)}/bin/postern run {file} >/dev/null; hostname"
        return subprocess.run(["unshare", "--uts", "sh", "-c", command], capture_output=True, text=True, timeout=30).stdout.strip()

    assert host_name_after(["uts"]) == socket.gethostname()
    assert host_name_after([]) == "escaped"


def test_user_namespace_alone(alone):
    for name in ("mount", "sethostname"):
        stops(alone, ["user"], name, "x", "refused: EPERM")


def test_landlock_alone(alone, listener, file):
    abi = landlock_abi()
    if abi < 1:
        pytest.skip("this kernel has no Landlock")
    stops(alone, ["landlock"], "open-file", str(file), "refused: EACCES")
    stops(alone, ["landlock"], "write-file", str(file), "refused: EACCES")
    if abi >= 4:
        stops(alone, ["landlock"], "connect-host", listener[0], "refused: EACCES")
    if abi >= 6:
        stops(alone, ["landlock"], "connect-abstract", listener[1], "refused: EPERM")
        stops(alone, ["landlock"], "kill-pid", str(os.getpid()), "refused: EPERM")


def test_resource_limits_alone(alone, file):
    file.chmod(0o666)
    stops(alone, ["rlimits"], "dup", "x", "refused: EMFILE")
    stops(alone, ["rlimits"], "write-file", str(file), "refused: EFBIG")
    # Root is not counted: as nobody.
    stops(alone, ["rlimits", "nobody"], "fork", "x", "refused: EAGAIN")
    stops(alone, ["rlimits", "nobody"], "mlock", "x", "refused: EPERM")


def test_dropped_capabilities_alone(alone):
    for name in ("mount", "sethostname"):
        stops(alone, ["capabilities"], name, "x", "refused: EPERM")


def test_another_user_alone(alone, file):
    stops(alone, ["nobody"], "open-file", str(file), "refused: EACCES")


def test_no_new_privileges_alone(attempt, tmp_path):
    helper = tmp_path / "id"
    shutil.copy("/usr/bin/id", helper)
    helper.chmod(0o4755)
    if os.statvfs(helper).f_flag & os.ST_NOSUID:
        pytest.skip("no set-user-id programs on this file system")

    def user(layers):
        return attempt("execute", argument=str(helper), tree=tree_with(tmp_path, layers))["stdout"].strip()

    assert user(["no_new_privs", "nobody"]) == "65534"
    assert user(["nobody"]) == "0"


def test_not_dumpable_alone(alone, tmp_path):
    """Who is dumpable can be read by any process of the same user."""
    def read(victim_layers):
        file = tmp_path / "victim"
        file.write_text("wait")
        with subprocess.Popen([tree_with(tmp_path, victim_layers) / "bin/postern", "run", file], stdout=subprocess.PIPE, text=True) as victim:
            assert victim.stdout.readline() == "up\n"
            children = f"/proc/{victim.pid}/task/{victim.pid}/children"
            zygote = int(pathlib.Path(children).read_text().split()[0])
            guest = int(pathlib.Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split()[0])
            done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat", f"/proc/{guest}/environ"], capture_output=True)
            victim.terminate()
        return done.returncode == 0

    assert not read(["dumpable", "nobody"])
    assert read(["nobody"])


def test_cgroup_namespace_alone(attempt, tmp_path):
    before = pathlib.Path("/proc/self/cgroup").read_text()
    if all(line.endswith(":/") for line in before.split()):
        pytest.skip("this test runs in the root of every cgroup: there is nothing to hide")
    shown = attempt("read-cgroup", tree=tree_with(tmp_path, ["cgroup"]))["value"]
    assert all(line.endswith(":/") for line in shown.removeprefix("kept: ").split())
    assert attempt("read-cgroup", tree=tree_with(tmp_path, []))["value"] == "kept: " + before
