"""The other Debian release that README names: in a container of it, ./dev installs what it needs, builds the programs, and shows the main job.
What its compiler and its libraries' versions refuse is seen here."""

import os
import shutil
import subprocess

import pytest
from conftest import ROOT
from minimal_system import minimal_system, own_release

OTHER = {"bookworm": "trixie", "trixie": "bookworm"}
PODMAN = ["podman", "--runtime", "runc", "--cgroup-manager=cgroupfs"]
LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4000:4000"]


@pytest.fixture(scope="module")
def tree():
    """A minimal system of the other release, kept from one run of the tests to the next; /postern in it is this checkout."""
    name = OTHER[own_release()]
    tree = ROOT / "build" / f"{name}-root"
    minimal_system(tree, name, "ca-certificates", ["etc/apt/apt.conf.d"])
    # Not what an older checkout had besides; what was built stays, where it is the same.
    for old in (tree / "postern").glob("*"):
        if old.name not in ("build", "node_modules"):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    (tree / "postern" / "node_modules").mkdir(parents=True, exist_ok=True)
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    packed = subprocess.run(["tar", "-c", "--null", "-T", "-"], cwd=ROOT, input=files, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", tree / "postern"], input=packed, check=True)
    return tree


def test_the_demo(tree):
    name = f"postern-other-release-{os.getpid()}"
    # What npm installs is the same on every release, and Debian's npm a few hundred packages.
    (tree / "usr/local/bin/npm").write_text("#!/bin/sh\necho 'node_modules is mounted' >&2; exit 1\n")
    (tree / "usr/local/bin/npm").chmod(0o755)
    done = subprocess.run([*PODMAN, "run", "--rm", "--name", name, "--privileged", "--network=host", *LIMITS, "-v", f"{ROOT}/node_modules:/postern/node_modules:ro", "-w", "/postern",
                           "--rootfs", tree, "./dev", "demo"], capture_output=True, text=True, timeout=2400)  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    fetched, refused, unadapted, silent, doctor = done.stdout.split("\n$ postern ")[1:]
    assert "200" in fetched and "10485760" in fetched.replace(" ", "").replace(",", "") or "10 MB" in fetched, fetched
    assert "is denied: this guest has no network permission" in refused
    assert "network permitted but no host network adapter configured" in unadapted
    assert "headers_timeout" in silent
    assert "seccomp" in doctor and "landlock" in doctor
