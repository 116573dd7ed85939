"""Mounts inside mounts: what one hides or makes read-only cannot be reached through the other by another name. A case is a line
of the tables: what the guest does, and what comes of it; a new way to reach a mount is one more."""

import json
import os
import shutil
import subprocess

import pytest
from conftest import POSTERN

HEAD = """import fs from 'node:fs';
const of = (f) => { try { return f() ?? 'done'; } catch (e) { return e.code; } };
const read = (path) => of(() => fs.readFileSync(path, 'utf8'));
const write = (path) => of(() => fs.writeFileSync(path, 'mine'));
"""


@pytest.fixture
def tree(tmp_path):
    """The host's: what is mounted at /data to be written, with sub/config in it, and links that lead there."""
    host = tmp_path / "host"
    (host / "sub" / "config").mkdir(parents=True)
    (host / "sub" / "config" / "f").write_text("theirs")
    (host / "sub" / "config" / "deep").mkdir()
    (host / "sub" / "config" / "deep" / "g").write_text("theirs")
    (host / "sub" / "beside").write_text("beside")
    (host / "free").mkdir()
    (host / "full").mkdir()
    (host / "full" / "x").write_text("x")
    for name, target in {"link": "sub", "straight": "sub/config", "to-file": "sub/config/f", "round/about": "../sub/../sub/config", "new": "sub/config/new"}.items():
        (host / name).parent.mkdir(exist_ok=True)
        (host / name).symlink_to(target)
    (tmp_path / "empty").mkdir()
    (tmp_path / "prog").mkdir()
    return tmp_path


def run(tree, code, mounts, wrapper=(), file="prog/job.mjs"):
    path = tree / file
    path.write_text(HEAD + code)
    options = [f"--mount={tree}/{m}" for m in mounts]
    done = subprocess.run([*wrapper, POSTERN, "run", "--json", "--timeout=20s", *options, path], capture_output=True, text=True, timeout=60)
    result = json.loads(done.stdout)
    assert result["outcome"] == "succeeded", (done.stdout, done.stderr)
    return result["value"]


READ_ONLY = ["host:/data:rw", "host/sub/config:/data/sub/config"]  # of what is there
HIDDEN = ["host:/data:rw", "empty:/data/sub/config"]  # by another directory

