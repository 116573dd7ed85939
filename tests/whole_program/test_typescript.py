"""TypeScript and JSX, and what is an ES module: each program runs here and in a reference, which is Node.js itself or, for what Node.js
does not run, JavaScript made by TypeScript's own transpileModule and run by Node.js."""

import json
import re
import subprocess
import time

import pytest
from conftest import BUILD, POSTERN, ROOT, our_processes
from server import Server
from test_handler import Handler

NODE = BUILD / "lib" / "postern" / "node"
TYPESCRIPT = ROOT / "node_modules" / "typescript" / "lib" / "typescript.js"


def write(directory, files):
    for path, text in files.items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def run(*words, stdin="", alone=True):
    done = subprocess.run([POSTERN, *words], capture_output=True, text=True, timeout=60, input=stdin)
    assert not alone or our_processes() == []
    return done


@pytest.fixture
def server(tmp_path):
    with Server(tmp_path) as s:
        yield s
    assert our_processes() == []


# ---- what is an ES module

# By name: the text of a file without an extension that says it and without "type".
MODULES = {
    "import": "import fs from 'node:fs'; console.log(typeof fs, typeof require, this);",
    "export": "export const a = 1; console.log(typeof require);",
    "await": "console.log(await 1, typeof require);",
    "await in an argument": "console.log(String(await 5));",
    "await in a condition": "if (await 1) console.log('yes', typeof require);",
    "for await": "for await (const x of [1, 2]) console.log(x, typeof require);",
    "import.meta": "console.log(typeof import.meta.url, typeof require);",
    "hashbang and import": "#!/usr/bin/env node\nimport fs from 'node:fs'; console.log(typeof fs);",
    "hashbang and require": "#!/usr/bin/env node\nconsole.log(typeof require('node:fs'));",
    "a comment": "// import x from 'y'\n/* export default 1; await 1 */ console.log(typeof require, this === module.exports);",
    "a string": "console.log('import x from \"y\"', `export ${'await'}`, typeof require);",
    "a regular expression": "console.log(/import x from 'y'/.test(\"import x from 'y'\"), typeof module);",
    "import()": "import('node:fs').then((fs) => console.log(typeof fs.readFileSync, typeof require));",
    "neither": "console.log(typeof require, typeof module, this === exports, (function () { return this === globalThis; })());",
    "sloppy": "var o = {}; with (o) { console.log(typeof require, 010); }",
    "redeclares require": "const require = 1; console.log(require, typeof module);",
    "redeclares in a function": "function f() { const require = 1; return require; } console.log(f(), typeof require);",
    "redeclares with import.meta": "import { createRequire } from 'node:module'; const require = createRequire('file:///x'); console.log(typeof require('node:fs').readFileSync);",
    "redeclares __dirname": "const __dirname = 'd'; const __filename = 'f'; console.log(__dirname, __filename);",
    "redeclares and exports": "const module = { exports: 5 }; console.log(module.exports, typeof exports);",
    "return": "console.log('before', typeof require); return; console.log('after');",
    "await in a function": "async function f() { return await 1; } f().then((x) => console.log(x, typeof require));",
    "await as a name": "var await = 3; console.log(await, typeof require);",
    "arguments": "console.log(arguments.length, typeof require);",
    "new.target": "console.log(new.target, typeof require);",
}
BOTH = {"import and require": "import fs from 'node:fs'; try { require('node:fs'); } catch (e) { console.log(e.name); }",
        "exports and export": "export default 1; try { exports.a = 1; } catch (e) { console.log(e.name); }"}


@pytest.mark.parametrize("name", [*MODULES, *BOTH])
def test_a_file_is_what_its_text_says_as_in_node(tmp_path, name):
    """As the program, imported and required, with and without .js, and in node_modules."""
    text = {**MODULES, **BOTH}[name]
    write(tmp_path, {"a.js": text, "b": text, "node_modules/p/index.js": text, "node_modules/p/package.json": "{}", "i.mjs": "import './a.js'; import 'p';",
                     "r.cjs": "try { require('./a.js'); require('p'); } catch (e) { console.log(e.code); }"})
    for file in ("a.js", "b", "i.mjs", "r.cjs"):
        node = subprocess.run([NODE, "--no-warnings", tmp_path / file], capture_output=True, text=True, timeout=60)
        ours = run("run", tmp_path / file)
        assert (ours.stdout, ours.returncode) == (node.stdout, node.returncode), (file, ours.stderr, node.stderr)


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ("neither", "return", "arguments", "new.target", "a comment", "redeclares require", "redeclares and exports")])
def test_code_is_what_its_text_says(name):
    """Where code is a script in Node.js (its `this`, what it may declare anew) it is CommonJS here: those are left out."""
    node = subprocess.run([NODE, "--no-warnings", "-"], capture_output=True, text=True, timeout=60, input=MODULES[name])
    ours = run("run", "-", stdin=MODULES[name])
    assert node.returncode == 0 and (ours.stdout, ours.returncode) == (node.stdout, 0), (ours.stderr, node.stderr)


# What else TypeScript's own words make of it: types are no module's sign, as in Node.js.
TYPED_MODULES = {"import type": "import type { A } from './a'; const a: string = typeof require; console.log(a);", "export type": "export type { A } from './a'; console.log(typeof require);",
                 "exported interface": "export interface A {} console.log(typeof require);", "declare module": "declare module 'x' { export const a: 1 } console.log(typeof require);"}
NODE_REFUSES = ("sloppy", "return", "new.target")  # by swc, which is stricter


