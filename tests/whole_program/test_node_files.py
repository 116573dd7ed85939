"""node:fs does what Node's own does: on a directory that may be written, and in a guest's memory."""

import subprocess

import pytest
from conftest import POSTERN, ROOT
from test_node_modules import NODE, same_as_node

# What each begins with; `d` is an empty directory.
HEAD = """
  const fs = require('fs'), fsp = fs.promises, path = require('path'), out = []; fs.mkdirSync(d, { recursive: true }); for (const name of fs.readdirSync(d)) fs.rmSync(`${d}/${name}`, { recursive: true });
  const plain = (e) => e instanceof Error ? [e.code, e.syscall, e.path, e.dest].map((v) => v && String(v).replaceAll(d, 'D')) : e === undefined ? 'nothing' : typeof e === 'string' ? e.replaceAll(d, 'D') : e;
  const t = async (f) => { try { out.push(plain(await f())); } catch (e) { out.push(plain(e)); } };
"""

SAME = {
    "copies": """
      const reset = () => { for (const name of fs.readdirSync(d)) fs.rmSync(`${d}/${name}`, { recursive: true }); fs.mkdirSync(`${d}/a/b/c`, { recursive: true }); fs.writeFileSync(`${d}/a/f`, 'x'); fs.mkdirSync(`${d}/d`); fs.writeFileSync(`${d}/d/f`, 'old'); fs.writeFileSync(`${d}/g`, 'g'); fs.utimesSync(`${d}/a/f`, 100, 200); };
      const all = { recursive: true }, keep = { recursive: true, force: false }, cases = [['a', 'a/b/z', all], ['a', 'a', all], ['a', 'a/b/c/n/m', all], ['a/', 'a/b/z', all], ['a/b', 'a', all], ['a/f', 'a/f', {}], ['a', 'g', all], ['g', 'a', {}], ['a', 'z', {}], ['a', 'a/b', {}], ['none', 'z', {}], ['a', 'z/y/x', all], ['a', 'd', all],
        ['a', 'd', keep], ['a', 'd', { ...keep, errorOnExist: true }], ['a', 'd', { recursive: true, errorOnExist: true }], ['g', 'd/f', keep], ['g', 'd/f', { force: false, errorOnExist: true }], ['g', 'd/f', { errorOnExist: true }], ['a', 'g/x', all], ['g', 'q/w/e'], ['a', 'ab', all], ['a', 'z', { recursive: true, filter: (s) => !s.endsWith('b') }], ['a', 'z', { recursive: true, filter: () => false }],
        ['a', 'z', { recursive: true, filter: async (s) => !s.endsWith('b') }], ['a', 'z', { filter: 5 }], ['a', 'z', { recursive: 1 }], ['a', 'z', 5], ['a', 'z', { dereference: true, verbatimSymlinks: true }], ['g', 'd/f', { mode: 1 }], ['g', 'new', { mode: 9 }], ['a', 'z', { recursive: true, preserveTimestamps: true }], ['none', 'z', { filter: () => false }], ['g', '']];
      const cp = { sync: (...a) => fs.cpSync(...a), promises: (...a) => fsp.cp(...a), callback: (...a) => new Promise((y, n) => fs.cp(...a, (e) => e ? n(e) : y())) };
      for (const way of Object.keys(cp)) for (const [from, to, options] of cases) { reset(); await t(() => cp[way](`${d}/${from}`, to && `${d}/${to}`, ...(options === undefined ? [] : [options])));
        if (way === 'sync' && Array.isArray(out.at(-1))) out.push(out.pop()[0]); else if (Array.isArray(out.at(-1))) out.at(-1)[1] = out.at(-1)[1]?.replace('lstat', 'stat');
        out.push(fs.readdirSync(d, { recursive: true }).sort(), fs.readFileSync(`${d}/d/f`, 'utf8'), fs.existsSync(`${d}/z/f`) && fs.statSync(`${d}/z/f`).mtimeMs === 200_000); }
      for (const f of [() => fs.cpSync(), () => fs.cpSync('a'), () => fs.cpSync(5, 'a'), () => fs.cp('a', 'b', {})]) await t(f);""",
    "times": """
      const f = `${d}/f`, seen = (p = f) => { const s = fs.statSync(p); return [s.atimeMs, s.mtimeMs, s.atime, s.mtime, String(s.atimeInstant), Object.keys(s).at(-1), s.ctimeMs > 1e12, s.birthtimeMs <= s.ctimeMs]; }; fs.writeFileSync(f, 'x');
      const now = fs.statSync(f, { bigint: true }); out.push([now.atimeNs, now.mtimeNs, now.ctimeNs, now.birthtimeNs].map((ns) => Math.abs(Number(ns / 1_000_000n) - Date.now()) < 60_000), Object.keys(now).sort(), Object.keys(fs.statSync(f)).sort());
      for (const [a, m] of [[1.5, 2.25], [new Date(5000), '7'], ['8.5', new Date(9000)], [0, 0], [-1.5, 1], [1, -2]]) { fs.utimesSync(f, a, m); const s = seen(); out.push([a, m].some((v) => v < 0) ? s[6] : s); }
      const h = await fsp.open(f, 'r+'); await h.utimes(10, 20); out.push(seen()); fs.futimesSync(h.fd, 30, 40); out.push(seen(), (await h.stat()).atimeMs); await h.close(); await fsp.utimes(f, 50, 60); out.push(seen()); await new Promise((y) => fs.utimes(f, 70, 80, y)); out.push(seen());
      fs.mkdirSync(`${d}/dir`); fs.utimesSync(`${d}/dir`, 3, 4); out.push(seen(`${d}/dir`)); fs.renameSync(f, `${d}/g`); out.push(seen(`${d}/g`)); const big = fs.lstatSync(`${d}/g`, { bigint: true }); out.push(String([big.atimeNs, big.mtimeNs])); fs.writeFileSync(`${d}/g`, 'y'); out.push(fs.statSync(`${d}/g`).mtimeMs > 1e12);
      await t(() => fs.utimesSync(`${d}/none`, 1, 1));""",
    "modes": """
      const kept = process.umask(0o22), at = (name) => fs.statSync(`${d}/${name}`).mode.toString(8); out.push(process.umask() === 0o22);
      const make = { none: (f) => fs.writeFileSync(f, ''), key: (f) => fs.writeFileSync(f, '', { mode: 0o600 }), text: (f) => fs.writeFileSync(f, '', { mode: '640' }), more: (f) => fs.writeFileSync(f, '', { mode: 0o666 }), closed: (f) => fs.writeFileSync(f, 'x', { mode: 0o400 }), appended: (f) => fs.appendFileSync(f, '', { mode: 0o600 }), flag: (f) => fs.readFileSync(f, { flag: 'a+', mode: 0o600 }),
        opened: (f) => { const fd = fs.openSync(f, 'wx', 0o600); fs.writeSync(fd, 'x'); out.push(fs.fstatSync(fd).mode.toString(8)); fs.closeSync(fd); }, promised: async (f) => { await fsp.writeFile(f, '', { mode: 0o600 }); const h = await fsp.open(f + 'o', 'w', '0600'); out.push((await h.stat()).mode.toString(8)); await h.close(); }, streamed: (f) => new Promise((y, n) => fs.createWriteStream(f, { mode: 0o600 }).on('close', y).on('error', n).end('x')),
        dir: (f) => fs.mkdirSync(f, 0o700), dirs: (f) => { fs.mkdirSync(`${f}/e`, { recursive: true, mode: '700' }); out.push(at('dirs/e')); }, plain: (f) => fs.mkdirSync(f), promise: (f) => fsp.mkdir(f, { mode: 0o700 }), copied: (f) => fs.copyFileSync(`${d}/key`, f), tree: (f) => { fs.writeFileSync(`${d}/dir/k`, '', { mode: 0o600 }); fs.cpSync(`${d}/dir`, f, { recursive: true }); out.push(at('tree/k')); },
        masked: (f) => { out.push(process.umask(0o77).toString(8)); fs.writeFileSync(f, ''); fs.mkdirSync(f + 'd'); out.push(at('maskedd'), process.umask('22'), process.umask()); } };
      for (const name of Object.keys(make)) { await make[name](`${d}/${name}`); out.push([name, at(name)]); }
      const made = fs.mkdtempSync(`${d}/t-`); out.push(fs.statSync(made).mode.toString(8)); fs.writeFileSync(`${d}/key`, 'again', { mode: 0o644 }); fs.appendFileSync(`${d}/key`, 'x', { mode: 0o644 }); out.push(at('key'), fs.lstatSync(`${d}/key`, { bigint: true }).mode === 0o100600n); fs.chmodSync(`${d}/key`, 0o600); fs.chmodSync(`${d}/dir`, '700'); fs.renameSync(`${d}/key`, `${d}/kept`); out.push(at('kept'));
      for (const mode of ['x', -1, 2 ** 32, 1.5, true, {}]) for (const f of [() => fs.writeFileSync(`${d}/bad`, '', { mode }), () => fs.mkdirSync(`${d}/bad`, { mode }), () => fs.openSync(`${d}/bad`, 'w', mode), () => process.umask(mode)]) await t(f); out.push(fs.existsSync(`${d}/bad`));
      process.umask(kept);""",
    "paths as they are given": r"""
      const cwd = process.cwd(); process.chdir(d); const short = (v) => String(v).replace(/(t-).{6}/g, '$1'), names = (l) => l.map((e) => short(e.parentPath + '|' + e.name)).sort();
      for (const p of ['a/b/c', './a/b/x/y', 'a/b/c', 'q/', `${d}/full/x`]) await t(() => fs.mkdirSync(p, { recursive: true })); await t(() => fsp.mkdir('p/q', { recursive: true })); await t(() => short(fs.mkdtempSync('t-'))); await t(async () => short(await fsp.mkdtemp('./t-'))); await t(() => fs.mkdtempSync('no/t-')); fs.writeFileSync('f', 'x'); fs.writeFileSync('a/g.txt', '');
      await t(() => names(fs.readdirSync('.', { withFileTypes: true, recursive: true }))); await t(() => fs.readdirSync('a', { recursive: true })); await t(() => names(fs.readdirSync('a/', { withFileTypes: true, recursive: true }))); await t(() => names(fs.readdirSync(`${d}/a`, { withFileTypes: true })).map((n) => n.replace(d, 'D'))); await t(async () => names(await fsp.readdir('a', { withFileTypes: true })));
      await t(() => fs.opendirSync('./a').path); await t(() => fs.opendirSync('a').readSync().parentPath); await t(() => names(fs.globSync('a/**', { withFileTypes: true }))); await t(() => fs.globSync('a/**').sort()); await t(() => fs.realpathSync('a/../a')); await t(() => fs.realpathSync.native('./a')); await t(() => fs.realpathSync('')); for (const p of ['', 'zz', './zz']) { await t(() => fs.realpathSync.native(p)); await t(() => fsp.realpath(p)); if (p !== '') { await t(() => fs.realpathSync(p)); await t(() => new Promise((y, n) => fs.realpath(p, (e, r) => e ? n(e) : y(r)))); } } await t(() => fs.createReadStream('f').path); await t(() => fs.createWriteStream('./w').path); await t(() => fs.createReadStream(require('url').pathToFileURL(`${d}/f`)).path);
      for (const p of ['zz', './zz', 'f/x', '', Buffer.from('zz'), require('url').pathToFileURL(`${d}/zz`), `${d}/zz`]) for (const f of ['readFileSync', 'statSync', 'lstatSync', 'accessSync', 'readdirSync', 'unlinkSync', 'rmdirSync', 'openSync', 'readlinkSync', 'truncateSync', 'mkdirSync']) if (f !== 'mkdirSync' || String(p) === '' || p === 'f/x') await t(() => fs[f](p));
      await t(() => fs.renameSync('zz', 'yy')); await t(() => fs.copyFileSync('zz', './yy')); await t(() => fsp.readFile('zz')); await t(() => new Promise((y, n) => fs.stat('./zz', (e) => n(e)))); await t(() => new Promise((y, n) => fs.createReadStream('zz').on('error', n)));
      const fd = fs.openSync('a', 'r'); await t(() => fs.readSync(fd, Buffer.alloc(1))); await t(() => fs.readFileSync(fd)); fs.closeSync(fd); await t(() => fs.readFileSync('a')); await t(() => fsp.readFile('./a')); await t(() => new Promise((y, n) => fs.readFile('a', (e) => n(e))));
      await t(() => process.chdir('nope')); await t(() => process.chdir('f')); await t(() => process.chdir(5)); process.chdir('a'); await t(() => process.cwd()); process.chdir(cwd);""",
    "paths that say that they are directories": """
      const cwd = process.cwd(); process.chdir(d); fs.mkdirSync('a/b', { recursive: true }); fs.writeFileSync('f', 'x'); fs.mkdirSync('q');
      for (const p of ['f/', 'f/.', 'f//', 'zz/', 'zz/.', 'a/', 'a/.']) { for (const f of ['existsSync', 'readFileSync', 'lstatSync', 'accessSync', 'realpathSync', 'readlinkSync', 'unlinkSync', 'truncateSync', 'rmSync']) if (f !== 'rmSync' || !p.startsWith('a')) await t(async () => { const v = fs[f](p); return typeof v === 'object' ? 'some' : v; });
        await t(() => fs.statSync(p).isDirectory()); await t(() => fs.statSync(p, { throwIfNoEntry: false })?.isDirectory()); for (const flag of ['w', 'a', 'r+', 'r', ...(p.endsWith('.') ? [] : ['wx'])]) await t(() => { const fd = fs.openSync(p, flag); fs.closeSync(fd); return 'open'; }); await t(() => fs.writeFileSync(p, '')); await t(() => fs.writeFileSync(p, '', { flag: 'r+' })); await t(() => fs.appendFileSync(p, '')); await t(() => fs.utimesSync(p, 1, 1)); if (!p.startsWith('a')) { await t(() => fs.chmodSync(p, 0o644)); await t(() => fs.rmdirSync(p)); await t(() => fs.readdirSync(p)); } }
      await t(() => fs.copyFileSync('f', 'new/')); await t(() => fs.copyFileSync('f/', 'new')); await t(() => fs.renameSync('f', 'new/')); await t(() => fs.renameSync('f/', 'new')); await t(() => fs.renameSync('q/', 'q2/')); await t(() => fs.rmSync('f/', { recursive: true, force: true })); await t(() => fs.mkdirSync('f/')); await t(() => fs.mkdirSync('f/', { recursive: true })); await t(() => fs.mkdirSync('m/')); await t(() => fs.mkdtempSync('f/')); await t(() => fs.realpathSync.native('f/'));
      await t(() => fs.accessSync('f', fs.constants.X_OK)); await t(() => fs.accessSync('a', fs.constants.X_OK)); await t(() => fs.accessSync('f', fs.constants.R_OK | fs.constants.W_OK)); await t(() => fsp.access('f', fs.constants.X_OK)); const fd = fs.openSync('f'); await t(() => fs.ftruncateSync(fd, 1)); fs.closeSync(fd); await t(() => fs.ftruncateSync(0, -1)); await t(() => fs.readdirSync('.').sort()); process.chdir(cwd);""",
}