# What each gives where the mount inside may be read only, and where it hides what is there.
WAYS = {
    "by its own name": ("write('/data/sub/config/f')", "EACCES", "EACCES"),
    "after its parent was moved": ("fs.mkdirSync('/data/t'), of(() => fs.renameSync('/data/sub', '/data/o')), write('/data/o/config/f')", "ENOENT", "ENOENT"),
    "by a link of the host's to the parent": ("write('/data/link/config/f')", "EACCES", "EACCES"),
    "by a link to it": ("write('/data/straight/f')", "EACCES", "EACCES"),
    "by a link that goes round about": ("write('/data/round/about/f')", "EACCES", "EACCES"),
    "by a link to a file in it": ("write('/data/to-file')", "EACCES", "EACCES"),
    "by a link to what is not there yet": ("write('/data/new')", "EACCES", "EACCES"),
    "with dots": ("write('/data/./sub/./config/f')", "EACCES", "EACCES"),
    "with slashes": ("write('/data//sub///config//f')", "EACCES", "EACCES"),
    "with parents": ("write('/data/free/../sub/config/f')", "EACCES", "EACCES"),
    "with parents over a link": ("write('/data/link/../sub/config/f')", "EACCES", "EACCES"),
    "by an URL": ("of(() => fs.writeFileSync(new URL('file:///data/%73ub/config/f'), 'mine'))", "EACCES", "EACCES"),
    "deeper": ("write('/data/link/config/deep/g')", "EACCES", "EACCES"),
    "appending": ("of(() => fs.appendFileSync('/data/link/config/f', 'mine'))", "EACCES", "EACCES"),
    "cutting": ("of(() => fs.truncateSync('/data/link/config/f', 0))", "EACCES", "EACCES"),
    "all or nothing": ("of(() => fs.writeFileSync('/data/link/config/f', 'mine', { atomic: true }))", "EACCES", "EACCES"),
    "a new file": ("of(() => fs.writeFileSync('/data/link/config/n', 'mine', { flag: 'wx' }))", "EACCES", "EACCES"),
    "a new directory": ("of(() => fs.mkdirSync('/data/link/config/n'))", "EACCES", "EACCES"),
    "new directories": ("of(() => fs.mkdirSync('/data/link/config/n/m', { recursive: true }))", "EACCES", "EACCES"),
    "its times": ("of(() => fs.utimesSync('/data/link/config/f', 1, 1))", "EACCES", "EACCES"),
    "a file moved in": ("fs.writeFileSync('/data/m', ''), of(() => fs.renameSync('/data/m', '/data/link/config/m'))", "EACCES", "EACCES"),
    "a file moved out": ("of(() => fs.renameSync('/data/link/config/f', '/data/m'))", "EACCES", "EACCES"),
    "a file removed": ("of(() => fs.unlinkSync('/data/link/config/f'))", "EACCES", "EACCES"),
    "reading": ("read('/data/link/config/f')", "theirs", "ENOENT"),
    "reading by a link to the file": ("read('/data/to-file')", "theirs", "ENOENT"),
    "looking": ("of(() => fs.statSync('/data/link/config/f').size)", 6, "ENOENT"),
    "looking where links lead": ("of(() => fs.realpathSync('/data/link/config'))", "/data/sub/config", "/data/sub/config"),
    "listing": ("of(() => fs.readdirSync('/data/straight').sort())", ["deep", "f"], []),
    "importing": ("await import('/data/link/config/f').then(() => 'done', (e) => e.code ?? e.name)", None, None),
    # the mount itself, and what stands above it
    "moving the mount": ("of(() => fs.renameSync('/data/sub/config', '/data/c'))", "EACCES", "EACCES"),
    "moving it by a link to the parent": ("of(() => fs.renameSync('/data/link/config', '/data/c'))", "EACCES", "EACCES"),
    "moving its parent": ("of(() => fs.renameSync('/data/sub', '/data/o'))", "EBUSY", "EBUSY"),
    "moving its parent into another": ("of(() => fs.renameSync('/data/sub', '/data/free/o'))", "EBUSY", "EBUSY"),
    "moving another over the parent": ("of(() => fs.renameSync('/data/full', '/data/sub'))", "EBUSY", "EBUSY"),
    "moving another over the mount": ("of(() => fs.renameSync('/data/full', '/data/link/config'))", "EACCES", "EACCES"),
    "removing the mount": ("of(() => fs.rmdirSync('/data/link/config'))", "EACCES", "EACCES"),
    "removing the parent": ("of(() => fs.rmdirSync('/data/sub'))", "EBUSY", "EBUSY"),
    "removing the parent with all beneath": ("of(() => fs.rmSync('/data/sub', { recursive: true }))", "EBUSY", "EBUSY"),
    "removing all of the outer mount": ("of(() => { for (const name of fs.readdirSync('/data')) fs.rmSync(`/data/${name}`, { recursive: true, force: true }); })", "EBUSY", "EBUSY"),
    # and what may be done still
    "a link to the parent may go": ("[of(() => fs.unlinkSync('/data/link')), fs.existsSync('/data/link')]", ["done", False], ["done", False]),
    "beside it": ("[write('/data/sub/beside'), write('/data/link/other'), of(() => fs.mkdirSync('/data/sub/a/b', { recursive: true })) !== 'EACCES', of(() => fs.renameSync('/data/sub/a', '/data/free/a'))]", ["done", "done", True, "done"], ["done", "done", True, "done"]),
    "elsewhere": ("[of(() => fs.renameSync('/data/full', '/data/f2')), of(() => fs.rmSync('/data/f2', { recursive: true })), of(() => fs.rmdirSync('/data/free'))]", ["done"] * 3, ["done"] * 3),
}


def untouched(tree):
    config = tree / "host" / "sub" / "config"
    assert sorted(os.listdir(config)) == ["deep", "f"] and (config / "f").read_text() == "theirs" and (config / "f").stat().st_mtime > 1000
    assert (config / "deep" / "g").read_text() == "theirs" and os.listdir(tree / "empty") == []