@pytest.mark.parametrize("name", [name for name in (*MODULES, *BOTH, *TYPED_MODULES) if name not in NODE_REFUSES])
def test_a_typescript_file_is_what_its_text_says_as_in_node(tmp_path, name):
    text = {**MODULES, **BOTH, **TYPED_MODULES}[name]
    (tmp_path / "t.ts").write_text(text)
    (tmp_path / "e.ts").write_text(text + "\nenum E { A }\n")
    node = subprocess.run([NODE, "--no-warnings", tmp_path / "t.ts"], capture_output=True, text=True, timeout=60)
    for file in ("t.ts", "e.ts"):
        ours = run("run", tmp_path / file)
        assert (ours.stdout, ours.returncode) == (node.stdout, node.returncode), (file, ours.stderr, node.stderr)


def test_a_package_that_says_its_type_is_believed(tmp_path):
    write(tmp_path, {"m/package.json": '{"type": "module"}', "c/package.json": '{"type": "commonjs"}', "m/a.js": "console.log(typeof require);", "c/a.js": "export {};",
                     "c/b.js": "console.log(typeof require);", "c/t.ts": "export const a: number = 1; console.log(typeof require, exports.a);", "m/t.ts": "console.log(typeof require as string);"})
    assert run("run", tmp_path / "m" / "a.js").stdout == "undefined\n"
    assert run("run", tmp_path / "m" / "t.ts").stdout == "undefined\n"
    assert run("run", tmp_path / "c" / "b.js").stdout == "function\n"
    # TypeScript's modules become CommonJS where that is what a package has, as tsc has them.
    assert run("run", tmp_path / "c" / "t.ts").stdout == "function 1\n"
    assert "rename it to .mjs" in run("run", tmp_path / "c" / "a.js").stderr


# ---- TypeScript

