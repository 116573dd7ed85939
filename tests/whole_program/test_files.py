"""Files of guests: mounts to read and to write, the in-memory /tmp, and node:fs over both."""

import os

import pytest

BOTH = ["/tmp/home", "/data/home"]

@pytest.fixture
def files(tmp_path, postern):
    """files(code, …): runs it with a directory that may be written at /data, one that may be read at /ro; gives the result."""
    (tmp_path / "rw").mkdir()
    (tmp_path / "ro").mkdir()
    (tmp_path / "ro" / "given.txt").write_text("given")

    def run(code, *options, **more):
        head = "import fs from 'node:fs'; import fsp from 'node:fs/promises'; const failed = (f) => { try { f(); return 'none'; } catch (e) { return e.code; } };\n"
        return postern(head + code, f"--mount={tmp_path}/rw:/data:rw", f"--mount={tmp_path}/ro:/ro", *options, name="prog/job.mjs", **more)

    return run

@pytest.mark.parametrize("home", BOTH)
def test_everything_that_files_do(files, home):
    value = files("""
      const d = process.argv[2], out = [];
      fs.mkdirSync(`${d}/a/b`, { recursive: true });
      fs.writeFileSync(`${d}/a/f`, 'hello'); fs.appendFileSync(`${d}/a/f`, ' world');
      out.push(fs.readFileSync(`${d}/a/f`, 'utf8'), fs.statSync(`${d}/a/f`).size, fs.statSync(d).isDirectory(), fs.readdirSync(d, { recursive: true }));
      await fsp.rename(`${d}/a/f`, `${d}/g`);
      out.push(await fsp.readdir(d), fs.existsSync(`${d}/a/f`), fs.readdirSync(d, { withFileTypes: true }).map((e) => e.isDirectory()));
      const h = await fsp.open(`${d}/g`, 'r+'); await h.write('HE', 0); out.push(String((await h.read(Buffer.alloc(5), 0, 5, 0)).buffer)); await h.close();
      await new Promise((done, no) => { const w = fs.createWriteStream(`${d}/s`); w.on('error', no).on('finish', done); w.write('a'); w.end('b'.repeat(300_000)); });
      let n = 0; for await (const chunk of fs.createReadStream(`${d}/s`, { start: 1, end: 200_000 })) n += chunk.length; out.push(n);
      fs.copyFileSync(`${d}/s`, `${d}/t`); fs.truncateSync(`${d}/t`, 3); out.push(fs.readFileSync(`${d}/t`, 'latin1'));
      fs.writeFileSync(`${d}/whole`, 'all', { atomic: true }); fs.writeFileSync(`${d}/whole`, 'other', { atomic: true }); out.push(fs.readFileSync(`${d}/whole`, 'utf8'), fs.readdirSync(d).length);
      const m = Date.now() - fs.statSync(`${d}/whole`).mtimeMs; out.push(m >= -1000 && m < 60_000);
      const fd = fs.openSync(`${d}/x`, 'wx'); fs.writeSync(fd, 'ab'); fs.writeSync(fd, 'cd'); fs.closeSync(fd); out.push(fs.readFileSync(`${d}/x`, 'utf8'));
      out.push(await new Promise((done) => fs.readFile(`${d}/none`, (e) => done([e.code, e.syscall, e.path.endsWith('/none')]))));
      fs.cpSync(d, `${d}2`, { recursive: true }); out.push(fs.readdirSync(`${d}2`).length); fs.rmSync(`${d}2`, { recursive: true });
      out.push([() => fs.readFileSync(`${d}/none`), () => fs.mkdirSync(`${d}/a`), () => fs.rmdirSync(d), () => fs.unlinkSync(`${d}/a`), () => fs.writeFileSync(`${d}/g`, '', { flag: 'wx' }), () => fs.readFileSync(d),
        () => fs.rmSync(d), () => fs.mkdirSync(`${d}/no/no`), () => fs.writeFileSync(`${d}/g/x`, ''), () => fs.renameSync(`${d}/none`, `${d}/y`), () => fs.closeSync(99),
        () => fs.readFileSync(`${d}/g/x`), () => fs.mkdirSync(`${d}/g/x/y`, { recursive: true }), () => fs.mkdirSync(`${d}/g`, { recursive: true })].map(failed));
      fs.rmSync(d, { recursive: true }); out.push(fs.existsSync(d)); __return(out);""", args=(home,)).value
    assert value == ["hello world", 11, True, ["a", "a/b", "a/f"], ["a", "g"], False, [True, False], "HEllo", 200_000, "abb", "other", 5, True, "abcd", ["ENOENT", "open", True], 6,
                     ["ENOENT", "EEXIST", "ENOTEMPTY", "EISDIR", "EEXIST", "EISDIR", "ERR_FS_EISDIR", "ENOENT", "ENOTDIR", "ENOENT", "EBADF",
                      "ENOTDIR", "ENOTDIR", "EEXIST"], False]


