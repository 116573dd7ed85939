"""Minimal Debian systems, made by debootstrap and kept below build/ from one run of the tests to the next."""

import pathlib
import shutil
import subprocess


def own_release():
    """The code name of this machine's release."""
    fields = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return fields["VERSION_CODENAME"].strip('"')


def minimal_system(tree, release, include, settings=()):
    """Makes it at `tree`, with these packages and with this machine's own `settings` (paths below /)."""
    if (tree / "complete").exists():
        return
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    done = subprocess.run(["debootstrap", "--variant=minbase", f"--include={include}", release, tree], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-1000:]
    for place in settings:
        target, source = tree / place, pathlib.Path("/") / place
        shutil.rmtree(target, ignore_errors=True)
        target.unlink(missing_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        elif source.exists():
            shutil.copy(source, target)
    (tree / "complete").touch()