# By name: a program; [file, text] where it has a name of its own.
PROGRAMS = {
    "enum": "enum A { B, C = 5, D } console.log(A.B, A.C, A.D, A[5], JSON.stringify(A));",
    "enum of strings": "enum A { B = 'b', C = `c` } console.log(A.B, A.C, Object.keys(A));",
    "enum, computed": "const f = () => 3; enum A { B = f(), C = 1 << 4, D = A.C | 1, E = 'x'.length } console.log(A);",
    "const enum": "const enum A { B = 1, C = B * 2 } console.log(A.B, A.C, A['C']);",
    "declare enum": "declare enum A { B } console.log(typeof globalThis['A']);",
    "merged enums": "enum A { B } enum A { C = 1 } console.log(A.B, A.C, A);",
    "exported enum": "export enum A { B = 1 } export const enum C { D = 2 } console.log(A.B, C.D);",
    "namespace": "namespace N { export const a = 1; const hidden = 2; export function f() { return a + hidden; } } console.log(N.f(), Object.keys(N));",
    "nested namespaces": "namespace A.B.C { export const x = 1 } namespace A.B { export const y = C.x + 1 } console.log(A.B.y, JSON.stringify(A));",
    "merged namespaces": "namespace N { export let a = 1 } namespace N { export const b = a + 1; a = 7 } console.log(N.a, N.b);",
    "namespace with a class": "class K { static s = 1 } namespace K { export const t = K.s + 1 } console.log(K.t);",
    "namespace with a function": "function f() { return f.n } namespace f { export const n = 3 } console.log(f());",
    "namespace with an enum": "enum E { A } namespace E { export const parse = (x: string) => E[x as 'A'] } console.log(E.parse('A'));",
    "namespace of types": "namespace T { export interface I { a: 1 } export type U = I } const x: T.I = { a: 1 }; console.log(x);",
    "exported namespace": "export namespace N { export namespace M { export const v = 4 } } console.log(N.M.v);",
    "alias of a namespace": "namespace A { export namespace B { export const x = 1; export type T = 1 } } import q = A.B; import T = A.B.T; const t: T = 1; console.log(q.x, t);",
    "parameter properties": "class P { constructor(public a: number, private readonly b = a + 1, protected c?: string) {} sum() { return this.a + this.b } } console.log(new P(1).sum(), new P(1));",
    "parameter properties after super": "class A { x = 1 } class B extends A { y = this.x; constructor(readonly z: number) { super(); console.log(this.x, this.y, this.z); } } new B(3);",
    "fields and parameter properties": "class A { b = this.a; constructor(private a?: number) {} } console.log(new A(1));",
    "import = require": ["t.cts", "import path = require('node:path'); import type X = require('node:fs'); console.log(path.join('a', 'b'));"],
    "import = require in a module": ["t.mts", "import path = require('node:path'); export const a = 1; console.log(path.join('a', 'b'));"],
    "export =": ["t.cts", "class K { a = 1 } export = K; console.log(module.exports === K);"],
    "export = without a type": "import os = require('node:os'); const f = () => typeof os.EOL; export = f; setImmediate(() => console.log(module.exports()));",
    "modules in .cts": ["t.cts", "import { join } from 'node:path'; import fs from 'node:fs'; export const a = join('x', 'y'); export default 5; console.log(a, typeof fs.readFileSync, Object.keys(exports));"],
    "standard decorators": "function d(v: any, c: any) { console.log(c.kind, c.name, c.static); } @d class A { @d m() {} @d static s() {} @d f = 1; @d get g() { return 1 } @d accessor a = 2; } console.log(new A().a);",
    "decorators that replace": "const twice = (v: any, c: any) => function (this: any, ...a: any[]) { return v.apply(this, a) * 2 }; class A { @twice m(x: number) { return x } } console.log(new A().m(4));",
    "decorators that add initializers": "function bound(v: any, c: any) { c.addInitializer(function (this: any) { this[c.name] = this[c.name].bind(this) }) } class A { x = 9; @bound m() { return this.x } } const { m } = new A(); console.log(m());",
    "decorators of fields": "const plus = (n: number) => (_: any, c: any) => (x: number) => x + n; class A { @plus(1) @plus(10) a = 100; } console.log(new A().a);",
    "accessor": "class A { accessor x = 1; static accessor y: string = 'q' } const a = new A(); a.x++; console.log(a.x, A.y, Object.keys(a));",
    "abstract and overloads": "abstract class A { abstract m(): void; abstract accessor z: number; protected abstract readonly q: string; f(a: string): string; f(a: any) { return a } } class B extends A { m() {} accessor z = 1; q = '' } console.log(new B().f('x'));",
    "types in all places": "let a = <any>1, b = a!, c = b as unknown as string, d = { e: 1 } satisfies { e: number }; type F<T> = T extends infer U ? U : never; function g<const T>(this: void, x?: T, ...y: T[]): asserts x is T {} label: for (const x of [1] as const) { break label } console.log(a, b, c, d, g(1));",
    "unused imports are types": "import { Stats, readFileSync } from 'node:fs'; import { Nothing } from './nowhere'; import Def, { X } from './nowhere2'; import * as T from './nowhere3'; let s: Stats, n: Nothing, d: Def, t: T.U; console.log(typeof readFileSync);",
    "unused imports beside an enum": "import { Stats, readFileSync } from 'node:fs'; import { Nothing } from './nowhere'; enum E { A } let s: Stats, n: Nothing; console.log(typeof readFileSync, E.A);",
    "types that are exported": "interface I { a: 1 } type T = I; const v: T = { a: 1 }; export { I, T, v }; export type { I as J }; export default I; console.log(v);",
    "imports for types": "import type { A } from './a'; import { type B, join } from 'node:path'; export type { C } from './c'; export * as types from 'node:path'; console.log(join('a', 'b'));",
    "arrow over lines": "const f = (a: number):\n  number => a; const g = async <T,>(\n a: T\n): Promise<\nT> => a; console.log(f(1)); g(2).then(console.log);",
    "no semicolons": "let a\ninterface B {}\n(console.log)(1)\ntype C = 1\n;[2].map((x: number) => console.log(x))\nenum D { E }\n[3].map((x) => console.log(x))",
    "using": "class R { constructor(readonly n: string) {} [Symbol.dispose]() { console.log('gone', this.n) } } { using r = new R('a'); console.log(r.n) }",
    "private names": "class A { #x: number = 1; get x(): number { return this.#x } has(o: object): o is A { return #x in o } } console.log(new A().x, new A().has({}));",
    "generics in calls": "const m = new Map<string, Array<number>>(); const f = <T>(x: T) => x; const g = f<string>; console.log(m.size, f<number>(1), g('a'), f < 1, (f) > 1);",
    "top-level await": "enum E { A = 4 } const x: number = await Promise.resolve(E.A); console.log(x);",
    "JSON": "enum E { A } const f = async () => (await import('node:path')).sep; f().then((s: string) => console.log(s, E.A));",
    "long expressions": "const a: number = 1; console.log(" + "a + " * 20_000 + "1, ['x'" + ", 'y'" * 20_000 + "].length); enum E { A = " + "1 + " * 3_000 + "1 } console.log(E.A);",
    "long expressions without types in them": "const a: number = 1; console.log((" + "a + " * 20_000 + "1) as number, `${a}`" + ".concat('x')" * 200 + ".length);",
    "a type and a value in a pattern": "interface A { a: 1 } const { A, b: [C = 2] } = { A: 1, b: [] as number[] }; type C = 1; export { A, C }; console.log(A, C);",
    "names that are words": "const type = 1, of = 2, as = 3, declare = 4, abstract = 5, namespace = 6, enumerable = 8; type T = 1; console.log(type, of, as, declare, abstract, namespace, enumerable);",
    "unicode": "enum Größe { Kleiñ = 'ü', '日本' = 2, '😀' = 3 } console.log(Größe.Kleiñ, Größe['日本'], Größe[3]); const ø: string = '\\u2028'; console.log(ø.length);",
    "hashbang": "#!/usr/bin/env postern\nenum A { B } console.log(A.B);",
    "byte order mark": "\ufeffenum A { B } console.log(A.B);",
    "CRLF": "enum A {\r\n  B\r\n}\r\ninterface I {\r\n a: 1 }\r\nconsole.log(A.B);\r\n",
    "enum with a name of the runtime's": "enum Object_ { A } namespace Promise_ { export const x = Object_.A } enum hasOwnProperty { toString, __proto__ = 5 } console.log(Promise_.x, hasOwnProperty.toString);",
}

TRANSPILE = """const ts = require(%s), fs = require('fs'); const [from, to] = process.argv.slice(2);
const isModule = process.argv[4] === 'module';
const out = ts.transpileModule(fs.readFileSync(from, 'utf8'), { fileName: isModule ? 'x.mts' : 'x.cts', compilerOptions: { module: 199, target: 11, esModuleInterop: true, useDefineForClassFields: true } });
fs.writeFileSync(to, out.outputText);"""


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """reference(file): what a TypeScript program prints that TypeScript itself has compiled, as what we take it for."""
    home = tmp_path_factory.mktemp("reference")
    (home / "transpile.cjs").write_text(TRANSPILE % json.dumps(str(TYPESCRIPT)))

    def made(file):
        text = file.read_text()
        is_module = not file.name.endswith(".cts") and (file.name.endswith(".mts") or re.search(r"^\s*(import [^=]*from|export (?!=)|.*\bawait\b(?=.*Promise))|; (import|export) (?!=|\w+ =)", text, re.M) is not None)
        out = home / ("out.mjs" if is_module else "out.cjs")
        subprocess.run([NODE, "--no-warnings", home / "transpile.cjs", file, out, "module" if is_module else "commonjs"], check=True, timeout=60)
        return subprocess.run([NODE, "--no-warnings", out], capture_output=True, text=True, timeout=60)

    return made


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_does_what_typescript_makes_of_it(tmp_path, reference, name):
    file, text = PROGRAMS[name] if isinstance(PROGRAMS[name], list) else ("t.ts", PROGRAMS[name])
    (tmp_path / file).write_text(text, newline="")
    expected, ours = reference(tmp_path / file), run("run", tmp_path / file)
    assert expected.returncode == 0, expected.stderr
    assert (ours.stdout, ours.returncode) == (expected.stdout, 0), ours.stderr