def test_what_is_written_is_on_the_disk_and_tmp_is_not(files, tmp_path):
    files("fs.writeFileSync('/data/kept', 'x'.repeat(100_000)); fs.writeFileSync('/tmp/gone', 'y'); fs.mkdirSync('/data/dir');")
    assert (tmp_path / "rw" / "kept").read_text() == "x" * 100_000 and (tmp_path / "rw" / "dir").is_dir()
    assert not os.path.exists("/tmp/gone")
    assert files("__return(failed(() => fs.readFileSync('/tmp/gone')));").value == "ENOENT"

@pytest.mark.parametrize("code,error,words", [
    ("fs.writeFileSync('/ro/x', '')", "EACCES", "add --mount=/ro:rw, or --mount=HOST:/ro:rw for a directory of another name"),
    ("fs.unlinkSync('/ro/given.txt')", "EACCES", "add --mount=/ro:rw, or --mount=HOST:/ro:rw for a directory of another name"),
    ("fs.writeFileSync('/etc/x', '')", "EACCES", "/etc/x is outside what is mounted; add --mount=/etc, or --mount=HOST:/etc"),
    ("fs.readFileSync('/proc/self/environ')", "EACCES", "outside what is mounted"),
    ("fs.readFileSync('/data/link/passwd')", "EACCES", "leads out of its mount"),
    ("fs.writeFileSync('/data/link/x', '')", "EACCES", "leads out of its mount"),
    ("fs.writeFileSync('/data/file-link', 'x')", "EACCES", "leads out of its mount"),
    ("fs.writeFileSync('/data/../etc/x', '')", "EACCES", "outside what is mounted"),
    ("fs.renameSync('/data/a', '/ro/b')", "EACCES", "may be read only"),
    ("fs.renameSync('/tmp/a', '/data/b')", "EXDEV", "different places"),
    ("fs.rmSync('/data', { recursive: true })", "EBUSY", "a mount itself"),
    ("fs.writeFileSync('/data/pipe', 'x')", "EACCES", "no regular file"),
    ("fs.writeFileSync('/data/' + 'x'.repeat(300), '')", "ENAMETOOLONG", "too long"),
    ("fs.writeFileSync('/data/x\\0y', '')", "ERR_INVALID_ARG_VALUE", "null bytes"),
    ("fs.writeFileSync('/data/big', new Uint8Array(70 << 20))", "EFBIG", "more bytes than the limit"),
    ("fs.watch('/data')", "ERR_NOT_AVAILABLE", "told of no changes"),
    ("fs.symlinkSync('/etc', '/data/s')", "ERR_NOT_AVAILABLE", "no such thing"),
])
def test_what_a_guest_may_not_do(files, tmp_path, code, error, words):
    (tmp_path / "rw" / "link").symlink_to("/etc")
    (tmp_path / "outside").write_text("untouched")
    (tmp_path / "rw" / "file-link").symlink_to(tmp_path / "outside")
    (tmp_path / "rw" / "a").write_text("a")
    os.mkfifo(tmp_path / "rw" / "pipe")
    got = files("fs.writeFileSync('/tmp/a', ''); try { %s; __return(['none', '']); } catch (e) { __return([e.code, e.message]); }" % code, "--memory=512MiB").value
    assert got[0] == error and words in got[1], got
    assert (tmp_path / "outside").read_text() == "untouched" and not os.path.exists("/etc/x")