@pytest.mark.parametrize("name", WAYS)
def test_what_may_be_read_only(tree, name):
    code, expected, _ = WAYS[name]
    value = run(tree, f"__return(({code}));", READ_ONLY)
    untouched(tree)
    assert expected is None or value == expected


@pytest.mark.parametrize("name", WAYS)
def test_what_is_hidden(tree, name):
    code, _, expected = WAYS[name]
    value = run(tree, f"__return(({code}));", HIDDEN)
    untouched(tree)
    assert expected is None or value == expected


@pytest.mark.parametrize("how", ["removed and made again", "moved and made again", "made where there was none"])
def test_what_the_host_does_meanwhile(tree, how):
    """A directory that is put where the mount stands is hidden by it as the first was."""
    host = tree / "host"
    if how == "made where there was none":
        shutil.rmtree(host / "sub")
    code = """
      console.log('ready'); fs.readFileSync(0);
      __return([write('/data/link/config/h'), write('/data/straight/h'), of(() => fs.renameSync('/data/sub', '/data/o')), write('/data/o/config/h')]);"""
    (tree / "prog" / "job.mjs").write_text(HEAD + code)
    process = subprocess.Popen([POSTERN, "run", "--timeout=20s", f"--mount={host}:/data:rw", f"--mount={tree}/empty:/data/sub/config", tree / "prog/job.mjs"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    if how == "removed and made again":
        shutil.rmtree(host / "sub")
    elif how == "moved and made again":
        (host / "sub").rename(host / "gone")
    (host / "sub" / "config").mkdir(parents=True)
    process.communicate("go\n")
    assert not list(host.rglob("h")) and os.listdir(tree / "empty") == [] and (host / "sub" / "config").is_dir()


def test_a_bind_mount_of_the_host_s_is_the_same_directory(tree):
    """Wherever the host shows it again: told by device and inode."""
    (tree / "host" / "bound").mkdir()
    script = f"mount --bind {tree}/host/sub/config {tree}/host/bound && exec \"$@\""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        pytest.skip("needs to mount")
    code = "__return([write('/data/bound/f'), of(() => fs.renameSync('/data/bound', '/data/b')), read('/data/bound/f')]);"
    assert run(tree, code, READ_ONLY, wrapper=("unshare", "-m", "bash", "-c", script, "bash")) == ["EACCES", "EACCES", "theirs"]
    untouched(tree)


def test_a_mount_inside_that_may_be_written_inside_one_that_may_not(tree):
    code = "__return([write('/data/free/x'), write('/data/sub/config/n'), write('/data/link/config/m'), of(() => fs.renameSync('/data/sub/config/n', '/data/straight/k'))]);"
    assert run(tree, code, ["host:/data", "host/sub/config:/data/sub/config:rw"]) == ["EACCES", "done", "done", "done"]
    assert sorted(os.listdir(tree / "host/sub/config")) == ["deep", "f", "k", "m"]


def test_three_levels(tree):
    code = """__return([write('/data/sub/x'), write('/data/link/x'), write('/data/sub/config/x'), write('/data/straight/x'), write('/data/sub/config/deep/x'), write('/data/straight/deep/x'),
      of(() => fs.renameSync('/data/sub/config', '/data/c'))]);"""
    mounts = ["host:/data:rw", "host/sub:/data/sub", "host/sub/config:/data/sub/config:rw", "host/sub/config/deep:/data/sub/config/deep"]
    assert run(tree, code, mounts) == ["EACCES", "EACCES", "done", "done", "EACCES", "EACCES", "EBUSY"]


@pytest.mark.parametrize("mount", ["{}:{}:rw", "{}:/data:rw"])
def test_the_directory_of_the_module_stays(tree, mount):
    """Where it is, and so does what it stands in, under whatever name that is mounted to be written."""
    (tree / "a" / "b").mkdir(parents=True)
    guest = mount.split(":")[1].format(tree) if "{}" in mount.split(":")[1] else "/data"
    file = tree / "a" / "b" / "job.mjs"
    file.write_text(HEAD + f"""__return([of(() => fs.renameSync('{guest}/a', '{guest}/c')), of(() => fs.renameSync('{guest}/a/b', '{guest}/c')), of(() => fs.rmSync('{guest}/a', {{ recursive: true }})),
      of(() => fs.mkdirSync('{guest}/c')), of(() => fs.renameSync('{guest}/c', '{guest}/a')), read(process.argv[1]).length > 0]);""")
    done = subprocess.run([POSTERN, "run", "--json", "--mount=" + (f"{tree}:{tree}:rw" if guest != "/data" else f"{tree}:/data:rw"), file], capture_output=True, text=True, timeout=30)
    value = json.loads(done.stdout)["value"]
    assert value[0] == "EBUSY" and value[1] in ("EBUSY", "EACCES") and value[3:] == ["done", "EBUSY", True], done.stdout
    assert value[2] == "EBUSY" and file.exists()


def test_a_mount_s_path_that_is_not_normal(tree):
    code = "__return([write('/data/sub/config/f'), write('/data/./sub/config/f'), write('/data/x')]);"
    assert run(tree, code, ["host:/data/.:rw", "host/sub/config:/data//sub/./config"]) == ["EACCES", "EACCES", "done"]
    untouched(tree)


@pytest.mark.parametrize("wrapper", [("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
                                     ("setpriv", "--bounding-set=-all", "--inh-caps=-all")], ids=["not root", "root without capabilities"])
def test_in_whatever_way_it_is_started(tree, wrapper):
    """Nothing is mounted for it, so nothing must be allowed to."""
    if wrapper[0] == "setpriv" and os.geteuid() != 0:
        pytest.skip("needs root")
    for path in (tree, *tree.parents[:3], *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o777)
    code = "__return([write('/data/link/config/f'), of(() => fs.renameSync('/data/sub', '/data/o')), write('/data/straight/f'), write('/data/free/x')]);"
    assert run(tree, code, READ_ONLY, wrapper=wrapper) == ["EACCES", "EBUSY", "EACCES", "done"]
    untouched(tree)


def test_what_was_refused_was_not_made(tree):
    """The limit is of files that are there."""
    code = """
      let refused = 0;
      for (let i = 0; i < 12000; i++) if (of(() => fs.mkdirSync('/data/free')) === 'EEXIST') refused++;
      for (let i = 0; i < 12000; i++) if (of(() => fs.writeFileSync('/data/none/x', '')) === 'ENOENT') refused++;
      __return([refused, write('/data/free/x'), of(() => fs.mkdirSync('/data/free/d'))]);"""
    assert run(tree, code, ["host:/data:rw"]) == [24000, "done", "done"]


def test_inodes_and_devices_tell_nothing_of_the_host(tree):
    """They are the guest's own: equal for one file under all its names, and for each file another."""
    host = tree / "host"
    os.link(host / "sub" / "beside", host / "hard")
    value = run(tree, """
      const id = (p) => { const s = fs.statSync(p); return [s.dev, s.ino]; };
      const paths = ['/data', '/data/sub', '/data/sub/beside', '/data/full', '/data/full/x', '/data/sub/config', '/tmp'];
      __return([paths.map(id), id('/data/hard'), id('/data/link/beside'), id('/data/sub/beside'), id('/data/full/x')]);""", READ_ONLY)
    paths, hard, linked, beside, again = value
    assert hard == linked == beside == paths[2] and again == paths[4]
    assert len({tuple(p) for p in paths}) == len(paths)
    numbers = {n for p in paths for n in p}
    assert max(numbers) < 100 and not numbers & {os.stat(host).st_ino, os.stat(host / "full").st_ino}


def test_times_before_1970(tree):
    value = run(tree, """
      fs.utimesSync('/data/full/x', new Date(0), new Date(-500)); const s = fs.statSync('/data/full/x').mtimeMs; fs.utimesSync('/data/full/x', new Date(-1000), new Date(-86400000));
      __return([s, fs.statSync('/data/full/x').mtimeMs]);""", ["host:/data:rw"])
    assert value == [-500, -86400000]
    assert (tree / "host" / "full" / "x").stat().st_atime == -1
