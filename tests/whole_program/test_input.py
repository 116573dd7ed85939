"""Bad input: a clear message, with file:line:column where there is one, the exit status that design.md
says, and nothing started that is not ended."""

import os
import socket
import subprocess

import pytest
from conftest import POSTERN, allowing


def command(*words, **options):
    return subprocess.run([POSTERN, *words], capture_output=True, text=True, errors="replace", timeout=30, **options)


@pytest.mark.parametrize("words,status,message", [
    ([], 2, "subcommand is required"),
    (["run"], 2, "FILE is required"),
    (["run", "--no-such-flag", "x.mjs"], 2, "--no-such-flag"),
    (["run", "--allow-net=http://", "x.mjs"], 2, 'rule "http://": the host is missing'),
    (["run", "--allow-net=a:99999", "x.mjs"], 2, "the port must be a number from 1 to 65535"),
    (["run", "--deny-net=ftp://a", "x.mjs"], 2, 'scheme "ftp" is none of'),
    (["run", "--adapter=magic", "x.mjs"], 2, '"magic" is none of: none, direct, proxy:URL, replay:FILE'),
    (["run", "--timeout=soon", "x.mjs"], 2, "--timeout"),
    (["run", "--timeout=0s", "x.mjs"], 2, "at least 1 ms"),
    (["run", "--memory=1MiB", "x.mjs"], 2, "at least 16MiB"),
    (["run", "--env=", "x.mjs"], 2, "has no value"),
    (["run", "--env=POSTERN_NOT_SET", "x.mjs"], 2, "is not set here"),
    (["run", "--require=moat", "x.mjs"], 2, 'no layer "moat"'),
    (["run", "--policy=/no/such.yaml", "x.mjs"], 3, "cannot read the policy /no/such.yaml"),
    (["eval", "--allow-net", b"--adapter=replay:/no/such/\xff.har", "1"], 3, "cannot read the recording /no/such/"),
    (["eval", b"--allow-net=\xff\xfe", "1"], 2, "not a host name"),
    (["eval", b"--allow-net=https://a.test/\xff", "1"], 2, "bytes that are no UTF-8"),
    (["run", "/no/such/file.mjs"], 3, "cannot read /no/such/file.mjs"),
    (["run", "/tmp"], 3, "/tmp is a directory"),
    (["run", "/dev/zero"], 3, "no regular file"),
])
def test_refused_before_anything_starts(words, status, message):
    done = command(*words)
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr, done.stderr


def test_policy_errors_have_a_place(tmp_path):
    policy = tmp_path / "p.yaml"
    policy.write_text("version: 1\nnetwork:\n  permision: allow\n")
    done = command("run", f"--policy={policy}", "x.mjs")
    assert done.returncode == 3
    assert f'{policy}:3:3: unknown key "permision" in network; did you mean "permission"?' in done.stderr


def test_syntax_error_has_its_place(postern):
    result = postern("const a = 1;\nconst b = ;\n", json_result=False)
    assert result.status == 1
    assert "job.mjs:2:11" in result.err and "SyntaxError" in result.err and "const b = ;" in result.err


def test_binary_garbage(postern):
    result = postern(bytes(range(256)) * 100)
    assert (result.status, result.json["error"]["name"]) == (1, "SyntaxError")


def test_module_of_100_mb(postern):
    result = postern(b"//" + b"x" * 100_000_000)
    assert (result.status, result.json["outcome"]) == (3, "refused")
    assert "bytes that it may have" in result.json["error"]["message"]


@pytest.mark.parametrize("specifier,code,message", [
    ("./missing.mjs", "ERR_MODULE_NOT_FOUND", "job.mjs:2:"),
    ("../outside.mjs", "ERR_MODULE_NOT_FOUND", "/tmp is the guest's own; --mount="),
    ("/var/outside.mjs", "EACCES", "outside what is mounted"),
    ("/etc/passwd", "EACCES", "outside what is mounted"),
    ("file:///proc/self/environ", "EACCES", "outside what is mounted"),
    ("./link.mjs", "EACCES", "leads out of its mount"),
    ("./dir/../../outside.mjs", "ERR_MODULE_NOT_FOUND", "/tmp is the guest's own"),
    ("./dir/../../../../../../../../../../outside.mjs", "EACCES", "outside what is mounted"),
    ("./pipe.mjs", "EACCES", "no regular file"),
    ("./dir", "ERR_MODULE_NOT_FOUND", "it is a directory"),
    ("lodash", "ERR_MODULE_NOT_FOUND", "npm install lodash"),
    ("node:nothing", "ERR_UNKNOWN_BUILTIN_MODULE", "node:nothing"),
    ("./file", "ERR_MODULE_NOT_FOUND", "did you mean file.mjs? An import names the whole file"),
    ("./addon.node", "ERR_NATIVE_ADDON", "a native addon, which a guest cannot load"),
    ("./page.tsx", "ERR_MODULE_NOT_FOUND", "cannot find the module"),
    ("#inside", "ERR_PACKAGE_IMPORT_NOT_DEFINED", '"imports"'),
    ("https://example.com/x.mjs", "ERR_UNSUPPORTED_ESM_URL_SCHEME", "only files and data: URLs can be imported"),
    ("./data.json", "ERR_IMPORT_ATTRIBUTE_MISSING", "type: 'json'"),
    ("./%00.mjs", "ERR_INVALID_MODULE_SPECIFIER", ""),
])
def test_imports_that_fail(postern, tmp_path, specifier, code, message):
    # The job's directory is a mount in the guest's own, empty /tmp.
    home = tmp_path / "home"
    (home / "dir").mkdir(parents=True)
    (tmp_path / "outside.mjs").write_text("export default 'secret'")
    (home / "link.mjs").symlink_to(tmp_path / "outside.mjs")
    (home / "file.mjs").write_text("")
    (home / "data.json").write_text("{}")
    os.mkfifo(home / "pipe.mjs")
    for code_text in (f"// first line\nimport '{specifier}';", f"// first line\nawait import('{specifier}');"):
        result = postern(code_text, name="home/job.mjs")
        error = result.json["error"]
        assert result.status == 1
        assert error["cause"]["code"] in (code, "ERR_MODULE_NOT_FOUND"), error
        if "await" not in code_text or not message.startswith("job"):
            assert message in error["message"], error