def test_removing_all_does_not_follow_links(files, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "p").write_text("p")
    (tmp_path / "rw" / "d").mkdir()
    (tmp_path / "rw" / "d" / "link").symlink_to(tmp_path / "precious")
    assert files("fs.rmSync('/data/d', { recursive: true }); __return(fs.existsSync('/data/d'));").value is False
    assert (tmp_path / "precious" / "p").read_text() == "p"

def test_links_within_a_mount_are_followed(files, tmp_path):
    (tmp_path / "rw" / "real").mkdir()
    (tmp_path / "rw" / "real" / "f").write_text("there")
    (tmp_path / "rw" / "to").symlink_to("real")
    assert files("fs.writeFileSync('/data/to/g', 'new'); __return([fs.readFileSync('/data/to/f', 'utf8'), fs.realpathSync('/data/to/../to/f')]);").value == ["there", "/data/real/f"]
    assert (tmp_path / "rw" / "real" / "g").read_text() == "new"

def test_inodes_tell_files_apart(files, tmp_path):
    (tmp_path / "rw" / "a").write_text("a")
    (tmp_path / "rw" / "link").symlink_to("a")
    value = files("""
      fs.writeFileSync('/data/b', ''); fs.mkdirSync('/tmp/d'); fs.writeFileSync('/tmp/e', ''); fs.writeFileSync('/tmp/e', 'more');
      const at = (p, o) => { const s = fs.statSync(p, o); return `${s.dev} ${s.ino}`; };
      const all = ['/data', '/data/a', '/data/b', '/ro/given.txt', '/tmp', '/tmp/d', '/tmp/e'].map((p) => at(p)), e = at('/tmp/e'); fs.renameSync('/tmp/e', '/tmp/f');
      const big = fs.statSync('/data/a', { bigint: true });
      __return([new Set(all).size === all.length, at('/data/link') === at('/data/a'), at('/tmp/f') === e, at('/data/a', { bigint: true }) === at('/data/a'), typeof big.size, big.mtimeNs / 1_000_000n === big.mtimeMs, big.isFile(), big.mode === 0o100644n]);""").value
    assert value == [True, True, True, True, "bigint", True, True, True]

def test_modes_do_not_change(files, tmp_path):
    """Tools that set the mode that they have read may."""
    value = files("""
      fs.writeFileSync('/data/f', 'x'); const h = await fsp.open('/data/f');
      const how = (f) => { try { f(); return 'done'; } catch (e) { return [e.code, e.syscall ?? e.name]; } };
      const out = [fs.statSync('/data/f').mode.toString(8), fs.statSync('/ro/given.txt').mode.toString(8), fs.statSync('/data').mode.toString(8), fs.statSync('/tmp').mode.toString(8)];
      for (const mode of [0o644, '644', 0o100644, 0o600, '0755', 'x', -1, undefined]) out.push(how(() => fs.chmodSync('/data/f', mode)));
      out.push(how(() => fs.chmodSync('/data', 0o755)), how(() => fs.chmodSync('/data/none', 0o644)), how(() => fs.fchmodSync(h.fd, 0o644)), how(() => fs.accessSync('/ro/given.txt', fs.constants.W_OK)));
      await fsp.chmod('/data/f', 0o644); out.push(await fsp.chmod('/data/f', 0).catch((e) => e.code), await new Promise((f) => fs.realpath.native('/data/../data/f', (e, p) => f(p)))); await h.close();
      __return(out);""").value
    assert value == ["100644", "100644", "40755", "40755", "done", "done", "done", ["EPERM", "chmod"], ["EPERM", "chmod"], ["ERR_INVALID_ARG_VALUE", "TypeError"], ["ERR_OUT_OF_RANGE", "RangeError"],
                     ["ERR_INVALID_ARG_TYPE", "TypeError"], "done", ["ENOENT", "chmod"], "done", ["EACCES", "access"], "EPERM", "/data/f"]

