"""A project as people lay it out: the program in src/, package.json and node_modules above it. It finds its modules as in Node.js, and sees nothing
else of the directories above."""

import json
import os
import pathlib
import subprocess
import tempfile

import pytest
from conftest import POSTERN
from server import Server

LOOK = """
import fs from 'node:fs';
const see = (path) => { try { fs.statSync(path); return true; } catch { return false; } };
"""


def lay(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text if isinstance(text, str) else json.dumps(text))


@pytest.fixture
def elsewhere():
    """A directory that is not in /tmp, which is the guest's own."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as made:
        yield pathlib.Path(made)


@pytest.fixture
def project(elsewhere):
    root = elsewhere / "project"
    lay(root, {
        "package.json": {"name": "app", "type": "module", "imports": {"#own": "./src/own.js"}, "main": "src/index.js"},
        ".env": "SECRET=1", ".git/config": "", "README": "", "lib/beside.js": "export default 'beside';",
        "node_modules/dep/package.json": {"name": "dep", "main": "main.js"}, "node_modules/dep/main.js": "module.exports = 'dep ' + require('other');",
        "node_modules/other/index.js": "module.exports = 'other';", "node_modules/.hidden": "",
        "src/index.js": "import dep from 'dep'; import own from '#own'; console.log(dep, own, typeof require);", "src/own.js": "export default 'own';",
        "src/deep/er/index.js": "import dep from 'dep'; console.log(dep);",
    })  # fmt: skip
    return root


def run(*words, cwd, **options):
    return subprocess.run([POSTERN, *words], capture_output=True, text=True, timeout=60, cwd=cwd, **options)


@pytest.mark.parametrize("program, out", [("src/index.js", "dep other own undefined"), ("src/deep/er/index.js", "dep other"), (".", "dep other own undefined")])
def test_a_program_finds_its_package_and_modules(project, program, out):
    done = run("run", program, cwd=project)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, out, "")


def test_it_does_so_by_a_server_too(project, tmp_path):
    with Server(tmp_path) as server:
        done = run("run", f"--server=unix:{server.socket}", "src/index.js", cwd=project)
    assert (done.returncode, done.stdout.strip()) == (0, "dep other own undefined"), done.stderr


def test_it_sees_nothing_else_of_what_lies_above(project):
    hidden = [".env", ".git/config", "README", "lib/beside.js", "lib", "../outside"]
    (project.parent / "outside").write_text("")
    seen = ["package.json", "node_modules/dep/main.js", "src/own.js"]
    (project / "src" / "look.js").write_text(LOOK + f"console.log(JSON.stringify({json.dumps(hidden + seen)}.filter((n) => see('{project}/' + n))));"
                                             f"try {{ fs.writeFileSync('{project}/node_modules/dep/main.js', '') }} catch (e) {{ console.log(e.code) }}"
                                             f"try {{ console.log(fs.readdirSync('{project}').join()) }} catch (e) {{ console.log(e.code) }}")  # fmt: skip
    out = run("run", "src/look.js", cwd=project).stdout.splitlines()
    assert json.loads(out[0]) == seen and out[1] == "EACCES"
    assert out[2] in ("EACCES", "package.json")
    assert (project / "node_modules/dep/main.js").read_text() != ""


def test_what_is_not_shown_is_named_with_the_flag_that_shows_it(project):
    (project / "src" / "index.js").write_text("import beside from '../lib/beside.js'; console.log(beside);")
    done = run("run", "src/index.js", cwd=project)
    assert done.returncode == 1 and f"{project}/lib/beside.js is outside what is mounted; add --mount={project}/lib" in done.stderr
    assert run("run", "--mount=lib", "src/index.js", cwd=project).stdout == "beside\n"
    (project / "src" / "index.cjs").write_text("console.log(require('../lib/beside.js').default);")
    done = run("run", "src/index.cjs", cwd=project)
    assert done.returncode == 1 and f"add --mount={project}/lib" in done.stderr
    assert run("run", "--mount=lib", "src/index.cjs", cwd=project).stdout == "beside\n"
    (project / "src" / "index.js").write_text("import 'nowhere';")
    assert "it is in no node_modules that the program sees; install it (npm install nowhere)" in run("run", "src/index.js", cwd=project).stderr


def test_a_workspace_s_modules_are_seen(tmp_path):
    lay(tmp_path, {"package.json": {"workspaces": ["packages/*"]}, "node_modules/shared/index.js": "module.exports = 'shared';", ".env": "",
                   "packages/a/package.json": {"name": "a", "type": "module"}, "packages/a/node_modules/own/index.js": "module.exports = 'own';",
                   "packages/a/src/x.js": "import shared from 'shared'; import own from 'own'; console.log(shared, own);"})  # fmt: skip
    assert run("run", "packages/a/src/x.js", cwd=tmp_path).stdout == "shared own\n"
    # Without one the package's root is the end.
    (tmp_path / "package.json").write_text("{}")
    done = run("run", "packages/a/src/x.js", cwd=tmp_path)
    assert done.returncode == 1 and "cannot find the package 'shared'" in done.stderr


def test_installed_commands(tmp_path):
    lay(tmp_path, {"node_modules/say/package.json": {"name": "say", "bin": {"say": "cli.js"}}, "node_modules/say/cli.js": "#!/usr/bin/env node\nconsole.log(require('word'), ...process.argv.slice(2));",
                   "node_modules/word/index.js": "module.exports = 'hello';"})  # fmt: skip
    (tmp_path / "node_modules/.bin").mkdir()
    os.symlink("../say/cli.js", tmp_path / "node_modules/.bin/say")
    for program in ("node_modules/.bin/say", "node_modules/say", "node_modules/say/cli.js"):
        done = run("run", program, "you", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, "hello you\n"), done.stderr


@pytest.mark.parametrize("manifest, files, out", [
    ({"main": "a"}, {"a.js": "console.log('a')"}, "a"), ({"main": "lib"}, {"lib/index.js": "console.log('lib')"}, "lib"), ({"main": "gone.js"}, {"index.js": "console.log('index')"}, "index"),
    ({"bin": "cli.mjs"}, {"cli.mjs": "console.log('bin')"}, "bin"), ({}, {"index.ts": "console.log('ts' as string)"}, "ts"), (None, {"index.mjs": "console.log('mjs')"}, "mjs"),
])
def test_a_directory_s_program(tmp_path, manifest, files, out):
    lay(tmp_path / "p", files | ({} if manifest is None else {"package.json": manifest}))
    assert run("run", "p", cwd=tmp_path).stdout.strip() == out


@pytest.mark.parametrize("manifest", ["{}", "[]", "{", '{"main": 7, "bin": {"a": "x", "b": "y"}}', '{"main": "../../etc/passwd"}'])
def test_a_directory_without_a_program(tmp_path, manifest):
    lay(tmp_path / "p", {"package.json": manifest, "readme.js": ""})
    done = run("run", "p", cwd=tmp_path)
    assert done.returncode in (1, 3) and done.stdout == "" and done.stderr.count("\n") >= 1


LINKED = """
import fs from 'node:fs';
const read = (name) => { try { return fs.statSync(name).isDirectory() ? fs.readdirSync(name).sort() : fs.readFileSync(name, 'utf8'); } catch (e) { return e.code; } };
console.log(JSON.stringify(process.argv.slice(2).map(read)));
"""


@pytest.mark.parametrize("name,target,shown", [
    # Whoever wrote the program may have put these there.
    ("node_modules", "{host}/keys", False), ("node_modules", "../keys", False), ("node_modules", ".git", False), ("node_modules", ".", False), ("node_modules", "..", False), ("node_modules", "{host}/keys/node_modules", False),
    ("tsconfig.json", "{host}/keys/id", False), ("tsconfig.evil.json", ".env", False), ("tsconfig.evil.json", "{host}/keys/tsconfig.json", False), ("tsconfig.json", "notes.json", False), ("package.json", "../../../keys/package.json", False),
    ("package.json", "../../../keys/id", False), ("tsconfig.chain.json", "tsconfig.link.json", False),
    ("node_modules", "packages/node_modules", True), ("tsconfig.json", "packages/tsconfig.base.json", True), ("tsconfig.json", "{host}/repo/packages/tsconfig.base.json", True),
])
def test_links_above_a_program_lead_no_further_than_its_package(elsewhere, name, target, shown):
    lay(elsewhere, {"keys/id": "SECRET", "keys/package.json": '{"SECRET": 1}', "keys/tsconfig.json": '{"SECRET": 1}', "keys/node_modules/own/index.js": "", "repo/.env": "SECRET", "repo/.git/config": "SECRET", "repo/notes.json": '{"SECRET": 1}',
                    "repo/package.json": {"name": "r", "workspaces": ["packages/*"]}, "repo/packages/node_modules/dep/index.js": "", "repo/packages/tsconfig.base.json": "{}", "repo/packages/a/package.json": {"name": "a"}, "repo/packages/a/src/m.mjs": LINKED})  # fmt: skip
    repo = elsewhere / "repo"
    os.symlink("../keys/id", repo / "tsconfig.link.json")
    link = repo / ("packages/a" if name == "package.json" else "") / name
    link.unlink(missing_ok=True)
    os.symlink(target.format(host=elsewhere), link)
    done = run("run", "packages/a/src/m.mjs", str(link), cwd=repo)
    assert done.returncode == 0 and "SECRET" not in done.stdout and (done.stdout.strip() in ('["EACCES"]', '["ENOENT"]')) == (not shown), (done.stdout, done.stderr)
    assert (f"{link} is a link to " in done.stderr) == (not shown)
    if "--mount=" in done.stderr:
        flag = done.stderr.split("; ")[1].split(" shows")[0]
        assert run("run", flag, "packages/a/src/m.mjs", str(link), cwd=repo).stdout.startswith('[["')


@pytest.mark.parametrize("manifest,link", [({"main": "../host/x.js"}, None), ({"main": "x.js"}, "x.js"), ({"bin": {"x": "../host/x.js"}}, None), ({"main": "{host}/host/x.js"}, None), ({}, "index.js")])
def test_a_package_names_no_program_outside_of_itself(elsewhere, manifest, link):
    lay(elsewhere, {"host/x.js": "console.log('of the host')", "p/package.json": json.dumps(manifest).replace("{host}", str(elsewhere))})
    if link:
        os.symlink("../host/x.js", elsewhere / "p" / link)
    done = run("run", "p", cwd=elsewhere)
    assert (done.returncode, done.stdout) == (3, "") and "is a directory without a program" in done.stderr


def test_a_package_json_without_a_name_ends_no_package(elsewhere):
    """dist/cjs/package.json says how the files there are to be read, and no more."""
    lay(elsewhere, {"p/package.json": {"name": "p", "type": "module"}, "p/node_modules/dep/index.js": "module.exports = 'dep';", "p/dist/cjs/package.json": {"type": "commonjs"}, "p/dist/cjs/lib/i.js": "console.log(require('dep'));"})
    assert run("run", "p/dist/cjs/lib/i.js", cwd=elsewhere).stdout == "dep\n"
    lay(elsewhere, {"q/package.json": {"type": "module"}, "q/src/i.js": "import fs from 'node:fs'; console.log(fs.existsSync(process.argv[2]));", ".env": ""})
    assert run("run", "q/src/i.js", str(elsewhere / ".env"), cwd=elsewhere).stdout == "false\n"


@pytest.mark.parametrize("mount", ["src:rw", ".:rw", "src:{src}:rw"])
def test_its_own_directory_may_be_written_where_that_is_asked_for(project, mount):
    """A mount of one's own at the same place stands for the one that every program has."""
    (project / "src" / "write.js").write_text("import fs from 'node:fs'; import dep from 'dep'; fs.writeFileSync(new URL('out', import.meta.url), dep);")
    done = run("run", "--mount=" + mount.format(src=project / "src"), "src/write.js", cwd=project)
    assert done.returncode == 0 and (project / "src" / "out").read_text() == "dep other", done.stderr


