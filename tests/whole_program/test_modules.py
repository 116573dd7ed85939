"""Modules: CommonJS and ES modules together, packages as they are laid out on a disk, attributes, TypeScript, source maps, and the
errors of all of them. What a specifier means is tested beside the code (worker/resolver/module_resolver_test.cc)."""

import base64
import json
import re
import subprocess

import pytest
from conftest import POSTERN, our_processes
from test_node_modules import NODE


@pytest.fixture
def tree(tmp_path, postern):
    """tree(files, code, name=…): writes the files beside the program and runs it."""

    def run(files, code, *options, name="job.mjs", **more):
        for path, text in files.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return postern(code, *options, name=name, **more)

    return run


def test_commonjs_as_a_program(tree):
    value = tree({"dep.js": "exports.n = 1; exports.self = module; this.more = 2;", "data.json": '{"a": [1]}', "dir/index.js": "module.exports = __dirname;"}, """
      const dep = require('./dep');
      if (require('./dep.js') !== dep || require.cache[require.resolve('./dep')].exports !== dep) throw new Error('cached');
      __return([dep.n, dep.more, require('./data').a, require('./dir').endsWith('/dir'), require.main === module, typeof exports, module.children.length,
        __filename.endsWith('job.cjs'), dep.self.loaded, module.loaded, typeof require('node:path').join, require('path') === require('node:path')]);
    """, name="job.cjs").value
    assert value == [1, 2, [1], True, True, "object", 3, True, True, False, "function", True]


def test_named_exports_of_commonjs(tree):
    files = {
        "one.cjs": "const other = { b: 2 }; exports.a = 1; Object.defineProperty(exports, 'b', { enumerable: true, get: function () { return other.b; } }); exports['not-a-name'] = 3; exports.default = 'd';",
        "two.cjs": "const c = 3; module.exports = { c, d }; function d() { return 4; }",
        "again.cjs": "module.exports = require('./one.cjs');",
        "esm.cjs": "Object.defineProperty(exports, '__esModule', { value: true }); exports.default = 5; exports.e = 6;",
        "function.cjs": "module.exports = function f() { return 7; }; module.exports.g = 8;",
        "getters.cjs": "exports.kept = exports.other = void 0; const f = (x) => x; Object.defineProperty(exports, 'kept', { enumerable: true, get: function () { return f(9).x ?? 9; } }); Object.defineProperty(exports, 'unsafe', { enumerable: true, get: function () { return f(1).x; } });",
        "throws.cjs": "exports.ok = 1; let nothing; Object.defineProperty(exports, 'bad', { enumerable: true, get: function () { return nothing.x; } });",
    }
    value = tree(files, """
      import one, { a, b, 'not-a-name' as c } from './one.cjs';
      import { c as three, d } from './two.cjs';
      import * as again from './again.cjs';
      import esm, { e } from './esm.cjs';
      import f, { g } from './function.cjs';
      import { ok, bad } from './throws.cjs';
      import * as getters from './getters.cjs';
      __return([a, b, c, one.default, three, d(), again.a, again.default.b, esm.default, e, f(), g, ok, bad === undefined, one === again['module.exports'], getters.kept, Object.keys(getters)]);""").value
    assert value == [1, 2, 3, "d", 3, 4, 1, 2, 5, 6, 7, 8, 1, True, True, 9, ["default", "kept", "module.exports", "other"]]


def test_cycles_of_commonjs_and_between_both(tree):
    files = {
        "a.cjs": "exports.early = 1; const b = require('./b.cjs'); exports.late = b.saw;",
        "b.cjs": "const a = require('./a.cjs'); exports.saw = [a.early, a.late === undefined];",
        "m.mjs": "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url); export const got = require('./c.cjs').x;",
        "c.cjs": "exports.x = 5;",
    }
    assert tree(files, "import a from './a.cjs'; import { got } from './m.mjs'; __return([a.late, got]);").value == [[1, True], 5]