def test_there_are_forty():
    assert len(PROGRAMS) >= 40


# With an enum, which needs the transpiler, and without: what is stripped and what is transpiled is the same.
@pytest.mark.parametrize("name", [name for name in PROGRAMS if not isinstance(PROGRAMS[name], list) and "export" not in PROGRAMS[name] and name not in ("hashbang", "byte order mark")])
def test_code_is_typescript_where_it_is_no_javascript(name):
    # eval shows a last value besides, so nothing that it may be is shown.
    text = PROGRAMS[name]
    expected = run("run", "--ext=ts", "-", stdin=text)
    assert expected.returncode == 0 and expected.stdout != "", expected.stderr
    assert run("run", "-", stdin=text).stdout == expected.stdout


# ---- JSX

REACT = """exports.jsx = exports.jsxs = (type, props, key) => JSON.stringify([String(type.name ?? type), props, key ?? null]);
exports.jsxDEV = (type, props, key, many, source) => [typeof type, source.lineNumber]; exports.Fragment = 'fragment';
exports.createElement = (type, props, ...children) => JSON.stringify(['created', String(type), props, children]);"""
JSX = {
    "tsx": ("t.tsx", {}, "const n: number = 1; export const a = <div id='x' n={n}>hi {n}</div>; console.log(a);", '["div",{"id":"x","n":1,"children":["hi ",1]},null]'),
    "jsx": ("t.jsx", {}, "const A = (p) => p; console.log(<A b {...{ c: 2 }} key='k' />); export {};", '["A",{"b":true,"c":2},"k"]'),
    "jsx in CommonJS": ("t.jsx", {}, "const o = require('node:os'); console.log(typeof o, <></>);", 'object ["fragment",{},null]'),
    "fragments": ("t.tsx", {}, "console.log(<><i/></>);", '["fragment",{"children":"[\\"i\\",{},null]"},null]'),
    "generic arrows": ("t.tsx", {}, "const f = <T,>(x: T) => x; enum E { A = 3 } console.log(f(E.A), <b/>);", '3 ["b",{},null]'),
    "a factory by pragma": ("t.jsx", {}, "/** @jsx h */ const h = (...a) => a.length; console.log(<div a={1}>x</div>);", "3"),
    "a source by pragma": ("t.tsx", {}, "/** @jsxImportSource other */ console.log(<div/>);", "other div"),
    "runtime by pragma": ("t.tsx", {}, "/** @jsxRuntime classic */ import React from 'react'; console.log(<div/>);", '["created","div",null,[]]'),
    "react": ("t.tsx", {"jsx": "react"}, "import React from 'react'; console.log(<div/>);", '["created","div",null,[]]'),
    "jsxFactory": ("t.tsx", {"jsxFactory": "h", "jsxFragmentFactory": "F"}, "const F = 'f', h = (t: any) => t; console.log(<></>, <a/>);", "f a"),
    "jsxImportSource": ("t.tsx", {"jsxImportSource": "other"}, "console.log(<div/>);", "other div"),
    "react-jsxdev": ("t.tsx", {"jsx": "react-jsxdev"}, "console.log(\n<div/>);", "[ 'string', 2 ]"),
    "preserve": ("t.tsx", {"jsx": "preserve"}, "console.log(<div/>);", '["div",{},null]'),
}


@pytest.mark.parametrize("name", JSX)
def test_jsx(tmp_path, name):
    file, options, text, out = JSX[name]
    write(tmp_path, {file: text, "tsconfig.json": json.dumps({"compilerOptions": options}), "node_modules/react/index.js": REACT, "node_modules/react/jsx-runtime.js": REACT,
                     "node_modules/react/jsx-dev-runtime.js": REACT, "node_modules/react/package.json": '{"exports": {".": "./index.js", "./*": "./*.js"}}',
                     "node_modules/other/jsx-runtime.js": "exports.jsx = (type) => `other ${type}`;"})
    done = run("run", tmp_path / file)
    assert (done.stdout, done.stderr) == (out + "\n", "")


# ---- tsconfig.json


def test_names_that_tsconfig_maps(tmp_path):
    """The nearest tsconfig.json above the program, which is not beside it, with the one that it extends."""
    write(tmp_path, {
        "package.json": "{}",
        "tsconfig.json": '{ // comments\n "extends": "./tsconfig.base.json", /* and */ "compilerOptions": { "paths": { "@lib/*": ["./lib/*",], "~": ["root"] }, }, }',
        "tsconfig.base.json": '{"compilerOptions": {"baseUrl": "./app", "experimentalDecorators": true}}',
        "app/lib/a.ts": "export enum A { B = 'mapped' } export const where = import.meta.url;",
        "app/root.tsx": "export default 'root';",
        "app/based/index.ts": "export default 'based';",
        "app/lib/deep/c.cts": "import { A } from '@lib/a'; export = A.B;",
        "node_modules/p/index.ts": "export default 'p';", "node_modules/p/package.json": '{"exports": "./index.ts", "type": "module"}',
        "app/main.ts": "import { A } from '@lib/a'; import { A as same } from './lib/a.js'; import root from '~'; import based from 'based'; import c from '@lib/deep/c.cjs'; import p from 'p'; import fs from 'fs';\n"
                       "function d(target: any, name: string) { console.log(typeof target, name) } class K { @d m() {} } new K(); console.log(A.B, same === A, root, based, c, p, typeof fs, (await import('@lib/a')).where.endsWith('/app/lib/a.ts'));",
    })
    done = run("run", tmp_path / "app" / "main.ts")
    assert (done.stdout, done.stderr) == ("object m\nmapped true root based mapped p object true\n", "")