def test_another_directory_at_its_place_does_not_make_it_writable(project):
    (project.parent / "other").mkdir()
    (project / "src" / "write.js").write_text("import fs from 'node:fs'; fs.writeFileSync(new URL('out', import.meta.url), '');")
    done = run("run", f"--mount={project.parent}/other:{project}:rw", "src/write.js", cwd=project)
    assert done.returncode == 1 and "EACCES" in done.stderr


@pytest.fixture
def workspace(elsewhere):
    """As pnpm lays one out: each package has links into the workspace's node_modules, and to its siblings."""
    lay(elsewhere, {
        "package.json": {"workspaces": ["packages/*"]}, ".env": "SECRET=1",
        "node_modules/.pnpm/dep@1/node_modules/dep/index.js": "module.exports = 'dep ' + require('other');",
        "node_modules/.pnpm/other@1/node_modules/other/index.js": "module.exports = 'other';",
        "packages/a/package.json": {"name": "a", "type": "module"}, "packages/a/src/x.js": "import dep from 'dep'; console.log(dep);",
        "packages/a/src/y.js": "import b from 'b'; console.log(b);", "packages/a/src/z.cjs": "console.log(require('b'));", "packages/a/node_modules/.keep": "",
        "packages/b/package.json": {"name": "b", "main": "main.cjs"}, "packages/b/main.cjs": "module.exports = 'b ' + require('dep');", "packages/b/node_modules/.keep": "",
    })  # fmt: skip
    os.symlink("../../other@1/node_modules/other", elsewhere / "node_modules/.pnpm/dep@1/node_modules/other")
    for package in ("a", "b"):
        os.symlink("../../../node_modules/.pnpm/dep@1/node_modules/dep", elsewhere / f"packages/{package}/node_modules/dep")
    os.symlink("../../b", elsewhere / "packages/a/node_modules/b")
    return elsewhere