def test_cyclic_imports(postern, tmp_path):
    (tmp_path / "a.mjs").write_text("import { b } from './b.mjs'; export const a = () => 'a'; export const both = () => a() + b();")
    (tmp_path / "b.mjs").write_text("import { a } from './a.mjs'; export const b = () => a() + 'b';")
    assert postern("import { both } from './a.mjs'; __return(both());").value == "aab"


@pytest.mark.parametrize("name,package,message", [
    ("job.js", '{"type": "commonjs"}', "rename it to .mjs"),
    ("job.cjs", None, "CommonJS"),
    ("job.txt", None, "an extension that no code has"),
])
def test_wrong_module_type(postern, tmp_path, name, package, message):
    if package:
        (tmp_path / "package.json").write_text(package)
    result = postern("import './x.mjs';", name=name, json_result=False)
    assert result.status == 1
    assert message in result.err
    assert len([line for line in result.err.splitlines() if message in line]) == 1


def test_js_is_a_module_where_package_json_says_so(postern, tmp_path):
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "x.mjs").write_text("export default 7")
    assert postern("import x from './x.mjs'; __return(x);", name="job.js").value == 7


@pytest.mark.parametrize("name", ["job.js", "job"])
@pytest.mark.parametrize("code", ["import 'node:fs'; __return(7);", "export {}; __return(7);", "await 0; __return(7);", "__return(import.meta.url ? 7 : 0);"])
def test_js_is_a_module_where_its_text_says_so(postern, tmp_path, name, code):
    """Without a package.json, as in Node.js, Deno and Bun."""
    (tmp_path / "other.js").write_text("export default 7")
    assert postern(code, name=name).value == 7
    assert postern("import('./other.js').then((m) => __return(m.default))", name=name).value == 7
    assert postern("__return(typeof require === 'function' && typeof await_ === 'undefined' ? 7 : 0)", name=name).value == 7


def test_rules_of_every_length_are_bounded(postern):
    rules = [f"host{i}.example.com" for i in range(5000)]
    result = postern("await fetch('http://host1.example.com/')", policy=allowing(*rules))
    assert result.status in (1, 125) and "error" in result.json


def test_output_limit(postern):
    result = postern("for (;;) console.log('x'.repeat(1000));", policy={"version": 1, "limits": {"output": "1MiB"}})
    assert result.json["outcome"] == "killed" and "limits.output" in result.json["error"]["message"]


def test_memory_limit(postern):
    result = postern("const a = []; for (;;) a.push(new Array(1000).fill({}));", "--memory=64MiB")
    assert (result.status, result.json["outcome"]) == (137, "out_of_memory"), result.json
    assert result.json["usage"]["peakMemoryBytes"] < 200 << 20


@pytest.mark.parametrize("kind", ["pipe", "socket", "terminal"])
def test_stdout_is_shared_with_others_and_stays_blocking(tmp_path, kind):
    file = tmp_path / "much.mjs"
    file.write_text("for (let i = 0; i < 300; i++) console.log('x'.repeat(1000)), console.error('y');")
    reader, writer = {"pipe": os.pipe, "terminal": os.openpty,
                      "socket": lambda: [s.detach() for s in socket.socketpair()]}[kind]()
    run = subprocess.Popen([POSTERN, "run", str(file)], stdout=writer, stderr=writer)
    blocking, read = set(), 0
    while read < 300_000:
        read += os.read(reader, 4096).count(b"x")
        blocking.add(os.get_blocking(writer))
    os.close(reader)
    assert run.wait(10) in (0, 4, 141)  # not 0: its last line found no reader
    assert os.get_blocking(writer) and blocking == {True}
    os.close(writer)


@pytest.mark.parametrize("json_result", [True, False])
def test_what_was_printed_before_a_limit_arrives(postern, json_result):
    result = postern("console.log('x'.repeat(50000)); for (;;);", "--timeout=400ms", json_result=json_result)
    assert result.status == 124
    assert (result.json["stdout"] if json_result else result.out) == "x" * 50000 + "\n"