def test_require_of_es_modules(tree):
    files = {"m.mjs": "export default 1; export const n = 2;", "waits.mjs": "await 1; export default 1;", "as.mjs": "const f = () => 3; export { f as 'module.exports' };",
             "throws.mjs": "throw new RangeError('inside');"}
    value = tree(files, """
      const failed = (f) => { try { return f(); } catch (e) { return [e.name, e.code ?? e.message]; } };
      __return([require('./m.mjs').n, require('./m.mjs').default, failed(() => require('./waits.mjs')), require('./as.mjs')(), failed(() => require('./throws.mjs'))]);""", name="job.cjs").value
    assert value == [2, 1, ["Error", "ERR_REQUIRE_ASYNC_MODULE"], 3, ["RangeError", "inside"]]


def test_attributes_meta_and_dynamic_import(tree):
    files = {"d.json": '\ufeff{"x": 1}', "t.txt": "plain ü", "m.mjs": "export default import.meta.url.slice(-5); export const main = import.meta.main;", "sub/n.mjs": "export default import.meta.resolve('../m.mjs');"}
    value = tree(files, """
      import d from './d.json' with { type: 'json' };
      import t from './t.txt' with { type: 'text' };
      import m, { main } from './m.mjs?x';
      import n from './sub/n.mjs';
      const again = await import('./d.json', { with: { type: 'json' } });
      const failed = async (f) => { try { await f(); return 'none'; } catch (e) { return e.code ?? e.name; } };
      __return([d.x, t, m, main, import.meta.main, n.endsWith('/m.mjs'), again.default === d, import.meta.dirname + '/job.mjs' === import.meta.filename, import.meta.resolve('node:fs'),
        await failed(() => import('./d.json')), await failed(() => import('./t.txt')), await failed(() => import('./m.mjs', { with: { type: 'css' } })), await failed(() => import('./none.mjs'))]);""").value
    assert value == [1, "plain ü", "mjs?x", False, True, True, True, True, "node:fs", "ERR_IMPORT_ATTRIBUTE_MISSING", "ERR_UNKNOWN_FILE_EXTENSION",
                     "ERR_IMPORT_ATTRIBUTE_UNSUPPORTED", "ERR_MODULE_NOT_FOUND"]


def test_packages(tree):
    files = {
        "package.json": json.dumps({"name": "app", "type": "module", "exports": {"./own": "./own.js"}, "imports": {"#util": {"postern": "./own.js", "default": "./none.js"}}}),
        "own.js": "export default 'own';",
        "node_modules/both/package.json": json.dumps({"exports": {".": {"import": "./i.mjs", "require": "./r.cjs"}, "./deep/*": "./lib/*.mjs"}}),
        "node_modules/both/i.mjs": "export default 'import';",
        "node_modules/both/r.cjs": "module.exports = 'require';",
        "node_modules/both/lib/x.mjs": "export default 'deep';",
        "node_modules/old/package.json": '{"main": "main"}',
        "node_modules/old/main.js": "exports.name = require('both');",
        "node_modules/bundled/package.json": '{"module": "es.js", "main": "es.js"}',
        "node_modules/bundled/es.js": "export const told = 'by its text';",
        "node_modules/@scope/p/package.json": '{"exports": "./p.js", "type": "module"}',
        "node_modules/@scope/p/p.js": "import both from 'both'; export default 'scoped ' + both;",
    }
    value = tree(files, """
      import own from 'app/own'; import util from '#util'; import both from 'both'; import deep from 'both/deep/x'; import old from 'old'; import { told } from 'bundled'; import scoped from '@scope/p';
      __return([own, util, both, deep, old.name, told, scoped]);""", name="job.js").value
    assert value == ["own", "own", "import", "deep", "require", "by its text", "scoped import"]