def test_links_lead_from_one_mount_into_another(workspace):
    done = run("run", "packages/a/src/x.js", cwd=workspace)
    assert (done.returncode, done.stdout) == (0, "dep other\n"), done.stderr


@pytest.mark.parametrize("program", ["packages/a/src/y.js", "packages/a/src/z.cjs"])
def test_a_sibling_is_shown_by_the_flag_that_is_named(workspace, program):
    done = run("run", program, cwd=workspace)
    flag = f"--mount={workspace}/packages/b"
    assert done.returncode == 1 and f"is outside what is mounted; add {flag}" in done.stderr, done.stderr
    done = run("run", flag, program, cwd=workspace)
    assert (done.returncode, done.stdout) == (0, "b dep other\n"), done.stderr


def test_where_links_may_lead(elsewhere):
    """Nowhere that the guest's own path does not lead to, and nowhere more than that may do there."""
    lay(elsewhere, {"secret": "secret", "one/inner/hidden": "hidden", "two/file": "file", "inner/shown": "shown", "one/app.mjs": LOOK + f"""
      const at = '{elsewhere}', all = [];
      const read = (path) => {{ try {{ all.push(fs.readFileSync(at + path, 'utf8')); }} catch (e) {{ all.push(e.code); }} }};
      for (const path of ['/one/to-two', '/one/to-secret', '/one/around', '/one/absolute', '/one/loop', '/one/up/file', '/one/inner/hidden', '/one/inner/shown', '/two/to-inner', '/two/to-inner-dir/shown', '/two/to-inner-dir/hidden'])
        read(path);
      for (const path of ['/one/to-two', '/one/up/new', '/two/to-inner'])
        try {{ fs.writeFileSync(at + path, 'written'); all.push('written'); }} catch (e) {{ all.push(e.code); }}
      all.push(fs.realpathSync(at + '/one/up'), fs.readlinkSync(at + '/one/to-two'), fs.readdirSync(at + '/one/up').sort().join());
      try {{ fs.symlinkSync('../secret', at + '/two/own'); }} catch (e) {{ all.push(e.code); }}
      try {{ fs.symlinkSync(at + '/secret', at + '/two/own'); }} catch (e) {{ all.push(e.code); }}
      read('/two/own');
      console.log(JSON.stringify(all));"""})  # fmt: skip
    links = {"one/to-two": "../two/file", "one/to-secret": "../secret", "one/around": "../nowhere/../two/file", "one/absolute": f"{elsewhere}/two/file", "one/loop": "../two/loop", "two/loop": "../one/loop",
             "one/up": "../two", "two/to-inner": "../one/inner/shown", "two/to-inner-dir": "../one/inner"}  # fmt: skip
    for name, target in links.items():
        os.symlink(target, elsewhere / name)
    done = run("run", f"--mount={elsewhere}/two:rw", f"--mount={elsewhere}/inner:{elsewhere}/one/inner", "one/app.mjs", cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told[:11] == ["file", "EACCES", "file", "EACCES", "ELOOP", "file", "ENOENT", "shown", "shown", "shown", "ENOENT"]
    assert told[11:17] == ["written", "written", "EACCES", f"{elsewhere}/two", "../two/file", "file,loop,new,to-inner,to-inner-dir"]
    assert "secret" not in told[17:] and (elsewhere / "secret").read_text() == "secret" and (elsewhere / "inner/shown").read_text() == "shown"


@pytest.mark.parametrize("words, code, said", [
    ([], "require('fs').readFileSync('data/a.txt')", "postern: data/a.txt is in your working directory, and the program's is that of its file; --mount=. --cwd=. lets it begin in yours\n"),
    (["--mount=."], "require('fs').readFileSync('data/a.txt')", "; --cwd=. lets it begin in yours\n"),
    ([], "require('fs/promises').readdir('./data')", "data is in your working directory"),
    ([], "require('fs').readFileSync('data/b.txt')", ""),
    ([], "require('fs').readFileSync('../data/a.txt')", ""),
    ([], "try { require('fs').readFileSync('data/a.txt') } catch {}", ""),
    ([], "throw Object.assign(new Error(`'`), { code: 'ENOENT' })", ""),
    ([], "throw Object.assign(new Error(`open '${__dirname}/../../etc/passwd'`), { code: 'ENOENT' })", ""),
    (["--mount=.", "--cwd=."], "console.log(require('fs').readFileSync('data/a.txt', 'utf8'))", ""),
])
def test_a_relative_path_of_the_user_s_directory_is_told_of(tmp_path, words, code, said):
    (tmp_path / "src").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("a")
    (tmp_path / "src" / "m.cjs").write_text(code)
    done = run("run", *words, "src/m.cjs", cwd=tmp_path)
    assert said in done.stderr and ("your working directory" in done.stderr) == bool(said), done.stderr