@pytest.mark.parametrize("where", ["a mount", "memory"])
@pytest.mark.parametrize("name", SAME)
def test_files_are_as_in_node(postern, tmp_path, tmp_path_factory, name, where):
    d = tmp_path_factory.mktemp("d")
    same_as_node(postern, tmp_path, f"const d = '{d}';" + HEAD + SAME[name] + "\nreturn out;", *([f"--mount={d}:{d}:rw"] if where == "a mount" else []))


def test_devices_are_as_in_node():
    told = [subprocess.run([*command, ROOT / "tests" / "whole_program" / "guests" / "devices.cjs"], input="given", capture_output=True, text=True, timeout=60) for command in ([NODE], [POSTERN, "run"])]
    assert told[1].stderr == told[0].stderr and 'stdin "given"' in told[1].stderr
    assert told[1].stdout == told[0].stdout == "one\ntwo\nthree\nfour\n" and [t.returncode for t in told] == [0, 0]


def test_a_guest_s_devices_are_its_own(postern, tmp_path):
    """Whatever is mounted at their place, and nothing of the kernel's is advised to be."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "null").write_text("the host's")
    told = postern("""
      import fs from 'node:fs'; const how = (f) => { try { return f(); } catch (e) { return [e.code, e.message]; } }, all = [];
      fs.writeFileSync('/dev/null', 'gone'); all.push(fs.readFileSync('/dev/null', 'utf8'));
      for (const f of [() => fs.unlinkSync('/dev/null'), () => fs.renameSync('/dev/null', '/dev/x'), () => fs.rmSync('/dev/stdout'), () => fs.utimesSync('/dev/null', 1, 1), () => fs.chmodSync('/dev/null', 0o600)]) all.push(how(f)[0]);
      for (const path of ['/proc/cpuinfo', '/sys/kernel', '/proc']) all.push(how(() => fs.readFileSync(path))[1]); all.push(how(() => fs.writeFileSync('/procs', ''))[1].includes('--mount'));
      __return(all);""", f"--mount={tmp_path}/dev:/dev:rw").value
    assert told[:6] == ["", "EACCES", "EACCES", "EACCES", "EACCES", "EPERM"] and (tmp_path / "dev" / "null").read_text() == "the host's"
    assert told[6:] == [f"EACCES: {path} is outside what is mounted, open '{path}'" for path in ("/proc/cpuinfo", "/sys/kernel", "/proc")] + [True]