@pytest.mark.parametrize("options,text,out", [
    ({"experimentalDecorators": True, "emitDecoratorMetadata": True},
     "(Reflect as any).metadata = (k: string, v: any) => (t: any, n: string) => console.log(k, n, Array.isArray(v) ? v.map((x) => x.name) : v?.name);\nimport { Stats } from 'node:fs'; const d: any = () => {}; class A { @d a: string = ''; @d m(x: number, y: Date, z: Stats): Promise<void> { return null! } }",
     "design:type a String\ndesign:returntype m Promise\ndesign:paramtypes m [ 'Number', 'Date', 'Stats' ]\ndesign:type m Function\n"),
    ({"target": "ES2017"}, "class A { x?: number; y = 1 } console.log(Object.keys(new A()));", "[ 'y' ]\n"),
    ({"useDefineForClassFields": False}, "class A { x?: number; y = 1 } console.log(Object.keys(new A()));", "[ 'y' ]\n"),
    ({}, "class A { x?: number; y = 1 } console.log(Object.keys(new A()));", "[ 'x', 'y' ]\n"),
    ({"target": "esnext"}, "class A { x?: number; y = 1; constructor(private z = 2) {} } console.log(Object.keys(new A()));", "[ 'z', 'x', 'y' ]\n"),
    ({"verbatimModuleSyntax": True}, "import { join } from './seen.mjs'; export {};", "seen\n"),
    ({}, "import { join } from './seen.mjs'; export {};", ""),
])
def test_options_that_tsconfig_sets(tmp_path, options, text, out):
    write(tmp_path, {"t.ts": text, "seen.mjs": "console.log('seen'); export const join = 1;", "tsconfig.json": json.dumps({"compilerOptions": options})})
    done = run("run", tmp_path / "t.ts")
    assert (done.stdout, done.stderr) == (out, "")


@pytest.mark.parametrize("text,says", [("{", "tsconfig.json is no JSON object"), ("[]", "tsconfig.json is no JSON object"), ('{"extends": "./tsconfig.json"}', None), ('{"extends": ["./none", "none", 5, [[]]]}', None),
                                       ('{"compilerOptions": {"jsx": 5, "target": {}, "paths": {"*": 7, "a": [[]]}, "baseUrl": []}}', None),
                                       ('{"compilerOptions": {"paths": {"x": ["/elsewhere/x"]}}}', "says that 'x' is /elsewhere/x: "), (json.dumps({"compilerOptions": {"paths": {"*" * 9: ["*"] * 999}}}), None)])
def test_a_tsconfig_that_is_none(tmp_path, text, says):
    write(tmp_path, {"a/t.ts": "enum A { B } " + ("import 'x';" if says and "/elsewhere" in says else "console.log(A.B);"), "a/tsconfig.json": text})
    done = run("run", tmp_path / "a" / "t.ts")
    if says is None:
        assert (done.stdout, done.stderr) == ("0\n", "")
    else:
        assert done.returncode == 1 and says in done.stderr


# ---- places

ABOVE = "enum A { B, C }\nnamespace N {\n  export const x = 1;\n}\ninterface I {\n  a: 1;\n}\n"


def test_errors_have_their_place_in_what_was_written(tmp_path):
    (tmp_path / "t.ts").write_text(ABOVE + "class P {\n  constructor(private n: A) {}\n  f(): never {\n    throw new RangeError(`n is ${this.n}`);\n  }\n}\nconst later = () => new P(A.C).f();\nlater();\n")
    done = run("run", tmp_path / "t.ts")
    assert done.returncode == 1
    url = f"file://{tmp_path}/t.ts"
    assert done.stderr.startswith(f"{url}:11:11\n    throw new RangeError(`n is ${{this.n}}`);\n          ^\n\nRangeError: n is 1\n    at P.f ({url}:11:11)\n    at later ({url}:14:"), done.stderr


ADDED = {  # what the compiler adds helpers to, and the lines of the frames that are left
    "a decorator that throws": ("function bad(): any { throw new Error('x'); }\nfunction deco(v: any, c: any) { bad(); }\nclass P { @deco age = 1 }\n", [1, 2, 3]),
    "a decorator that gives what is none": ("function deco(v: any, c: any): any { return 5; }\nclass P { @deco m() {} }\n", [2]),
    "an initialiser": ("enum E { A }\nfunction d(t: any, c: any) { c.addInitializer(() => { throw new Error('x'); }); }\nclass Q { @d m() {} }\nnew Q();\n", [2, 3, 4]),
    "JSX without its runtime": ("const el = <b>hi</b>;\nconsole.log(el);\n", []),
}  # fmt: skip