def test_packages_that_are_linked(tree, tmp_path):
    """As pnpm, npm's linked installs and workspaces lay them out: what a package needs stands beside where it really is."""
    store = "node_modules/.store"
    files = {
        f"{store}/a@1/node_modules/a/package.json": '{"exports": {"import": "./a.mjs", "require": "./a.cjs"}}',
        f"{store}/a@1/node_modules/a/a.mjs": "export { default } from 'b'; export const url = import.meta.url;",
        f"{store}/a@1/node_modules/a/a.cjs": "module.exports = [require('b').default, __filename];",
        f"{store}/b@1/node_modules/b/package.json": '{"main": "b.cjs"}',
        f"{store}/b@1/node_modules/b/b.cjs": "exports.default = 'b' + ++globalThis.times; exports.__esModule = true;",
        "packages/own/index.js": "export default 'own';",
        "packages/own/package.json": '{"type": "module", "main": "index.js"}',
        "real.mjs": "export default import.meta.url;",
    }
    home = tmp_path / "home"
    (home / store / "a@1" / "node_modules").mkdir(parents=True)
    for name, target in {"node_modules/a": ".store/a@1/node_modules/a", f"{store}/a@1/node_modules/b": "../../b@1/node_modules/b", "node_modules/own": "../packages/own",
                         "again.mjs": "./packages/../link.mjs", "link.mjs": "real.mjs", "out.mjs": "/etc/hostname", "round.mjs": "round.mjs"}.items():
        (home / name).symlink_to(target)
    value = tree({f"home/{path}": text for path, text in files.items()}, """
      import { createRequire } from 'node:module'; import fs from 'node:fs';
      globalThis.times = 0;
      const require = createRequire(import.meta.url);
      const code = (f) => f().then(() => 'none', (e) => e.code);
      const { default: b, url } = await import('a');
      const [again, file] = require('a');
      const beneath = (text) => text.slice(text.indexOf('/home/') + 6);
      __return([b.default, beneath(url), again, beneath(file), (await import('own')).default, beneath((await import('./again.mjs')).default),
        await import('./link.mjs') === await import('./real.mjs'), beneath((await import('./link.mjs?q')).default), beneath(require.resolve('b', { paths: [file] })),
        beneath(fs.realpathSync(new URL('node_modules/a', import.meta.url))), await code(() => import('./out.mjs')), await code(() => import('./round.mjs'))]);""", name="home/job.mjs").value
    assert value == ["b1", f"{store}/a@1/node_modules/a/a.mjs", "b1", f"{store}/a@1/node_modules/a/a.cjs", "own", "real.mjs", True, "real.mjs?q",
                     f"{store}/b@1/node_modules/b/b.cjs", f"{store}/a@1/node_modules/a", "EACCES", "ELOOP"]


def test_code_without_a_file_imports_from_its_cwd(postern, tmp_path):
    (tmp_path / "node_modules" / "p").mkdir(parents=True)
    (tmp_path / "node_modules" / "p" / "index.js").write_text("exports.name = 'p';")
    mounted = (f"--mount={tmp_path}:/app", "--cwd=/app/./")
    assert postern("import('p').then((p) => p.name)", *mounted, command="eval").value == "p"
    assert postern("require('p').name", *mounted, command="eval").value == "p"
    assert postern("", *mounted, "-", stdin="import { name } from 'p'; __return([name, import.meta.url]);", raw=True).value == ["p", "file:///app/[stdin]"]


@pytest.mark.parametrize("kind", ["mjs", "cjs"])
def test_many_imports_large_small_and_missing(tree, kind):
    """What is read ahead is what is there, and what cannot be read ahead is read when it is its turn."""
    export = "export default" if kind == "mjs" else "module.exports ="
    files = {f"lib/{i}.{kind}": f"{export} {i};" for i in range(60)}
    files[f"lib/30.{kind}"] = f"/*{'x' * 300_000}*/ {export} 30;"
    load = (lambda i: f"import m{i} from './lib/{i}.mjs';") if kind == "mjs" else (lambda i: f"const m{i} = require('./lib/{i}.cjs');")
    some = "\n".join(map(load, range(60)))
    assert tree(files, f"{some}\n__return([{', '.join(f'm{i}' for i in range(60))}]);", name=f"job.{kind}").value == list(range(60))
    # 20 of them are there in vain.
    failed = tree({}, f"{some}\n{load(60)}\n{load(61)}", name=f"job.{kind}").json["error"]
    assert f"/lib/60.{kind}" in failed["message"] or "./lib/60.cjs" in failed["message"], failed