def test_a_guest_makes_nothing_that_is_open_to_others_or_can_be_executed(files, tmp_path):
    """Whatever mode and mask it asks for; what is there keeps its mode, in place of another file too."""
    rw = tmp_path / "rw"
    for name, mode in {"tool": 0o4755, "key": 0o600, "group": 0o664}.items():
        (rw / name).write_text("before")
        (rw / name).chmod(mode)
    value = files("""
      process.umask(0); const seen = (d) => fs.readdirSync(d).sort().map((name) => `${name} ${fs.statSync(`${d}/${name}`).mode.toString(8)}`), before = seen('/data');
      for (const d of ['/data', '/tmp']) { for (const mode of [0o777, 0o7777, 0o100777, 0o111]) { fs.writeFileSync(`${d}/f${mode}`, '', { mode }); fs.mkdirSync(`${d}/d${mode}`, { mode }); fs.closeSync(fs.openSync(`${d}/o${mode}`, 'w', mode)); fs.writeFileSync(`${d}/a${mode}`, '', { mode, atomic: true }); } }
      for (const name of ['tool', 'key', 'group']) { fs.writeFileSync(`/data/${name}`, 'x', { mode: 0o777 }); fs.copyFileSync(`/data/${name}`, `/data/${name}2`); fs.copyFileSync(`/data/${name}`, `/tmp/${name}`); }
      fs.writeFileSync('/data/key', 'all of it', { mode: 0o777, atomic: true });
      __return([before, seen('/data'), seen('/tmp')]);""").value
    assert value[0] == ["group 100644", "key 100600", "tool 100644"]
    for path in rw.iterdir():
        mode = path.stat().st_mode & 0o7777
        expected = {"tool": 0o755, "group": 0o664, "tool2": 0o644, "group2": 0o644}.get(path.name, 0o600 if path.name.startswith("key") else None)
        assert mode == expected if expected is not None else mode & ~(0o755 if path.is_dir() else 0o644) == 0, (path, oct(mode))
    shown = {path.name: ("40%03o" if path.is_dir() else "100%03o") % (path.stat().st_mode & (0o755 if path.is_dir() else 0o644)) for path in rw.iterdir()}
    assert value[1] == [f"{name} {mode}" for name, mode in sorted(shown.items())] and len(shown) == 22
    in_memory = dict(line.split() for line in value[2])
    assert in_memory["key"] == "100600" and in_memory["f511"] == "100644" and in_memory["d4095"] == "40755" and in_memory["d73"] == "40111" and in_memory["f73"] == "100000"

def test_links_are_seen(files, tmp_path):
    (tmp_path / "rw" / "real").mkdir()
    (tmp_path / "rw" / "real" / "f").write_text("there")
    for name, target in {"dir": "real", "file": "./real/f", "gone": "none", "out": "/etc/passwd", "up": "../../x", "round": "round"}.items():
        (tmp_path / "rw" / name).symlink_to(target)
    value = files("""
      const seen = (name) => { const s = fs.lstatSync(`/data/${name}`); return [s.isSymbolicLink(), s.isFile(), s.isDirectory(), (s.mode & fs.constants.S_IFMT) === fs.constants.S_IFLNK]; };
      __return([['dir', 'file', 'gone', 'out', 'round'].map(seen).every((s) => String(s) === 'true,false,false,true'), seen('real'), seen('dir/f'), (await fsp.lstat('/data/file')).size,
        fs.readlinkSync('/data/dir'), await fsp.readlink('/data/file'), String(fs.readlinkSync('/data/gone', 'buffer')), fs.readlinkSync('/data/up'), await new Promise((f) => fs.readlink('/data/dir', (e, to) => f(to))),
        failed(() => fs.readlinkSync('/data/out')), failed(() => fs.readlinkSync('/data/real')), failed(() => fs.readlinkSync('/data/none')), failed(() => fs.statSync('/data/gone')), failed(() => fs.statSync('/data/round')), failed(() => fs.lstatSync('/data/none')),
        fs.lstatSync('/data/none', { throwIfNoEntry: false }) === undefined, fs.readdirSync('/data', { withFileTypes: true }).filter((e) => e.isSymbolicLink()).length, fs.lstatSync('/tmp').isDirectory(), failed(() => fs.lstatSync('/data/out/x')), fs.lstatSync('/data/dir/').isDirectory(), failed(() => fs.readlinkSync('/data/dir/')), failed(() => fs.lstatSync('/data/file/'))]);""").value
    assert value == [True, [False, False, True, False], [False, True, False, False], 8, "real", "./real/f", "none", "../../x", "real",
                     "EACCES", "EINVAL", "ENOENT", "ENOENT", "ELOOP", "ENOENT", True, 6, True, "EACCES", True, "EINVAL", "ENOTDIR"]