@pytest.mark.parametrize("what", ADDED)
def test_places_in_code_that_was_added_are_not_shown(tmp_path, what):
    text, lines = ADDED[what]
    (tmp_path / "prog.tsx").write_text(text)
    done = run("run", tmp_path / "prog.tsx")
    assert done.returncode == 1 and [int(line) for line in re.findall(r"^    at .*prog\.tsx:(\d+):\d+\)?(?: \{)?$", done.stderr, re.M)] == lines, done.stderr
    places = re.findall(r"prog\.tsx:(\d+)(?::(\d+))?", done.stderr)
    assert all(int(line) <= text.count("\n") and int(column or 1) <= len(text.splitlines()[int(line) - 1]) for line, column in places), done.stderr
    assert "__" not in done.stderr


@pytest.mark.parametrize("code", ["await fetch('/x')", "await (async () => { throw new Error('x'); })()", "await\nnull.x"])
def test_places_of_code_that_awaits_are_those_of_its_own_lines(code):
    done = subprocess.run([POSTERN, "eval", code], capture_output=True, text=True, timeout=60)
    lines = [int(line) for line in re.findall(r"\[eval\]:(\d+):", done.stderr)]
    assert done.returncode == 1 and lines and max(lines) <= code.count("\n") + 1, done.stderr