def test_a_require_that_never_runs_may_say_anything(tree):
    never = "require('./lib/none'); require('./lib'); require('../../../../../../../../etc/passwd'); require('./'); require('./a\\0b'); require('."
    assert tree({"lib/x": ""}, "__return(1); function never() { " + never + "'); }", name="job.cjs").value == 1


def test_what_is_there_when_it_is_asked_for(tree, tmp_path):
    """What a guest has seen of a directory holds until it writes or waits."""
    (tmp_path / "many").mkdir()
    for i in range(2001):  # more than are listed for one name
        (tmp_path / "many" / f"{i}.cjs").write_text("")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.cjs").write_text("module.exports = 'mounted within';")
    value = tree({"dir/here.cjs": ""}, """
      const fs = require('node:fs');
      const there = (name) => { try { require(name); return true; } catch (e) { if (e.code !== 'MODULE_NOT_FOUND') throw e; return false; } };
      const out = [there('./dir/here'), there('./dir/new')];
      fs.writeFileSync('/w/new.cjs', ''); out.push(there('/w/new')); fs.rmSync('/w/new.cjs');
      fs.mkdirSync('/w/sub'); fs.writeFileSync('/w/sub/index.js', ''); out.push(there('/w/sub'));
      fs.renameSync('/w/sub', '/w/moved'); out.push(there('/w/moved'), there('/w/none'), there('./many/2000'), there('./many/2001'), require(`${__dirname}/dir/inner/x`), there('./dir/inner/y'));
      __return(out);""", f"--mount={tmp_path}/dir:/w:rw", f"--mount={tmp_path}/elsewhere:{tmp_path}/dir/inner", name="job.cjs").value
    assert value == [True, False, True, True, True, False, True, False, "mounted within", False]