def test_limits_of_what_is_made(files):
    """10 000 files by one guest, on a disk and in memory; 64 MiB in memory."""
    value = files("""
      const fill = (d) => { let n = 0; try { for (; n < 10_001; n++) fs.writeFileSync(`${d}/${n}`, ''); } catch (e) { return [n, e.code]; } };
      __return([fill('/data'), fill('/tmp'), failed(() => { for (let i = 0; ; i++) fs.writeFileSync('/tmp/1', Buffer.alloc(i * (8 << 20))); })]);""", "--timeout=60s", "--memory=512MiB").value
    assert value == [[10_000, "ENOSPC"], [9_999, "ENOSPC"], "ENOSPC"]

def test_a_whole_file_or_none(files, tmp_path):
    """A write that is all or nothing leaves nothing beside it when it fails."""
    (tmp_path / "rw" / "f").write_text("old")
    assert files("__return(failed(() => fs.writeFileSync('/data/f', new Uint8Array(65 << 20), { atomic: true })));", "--memory=512MiB").value == "EFBIG"
    assert (tmp_path / "rw" / "f").read_text() == "old" and os.listdir(tmp_path / "rw") == ["f"]

def test_modules_from_tmp_and_cwd(files):
    value = files("""
      fs.writeFileSync('/tmp/m.mjs', 'export default 7'); process.chdir('/tmp');
      __return([(await import('/tmp/m.mjs')).default, fs.readFileSync('m.mjs', 'utf8'), process.cwd()]);""", "--cwd=/data").value
    assert value == [7, "export default 7", "/tmp"]

def test_a_policy_file_mounts_to_write(postern, tmp_path):
    (tmp_path / "w").mkdir()
    policy = {"version": 1, "mounts": [{"host": str(tmp_path / "w"), "guest": "/w", "mode": "rw"}]}
    postern("import fs from 'node:fs'; fs.writeFileSync('/w/f', 'x');", policy=policy)
    assert (tmp_path / "w" / "f").read_text() == "x"


@pytest.mark.parametrize("home", ["/tmp/t", "/data/t"])
def test_times_of_files(files, home):
    value = files("""
      const d = process.argv[2]; fs.mkdirSync(d); fs.writeFileSync(`${d}/a`, 'x'); const seen = () => fs.statSync(`${d}/a`).mtimeMs, out = [];
      fs.utimesSync(`${d}/a`, 1, 1577836800.5); out.push(seen()); fs.utimesSync(`${d}/a`, new Date(0), new Date(86400000)); out.push(seen()); fs.utimesSync(`${d}/a`, '1', '2'); out.push(seen());
      const fd = fs.openSync(`${d}/a`, 'r+'); fs.futimesSync(fd, 3, 4); fs.closeSync(fd); out.push(seen()); fs.utimesSync(d, 5, 6); out.push(fs.statSync(d).mtimeMs);
      await fs.promises.utimes(`${d}/a`, 7, 8); out.push(seen()); const h = await fs.promises.open(`${d}/a`); await h.utimes(9, 10); await h.close(); out.push(seen());
      await new Promise((done) => fs.utimes(`${d}/a`, 11, 1e300, (error) => done(out.push(error, seen() > Date.now()))));
      out.push([() => fs.utimesSync(`${d}/none`, 1, 1), () => fs.utimesSync(`${d}/a`, 'x', 1), () => fs.utimesSync(`${d}/a`, 1), () => fs.utimesSync(`${d}/a`, NaN, 1), () => fs.utimesSync('/ro/x', 1, 1), () => fs.lutimesSync(`${d}/a`, 1, 1)].map(failed));
      __return(out);""", args=(home,)).value
    assert value == [1577836800500, 86400000, 2000, 4000, 6000, 8000, 10000, None, True,
                     ["ENOENT", "ERR_INVALID_ARG_TYPE", "ERR_INVALID_ARG_TYPE", "ERR_INVALID_ARG_TYPE", "EACCES", "ERR_NOT_AVAILABLE"]]