def test_brackets_do_not_end_what_code_is_put_into():
    done = subprocess.run([POSTERN, "eval", "await 1), (2"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "SyntaxError" in done.stderr and done.stdout == ""


def test_what_cannot_be_commonjs_says_where_and_why(tmp_path):
    (tmp_path / "package.json").write_text('{"type": "commonjs"}')
    (tmp_path / "s.ts").write_text("let g = async <T>(x: T) => x; console.log(await g(1));export{}")
    (tmp_path / "d.ts").write_text("import {a} from 'data:text/javascript,export const a=1'; console.log(a)")
    assert f"{tmp_path}/s.ts:1:43 is written as an ES module" in run("run", tmp_path / "s.ts").stderr
    told = run("run", tmp_path / "d.ts").stderr
    assert "a data: URL is imported, not required" in told and "ERR_UNSUPPORTED_ESM_URL_SCHEME" in told


def test_the_stack_that_a_program_reads_is_that_of_what_was_written(tmp_path):
    write(tmp_path, {"lib.ts": ABOVE + "export function fail(): never {\n  throw new Error('x');\n}\n", "t.ts": ABOVE + "import { fail } from './lib';\ntry {\n  fail();\n} catch (e) {\n  console.log((e as Error).stack);\n}\n",
                     "c.cjs": "try { require('./lib.ts').fail(); } catch (e) { console.log(e.stack); }"})
    for program, at in (("t.ts", "t.ts:10:3"), ("c.cjs", "c.cjs:1:27")):
        assert re.match(rf"Error: x\n    at (?:Module\.)?fail \(file://{tmp_path}/lib\.ts:9:9\)\n    at .*file://{tmp_path}/{at}", run("run", tmp_path / program).stdout), program


@pytest.mark.parametrize("text,line,column,says", [
    ("let x: = 1;", 8, 8, "Type expected."),
    ("const y = {;", 8, 12, "Property assignment expected."),
    ("let one = 1;\nlet one = 2;", 9, 5, "Identifier 'one' has already been declared"),
    ("throw 5;", 8, 1, "Uncaught 5"),
])
@pytest.mark.parametrize("above", [ABOVE, ABOVE.replace("enum A { B, C }", "type A = 1").replace("namespace N", "interface N").replace("export const x = 1", "x: 1")], ids=["transpiled", "stripped"])
def test_a_syntax_error_has_its_place_and_its_line(tmp_path, above, text, line, column, says):
    (tmp_path / "t.ts").write_text(above + text + "\n")
    done = run("run", tmp_path / "t.ts")
    last = text.splitlines()[-1]
    assert done.returncode == 1 and done.stderr.startswith(f"file://{tmp_path}/t.ts:{line}:{column}\n{last}\n{' ' * (column - 1)}^"), done.stderr
    assert says in done.stderr


def test_a_syntax_error_of_what_is_imported_says_from_where(tmp_path):
    write(tmp_path, {"t.ts": "import './bad';", "bad.ts": "enum A {\n  B\n  C\n}"})
    done = run("run", tmp_path / "t.ts")
    assert f"file://{tmp_path}/bad.ts:3:3\n  C\n  ^\n" in done.stderr and "(imported from" in done.stderr, done.stderr


@pytest.mark.parametrize("name,text,said", [
    ("a.js", "const x: number = 1", "a.js is written in TypeScript: rename it to a.ts"), ("a.mjs", "interface A { x: number }", "a.mjs is written in TypeScript: rename it to a.mts"),
    ("a.cjs", "enum A { B }", "a.cjs is written in TypeScript: rename it to a.cts"), ("a.js", "console.log(<b>1</b>)", "a.js is written in JSX: rename it to a.jsx"),
    ("a.js", "const x: number = 1; console.log(<b>{x}</b>)", "a.js is written in TypeScript with JSX: rename it to a.tsx"),
    ("a.js", "const x = ;", ""), ("a.mts", "const x = ;", ""), ("a.js", "JSON.parse('<')", ""), ("a.mjs", "new Function('const x: number = 1')", ""),
])
def test_what_is_no_javascript_and_another_language_says_what_to_rename(tmp_path, name, text, said):
    write(tmp_path, {name: text, "importer.mjs": f"import './{name}'"})
    for file in (name, "importer.mjs"):
        done = run("run", tmp_path / file)
        assert done.returncode == 1 and "SyntaxError" in done.stderr and (f"postern: {tmp_path}/{said}\n" in done.stderr if said else "rename" not in done.stderr), done.stderr


# ---- every entry point

TYPED = "enum A { B = 41 }\nconst value: number = A.B + 1;\n"


@pytest.mark.parametrize("ext,text,out", [
    ("ts", TYPED + "console.log(value, typeof require)", "42 function"), ("mts", TYPED + "console.log(value, typeof require)", "42 undefined"), ("cts", TYPED + "console.log(value, module.exports === exports)", "42 true"),
    ("tsx", "/** @jsx h */ const h = (x: any): any => x; enum A { B = 1 } console.log(<a/>, A.B)", "a 1"), ("jsx", "/** @jsx h */ const h = (x) => x; console.log(<a/>)", "a"),
    ("js", "import fs from 'fs'; console.log(typeof fs)", "object"), ("mjs", "console.log(typeof require)", "undefined"), ("cjs", "console.log(typeof require)", "function"),
])
def test_code_says_in_what_it_is_written(ext, text, out):
    assert run("run", f"--ext={ext}", "-", stdin=text).stdout == out + "\n"
    assert run("eval", f"--ext={ext}", text + "; undefined").stdout == out + "\n"


@pytest.mark.parametrize("ext,text", [("js", TYPED), ("mjs", TYPED), ("cjs", TYPED), ("cjs", "import 'node:fs';"), ("ts", "const a = <b/>;"), ("jsx", "let a: number = <b/>;")])
def test_code_that_is_not_what_is_said_fails(ext, text):
    for words in (("run", f"--ext={ext}", "-"), ("eval", f"--ext={ext}", text)):
        done = run(*words, stdin=text)
        assert done.returncode == 1 and "SyntaxError" in done.stderr, done.stderr


def test_eval_gives_the_last_value_of_typescript():
    assert run("eval", TYPED + "value").stdout == "42\n"
    assert run("eval", "const f = (x: string): string => x; f('y')").stdout == "y\n"
    assert run("eval", "await Promise.resolve(6 as number)").stdout == "6\n"
    assert run("eval", "import { join } from 'node:path'; const a: string = join('x', 'y'); __return(a)").stdout == "x/y\n"
    assert run("eval", "--ext=ts", TYPED + "const p = require('node:path') as typeof import('node:path'); p.join('a', `${value}`)").stdout == "a/42\n"


@pytest.mark.parametrize("text,says", [
    ("let a = ;", r"\[eval\]:1:9\n.*Unexpected token ';'"), ("const a: number = ;", r"\[eval\]\.ts:1:19\n.*Expression expected"), ("import x from 'y'; let a = ;", r"\[eval\]:1:28\n.*Unexpected token ';'"),
    ("interface A { b: string }\nlet c: = 1", r"\[eval\]\.ts:2:8\n.*Type expected"), ("foo bar baz", r"Unexpected identifier 'bar'"), ("await (", r"Unexpected end of input"),
])
def test_code_in_neither_has_the_error_of_the_one_it_is_nearer_to(text, says):
    assert re.search(says, run("eval", text).stderr, re.S), run("eval", text).stderr
    assert re.search(says.replace("eval", "stdin"), run("run", "-", stdin=text).stderr, re.S)


def test_wrong_usage_of_ext(tmp_path):
    (tmp_path / "t.ts").write_text("")
    for words, says in ((("run", "--ext=py", "-"), '"py" is none of js, mjs'), (("run", "--ext=ts", tmp_path / "t.ts"), "--ext is for code that is in no file"), (("eval", "--ext=", "1"), "--ext= has no value")):
        done = run(*words)
        assert (done.returncode, says in done.stderr) == (2, True), done.stderr


def test_the_api_takes_typescript(server):
    def value(**body):
        return server.outcome(body).get("value")

    assert value(code=TYPED + "__return([value, typeof require])") == [42, "function"]
    assert value(code="import fs from 'node:fs'; const a: string = typeof fs; __return(a)") == "object"
    assert value(code="__return(typeof require)") == "function" and value(code="export {}; __return(typeof require)") == "undefined"
    assert value(code="const fs = require('node:fs'); module.exports = 1; __return(typeof fs)") == "object"
    assert value(code=TYPED + "__return([value, import.meta.url])", ext="mts") == [42, "file:///app/[code].mts"]
    assert value(code=TYPED + "value", eval=True) == 42 and value(code="<any>5", eval=True, ext="ts") == 5
    assert value(code="import { E } from './e'; import { F } from '@x/f'; __return([E.A, F])", ext="ts",
                 files={"e.ts": "export enum E { A = 1 }", "lib/f.ts": "export const F: number = 2;", "tsconfig.json": '{"compilerOptions": {"paths": {"@x/*": ["./lib/*"]}}}'}) == [1, 2]
    assert value(files={"main.tsx": "/** @jsx h */ const h = (x: string) => x; __return(<a/>);"}, entry="main.tsx") == "a"
    failed = server.outcome({"code": ABOVE + "throw new Error('placed');"})["error"]
    assert "[code].ts:8:7" in failed["stack"], failed
    assert "[code].ts:8:8: Type expected." in server.outcome({"code": ABOVE + "let a: = 1"})["error"]["message"]


def test_a_client_of_a_server_passes_it_on(server, tmp_path):
    (tmp_path / "t.ts").write_text(TYPED + "console.log(value)")
    to = f"--server=unix:{server.socket}"
    assert run("run", to, tmp_path / "t.ts", alone=False).stdout == "42\n"
    assert run("run", to, "-", stdin=TYPED + "console.log(value)", alone=False).stdout == "42\n"
    assert run("run", to, "--ext=mts", "-", stdin=TYPED + "console.log(value, typeof require)", alone=False).stdout == "42 undefined\n"
    assert run("eval", to, "--ext=ts", TYPED + "value", alone=False).stdout == "42\n"
    assert run("run", to, "-", stdin="console.log(typeof require('fs'))", alone=False).stdout == "object\n"


@pytest.mark.parametrize("name,text", [
    ("h.ts", "enum S { A = 201 } export default { async fetch(request: Request): Promise<Response> { return new Response(`${S.A}`); } };"),
    ("h.tsx", "/** @jsx h */ const h = (x: any): any => '201'; export default { fetch: () => new Response(<a/>) };"),
    ("h.cts", "import os = require('node:os'); export = { fetch(): Response { return new Response(os.EOL && '201'); } };"),
    ("h.js", "const os = require('node:os'); module.exports = { fetch() { return new Response(os.EOL && '201'); } };"),
    ("h", "export default { fetch() { return new Response('201'); } };"),
])
def test_a_handler_is_written_in_any_of_them(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with Handler(tmp_path, module=tmp_path / name) as handler:
        assert handler.get("/").body == b"201"
    assert our_processes() == []


def test_required_and_imported_from_javascript(tmp_path):
    write(tmp_path, {"e.ts": "export enum E { A = 1 }", "c.cts": "enum E { A = 2 } export = E;", "x.tsx": "/** @jsx h */ const h = (x: string) => x; export default <q/>;",
                     "r.cjs": "console.log(require('./e').E.A, require('./c.cts').A, require('./x').default);",
                     "i.mjs": "import { E } from './e.ts'; import c from './c.cts'; import x from './x.tsx'; console.log(E.A, c.A, x, (await import('./e.ts?2')).E !== E);"})
    assert run("run", tmp_path / "r.cjs").stdout == "1 2 q\n"
    assert run("run", tmp_path / "i.mjs").stdout == "1 2 q true\n"


# ---- hostile


@pytest.mark.parametrize("text", [
    "enum A { B = " + "(" * 100_000 + ")" * 100_000 + " }", "let a: " + "[" * 100_000, "enum A {} " + "namespace N {" * 20_000, "enum A {} let x = " + "a?" * 50_000, "enum A {} " + "x" * 20_000 + "<" * 20_000,
    "enum A { B } let t: " + "A<" * 5_000, "enum A {" + "".join(f"M{i}," for i in range(100_000)) + "} " + "}" , "enum A { B = `" + "${`" * 10_000, "\0\x01enum A { \ufffe }{", "enum A { B } //# sourceMappingURL=data:application/json,{", "@" * 10_000,
    "type A = " + "{ a: " * 30_000, "enum A {} " + "/*" * 1000, "enum A {} '", "enum A {} `", "enum A {} /(((", "<" * 3000 + ">", "abstract " * 10_000, "enum A {} let " + "async ".join(["x"] * 10_000),
], ids=range(19))
def test_a_hostile_source_gives_an_error(text):
    began = time.monotonic()
    done = run("run", "--ext=ts", "--timeout=30s", "--cpu=20s", "-", stdin=text)
    assert done.returncode in (1, 124, 137) or (done.returncode, done.stderr) == (0, ""), (done.returncode, done.stderr[-500:])
    assert "please report" not in done.stderr and time.monotonic() - began < 40


def test_a_guest_that_changed_the_language_is_transpiled_all_the_same(tmp_path):
    write(tmp_path, {"e.ts": "enum E { A = 5 }\nexport = E.A;", "bad.ts": "enum E {\n", "t.cjs": """
      const kinds = [Array, String, Map, Set, RegExp, Object, Function, Number, Symbol, Promise, WeakMap];
      const all = kinds.flatMap(({ prototype }) => Reflect.ownKeys(prototype).filter((key) => key !== 'constructor').map((key) => [prototype, key]));
      const { defineProperty } = Object;
      const replaced = { __proto__: null, get() { throw new Error('replaced'); }, set() {}, configurable: true };
      for (let i = 0; i < all.length; i++) try { defineProperty(all[i][0], all[i][1], replaced); } catch {}
      Error.prepareStackTrace = () => { throw new Error('asked'); };
      Object.defineProperty(Object.prototype, 'kind', { get() { throw new Error('inherited'); } });
      JSON.parse = JSON.stringify = Object.keys = Math.max = () => { throw new Error('static'); };
      const five = require('./e.ts');
      try { require('./bad.ts'); } catch (e) { __return([five, e.code, e instanceof SyntaxError]); }"""})
    done = json.loads(run("run", "--json", tmp_path / "t.cjs").stdout)
    assert done.get("value") == [5, "ERR_INVALID_TYPESCRIPT_SYNTAX", True], done


def test_a_guest_meets_nothing_of_the_transpiler(tmp_path):
    write(tmp_path, {"bad.ts": "enum E {\n", "t.cjs": """
      const seen = []; Error.prepareStackTrace = (e, sites) => { seen.push(e instanceof Error); return ''; };
      Object.prototype.__proto__ === null; let caught; try { require('./bad.ts'); } catch (e) { caught = e; }
      void new Error('x').stack; console.log(seen.every(Boolean), caught.constructor === SyntaxError, Object.getPrototypeOf(caught) === SyntaxError.prototype, typeof ts, typeof part);"""})
    assert run("run", tmp_path / "t.cjs").stdout == "true true true undefined undefined\n"


def test_a_small_guest_can_transpile(tmp_path):
    (tmp_path / "t.ts").write_text(TYPED + "console.log(value)")
    assert run("run", "--memory=48MiB", tmp_path / "t.ts").stdout == "42\n"
    done = run("run", "--memory=16MiB", tmp_path / "t.ts")
    assert (done.returncode, done.stdout) in ((137, ""), (0, "42\n")), done.stderr


def test_without_machine_code(tmp_path):
    (tmp_path / "t.ts").write_text(TYPED + "console.log(value)")
    assert run("run", "--jitless", tmp_path / "t.ts").stdout == "42\n"