def test_what_another_process_writes_is_seen_after_a_wait(tmp_path):
    (tmp_path / "job.cjs").write_text("""
      const look = () => { try { return require('./late'); } catch (e) { if (e.code !== 'MODULE_NOT_FOUND') throw e; } };
      if (look() !== undefined) throw new Error('early');
      console.log('looked');
      const again = () => { if (look() === undefined) setTimeout(again, 5); else console.log('seen'); };
      again();""")
    with subprocess.Popen([POSTERN, "run", "--timeout=20s", tmp_path / "job.cjs"], stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout.readline() == "looked\n"
        (tmp_path / "late.cjs").write_text("module.exports = 1;")
        assert job.stdout.read() == "seen\n"
    assert job.returncode == 0 and our_processes() == []


@pytest.mark.parametrize("name,code,message", [
    ("job.mjs", "require('x');", "require is not defined in ES module scope, you can use import instead"),
    ("job.mjs", "require('x');", "job.mjs is an ES module by its name: rename it to job.cjs for CommonJS"),
    ("job.mts", "exports.x = 1 as number;", "job.mts is an ES module by its name: rename it to job.cts for CommonJS"),
    ("job.mjs", "console.log(__dirname);", "__dirname is not defined in ES module scope, you can use import.meta.dirname instead"),
    ("job.mjs", "await null; module.exports = 1;", "module is not defined in ES module scope, you can use export instead"),
    ("job.mjs", "setTimeout(() => console.log(__filename));", "__filename is not defined in ES module scope"),
    ("job.js", "import 'node:fs'; require('x');", "require is not defined in ES module scope, you can use import instead"),
    ("job.mjs", "import 'fs/promise';", "cannot find the module 'fs/promise' imported from file://"),
    ("job.mjs", "import 'fs/promise';", "did you mean 'fs/promises'?"),
    ("job.mjs", "import 'node:strem/web';", "did you mean 'node:stream/web'?"),
    ("job.cjs", "require('node:timers/promise');", "did you mean 'node:timers/promises'?"),
    ("job.mjs", "Deno.serve(() => 1);", "under postern serve --handler=FILE --listen=PORT"),
    ("job.mjs", "Bun.serve({});", "nothing of Bun's own"),
    ("job.mjs", "const all = []; for (;;) all.push(Buffer.alloc(10e6));", "postern: the guest has 128MiB of memory; --memory=512MiB gives it more"),
    ("job.mjs", "import fs from 'missing-package';", "install it (npm install missing-package)"),
    ("job.mjs", "import cp from 'node:child_process'; cp.exec('ls');", "child_process.exec is not available: a guest cannot start processes"),
    ("job.mjs", "import { Worker } from 'node:worker_threads'; new Worker('x');", "worker_threads.Worker is not available: a guest has one thread"),
    ("job.mjs", "import http from 'node:http'; http.createServer().listen(80);", "http.Server.listen is not available: a guest cannot listen"),
    ("job.mjs", "import vm from 'node:vm'; vm.runInNewContext('1');", "vm.runInNewContext is not available"),
    ("job.cjs", "require('./no-such-file');", "cannot find the module './no-such-file' (required from file://"),
    ("job.mjs", "const a = ;", "job.mjs:1:11"),
    ("job.cjs", "const a = ;", "job.cjs:1:11"),
    ("job.ts", "let a: = 1", "job.ts:1:8: Type expected."),
    ("job.ts", "enum A { B\nlet c = ", "job.ts:2:1: An enum member name must be followed by"),
])
def test_each_error_says_in_one_line_what_to_do(postern, name, code, message):
    result = postern(code, name=name, json_result=False)
    assert result.status == 1
    assert len([line for line in result.err.splitlines() if message in line]) == 1, result.err


@pytest.mark.parametrize("text,file,said", [("import './a.txt'", "a.txt", "import it with { type: 'text' } for its text"), ("import './a.css'", "a.css", "name ES modules .mjs, CommonJS .cjs, TypeScript .ts")])
def test_what_is_no_code_by_its_name(tree, text, file, said):
    result = tree({file: "x"}, text, json_result=False)
    assert f"{file} has an extension that no code has" in result.err and said in result.err


def test_a_package_that_says_module_is_named_where_a_file_is_commonjs(tmp_path):
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "a.js").write_text("module.exports = 1;")
    (tmp_path / "b.js").write_text("try { await import('./a.js') } catch (e) { console.log(e.message.split('\\n')[0], e.stack.includes(' in ES module scope')) }")
    done = subprocess.run([POSTERN, "run", tmp_path / "a.js"], capture_output=True, text=True)
    assert "ReferenceError: module is not defined in ES module scope, you can use export instead\n" in done.stderr
    assert f'{tmp_path}/a.js is an ES module, as its package.json says "type": "module": rename it to a.cjs for CommonJS\n' in done.stderr
    done = subprocess.run([POSTERN, "run", tmp_path / "b.js"], capture_output=True, text=True)
    assert done.stdout == "module is not defined in ES module scope, you can use export instead true\n", done.stderr


def test_what_only_looks_like_the_scope_s_error_stays_as_it_is(postern):
    """In CommonJS, of another text, or with properties of the guest's own."""
    for name, code in [("a.cjs", "try { new Function('require()')() } catch (e) { console.log(e.message) }"),
                       ("a.mjs", "const e = new ReferenceError('requires is not defined'); console.log(e.message)"),
                       ("a.mjs", "process.on('uncaughtException', (e) => console.log(e.message)); throw Object.defineProperty(new Error('x'), 'message', { get() { return 'require is not defined' } });")]:
        result = postern(code, name=name, json_result=False)
        assert result.status == 0 and re.fullmatch("requires? is not defined\n", result.out), (result.out, result.err)


@pytest.mark.parametrize("words,mounted", [([], False), (["--mount=."], False), (["--cwd=."], False), (["--mount=.", "--cwd=."], True)])
def test_code_without_a_file_is_told_from_where_it_imports(tmp_path, words, mounted):
    (tmp_path / "node_modules" / "p").mkdir(parents=True)
    (tmp_path / "node_modules" / "p" / "index.js").write_text("module.exports = 1;")
    (tmp_path / "f.cjs").write_text("module.exports = 1;")
    for code in ("import 'p'; console.log(1)", "import './f.cjs'; console.log(1)", "require('p'); console.log(1)", "require('./f.cjs'); console.log(1)"):
        done = subprocess.run([POSTERN, "run", *words, "-"], input=code, capture_output=True, text=True, cwd=tmp_path)
        if mounted:
            assert done.stdout == "1\n", done.stderr
        elif "--cwd=." in words:
            assert f"--mount={tmp_path}" in done.stderr, done.stderr
        else:
            assert "add --mount=. --cwd=. for the present one" in done.stderr, done.stderr
    done = subprocess.run([POSTERN, "eval", "--mount=.", "--cwd=.", "await import('./none.mjs')"], capture_output=True, text=True, cwd=tmp_path)
    assert "cannot find the module" in done.stderr and "--mount" not in done.stderr


@pytest.mark.parametrize("code,told", [
    ("export default { fetch() { return new Response('x') } }", True), ("export default new (class { fetch() {} })()", True), ("console.log(1); export default { fetch() {} }", False),
    ("export default {}", False), ("export const fetch = () => 1", False), ("export default new Proxy({}, { get() { throw 1 } })", False), ("export default { get fetch() { throw 1 } }", False), ("process.exit(0); export default { fetch() {} }", False),
])
def test_a_handler_that_is_run_as_a_program_is_told_what_serves_it(postern, code, told):
    result = postern(code, name="app.mjs", json_result=False)
    assert result.status == 0 and ("exports fetch, which nothing calls here; it answers requests under postern serve --handler=app.mjs --listen=8080" in result.err) == told == bool(result.err)


# ---- TypeScript


def test_typescript(tree):
    files = {"lib.ts": "export type T = number; export interface I { a: T } export class Box<V> { constructor(public_: V, readonly_?: V) { this.v = public_; } v: V; }",
             "old.cts": "const n: number = 4; module.exports = { n };", "new.mts": "export const m = 5 as const;"}
    value = tree(files, """
      import { Box, type I } from './lib.ts';
      import type { T } from './nowhere.ts';
      import old from './old.cts';
      import { m } from './new.mts';
      abstract class Base { abstract f(): void; declare x: number; protected y? = 1; static readonly z: string = 'z'; }
      class Sub extends Base implements I { a = 3; f(this: Sub): void {} get g(): number { return this.a!; } }
      function over(a: string): string;
      function over<A extends unknown>(a: A, ...rest: Array<number>): A { return a; }
      const arrow = async <A,>(a: A): Promise<A> => a;
      const later = (a: number):
        number => a + 1;
      let name
      interface After { b: string }
      ;[1].map((n: number): number => n);
      const box = new Box<number>(2), cast = <any>box, sat = { k: 1 } satisfies Record<string, number>;
      __return([box.v, old.n, m, new Sub().g, Base.z, over('o'), await arrow(6), later(7), cast.v, sat.k, name === undefined]);""", name="job.ts").value
    assert value == [2, 4, 5, 3, "z", "o", 6, 8, 2, 1, True]


def test_typescript_keeps_its_positions(postern):
    source = "interface A {\n  a: number;\n}\nconst f = <T,>(x: T): T => { throw new Error('here'); };\n  f<A>({ a: 1 } as A);\n"
    result = postern(source, name="job.ts", json_result=False)
    assert "job.ts:4:30\n" in result.err and re.search(r"at f \(file://\S+job\.ts:4:36\)\n    at Object\.<anonymous> \(file://\S+job\.ts:5:3\)", result.err), result.err


# ---- source maps

# From esbuild, of the source below with its types: "throw new Error("mapped " + x);" minified into one line.
MAP = {"version": 3, "sources": ["in.ts"], "names": [], "mappings": "AACA,SAASA,EAAQC,EAAW,CAC1B,MAAM,IAAI,MAAM,UAAYA,CAAC,CAC/B"}
ORIGINAL = "\nfunction thrower(x: number) {\n  throw new Error('mapped ' + x);\n}\n"


@pytest.mark.parametrize("where", ["inline", "file", "damaged", "missing"])
def test_source_maps(tree, where):
    text = json.dumps({**MAP, "sourcesContent": [ORIGINAL]})
    reference = {"inline": "data:application/json;base64," + base64.b64encode(text.encode()).decode(), "file": "out.mjs.map", "damaged": "broken.map", "missing": "none.map"}[where]
    code = "function e(r){throw new Error(\"mapped \"+r)}e(1);\n//# sourceMappingURL=" + reference
    result = tree({"out.mjs.map": text, "broken.map": '{"version": 3, "mappings": "!!!", "sources": []}'}, code, json_result=False)
    assert result.status == 1
    if where in ("inline", "file"):
        assert "in.ts:3:9\n  throw new Error('mapped ' + x);\n        ^\n" in result.err, result.err
        assert re.search(r"at e \(file://\S+in\.ts:3:9\)", result.err)
    else:
        assert "job.mjs:1:21" in result.err


def test_a_program_s_own_source_map_counts_where_it_asks_for_that(tree):
    """Programs find their files by their stack (pyodide, emscripten's output): as in Node it says what runs. What Postern prints says what was written."""
    text = json.dumps({**MAP, "sourcesContent": [ORIGINAL]})
    lib = "function e(r){throw new Error(\"mapped \"+r)}export{e};\n//# sourceMappingURL=data:application/json;base64," + base64.b64encode(text.encode()).decode()
    code = """
      import { e } from './lib.mjs';
      const at = () => { try { e(1); } catch (error) { return /(\\w+\\.\\w+:\\d+:\\d+)/.exec(error.stack)[1]; } };
      const told = [process.sourceMapsEnabled, at()];
      process.setSourceMapsEnabled(true);
      told.push(process.sourceMapsEnabled, at());
      process.setSourceMapsEnabled(false);
      told.push(at());
      __return(told);"""
    assert tree({"lib.mjs": lib}, code).value == [False, "lib.mjs:1:21", True, "in.ts:3:9", "lib.mjs:1:21"]
    result = tree({"lib.mjs": lib}, "import { e } from './lib.mjs'; try { e(1); } catch (cause) { throw new Error('outer', { cause }); }", json_result=False)
    assert result.status == 1 and re.search(r"at e \(file://\S+in\.ts:3:9\)", result.err) and "job.mjs:1:" in result.err, result.err


def test_names_that_only_node_has_are_undefined(postern):
    """An import that fails takes all of the program with it, also where it is for a feature that is not used."""
    value = postern("""
      import { Utf8Stream, readFileSync } from 'node:fs'; import { createHistogram } from 'perf_hooks'; import { ChildProcess } from 'child_process'; import { Http2ServerRequest } from 'node:http2'; import * as v8 from 'v8';
      const at = (f) => { try { f(); } catch (e) { return e.code; } };
      __return([typeof Utf8Stream, typeof readFileSync, typeof createHistogram, at(() => new ChildProcess()), at(() => new Http2ServerRequest()), 'GCProfiler' in v8, v8.GCProfiler]);""").value
    assert value == ["undefined", "function", "undefined", "ERR_NOT_AVAILABLE", "ERR_NOT_AVAILABLE", True, None]
    result = postern("import { noSuchName } from 'node:fs';")
    assert result.status == 1 and "does not provide an export named 'noSuchName'" in result.json["error"]["message"]


def test_a_required_es_module_has_the_mark_of_one(postern, tmp_path):
    """As in Node: what was compiled from ES modules asks for `.default` by it."""
    for name, text in {"m.mjs": "export default 1; export let live = 2; export const set = () => { live = 3; };", "n.mjs": "export const a = 1;", "o.mjs": "export default 5; export const __esModule = false;",
                       "p.mjs": "export default 5; export { x as 'module.exports' }; const x = 7;", "q r%.mjs": "export default 'odd name';", "t.mjs": "export default 1; throw new Error('of it');", "w.mjs": "export default 1; await 1;"}.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    result = postern("""
      const m = require('./m.mjs'), fails = (name) => { try { require(name); } catch (e) { return e.code ?? e.message; } };
      m.set();
      __return([m.__esModule, m.default, m.live, Object.keys(m), require('./m.mjs') === m, require('util').types.isModuleNamespaceObject(m), require('./n.mjs').__esModule, require('./o.mjs').__esModule, require('./p.mjs'), require('./q r%.mjs').default,
        fails('./t.mjs'), fails('./w.mjs'), fails('./w.mjs'), Object.keys(require.cache).length]);""", name="job.cjs")
    assert result.value == [True, 1, 3, ["__esModule", "default", "live", "set"], True, True, None, False, 7, "odd name", "of it", "ERR_REQUIRE_ASYNC_MODULE", "ERR_REQUIRE_ASYNC_MODULE", 1]


BROKEN = {
    "a.mjs": "console.log('ran')", "a.cjs": "console.log('ran')", "a.js": "console.log('ran')", "a.ts": "console.log('ran')", "imports.mjs": "import './sub/x.js'", "requires.cjs": "require('./sub/x.js')",
    "builtin.mjs": "import fs from 'fs'; console.log(typeof fs)", "internal.mjs": "import '#x'", "bare.mjs": "import 'some'", "sub/x.js": "console.log('x')",
}  # fmt: skip
USES = {
    "i.mjs": "import 'broken'", "d.mjs": "import('broken').catch((e) => console.log(e.code, e.message.split(':')[0].replace(/\\.$/, '')))", "r.cjs": "require('broken')", "c.cjs": "try { require('broken') } catch (e) { console.log(e.code) }",
    "sub.mjs": "import 'broken/index.js'", "list.cjs": "require('list')", "relative.cjs": "require('./node_modules/list')", "deep.cjs": "require('./node_modules/list/index.js')",
}  # fmt: skip


@pytest.mark.parametrize("program", [*(f"bad/{name}" for name in BROKEN), *(f"good/{name}" for name in USES)])
def test_a_package_json_that_is_none_is_an_error_where_it_has_a_say(tmp_path, program):
    for name, text in {**{f"bad/{n}": t for n, t in BROKEN.items()}, **{f"good/{n}": t for n, t in USES.items()}, "bad/package.json": "{bad", "good/package.json": "{}", "good/node_modules/broken/package.json": '{"main":',
                       "good/node_modules/broken/index.js": "", "good/node_modules/list/package.json": "[1]", "good/node_modules/list/index.js": "console.log('list')"}.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    told = [subprocess.run([*command, tmp_path / program], capture_output=True, text=True, timeout=60) for command in ([NODE, "--no-warnings"], [POSTERN, "run"])]
    assert told[1].stdout == told[0].stdout and told[1].returncode == told[0].returncode, told[1].stderr
    if told[0].returncode != 0:
        assert "ERR_INVALID_PACKAGE_CONFIG" in told[0].stderr and "ERR_INVALID_PACKAGE_CONFIG" in told[1].stderr
        assert re.search(r"Invalid package config (\S+?/package\.json)", told[0].stderr)[0] in told[1].stderr
