"""What people type: for another tool, with a slip, in another order. Each mistake is answered by a sentence that says what to type instead; none
grants anything."""

import os
import re
import subprocess

import pytest
from conftest import POSTERN, ROOT, unless_sanitized


@pytest.fixture
def here(tmp_path):
    (tmp_path / "app.mjs").write_text("console.log(process.argv.slice(2).join());")
    (tmp_path / "--odd.mjs").write_text("console.log('odd');")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.txt").write_text("x")
    (tmp_path / "p.yaml").write_text("version: 1\nnetwork: {permission: allow, rules: [{allow: a.test}]}\n")
    return tmp_path


def type_in(here, *words):
    return subprocess.run([POSTERN, *words], capture_output=True, text=True, timeout=60, cwd=here)


@pytest.mark.parametrize("words, said", [
    (["app.mjs"], "to run app.mjs, write: postern run app.mjs"),
    (["nothere.ts"], "write: postern run nothere.ts"),
    (["rnu", "app.mjs"], 'did you mean "run"?'),
    (["evla", "1"], 'did you mean "eval"?'),
    (["fly"], "there is no command \"fly\"; the commands are run, eval"),
    (["help", "fly"], "there is no command \"fly\""),
    (["-A", "app.mjs"], "there is no option -A; name what the program may have: --allow-net=RULE"),
    (["run", "-A", "app.mjs"], "there is no option -A; name what the program may have: --allow-net=RULE"),
    (["run", "--allow-read=.", "app.mjs"], "there is no option --allow-read; write --mount=HOST:GUEST"),
    (["run", "-e", "1"], "write --env=NAME[=VALUE] for a variable, postern eval CODE for code"),
    (["run", "-p", "8080:80", "app.mjs"], "postern serve --handler=FILE --listen=PORT"),
    (["run", "--rm", "-it", "app.mjs"], "there is no option --rm; a run leaves nothing behind; leave it out"),
    (["run", "-it", "app.mjs"], "there is no option -it; a guest may read standard input"),
    (["run", "--env-file", ".env", "app.mjs"], "write --env=NAME=VALUE for each variable"),
    (["run", "-m", "512m", "app.mjs"], "write --memory=128MiB"),
    (["run", "--network=none", "app.mjs"], "write --allow-net=RULE, or nothing for none"),
    (["run", "--watch", "app.mjs"], "run it anew when a file has changed"),
    (["run", "--allow-fs-read=/x", "app.mjs"], "write --mount=HOST:GUEST"),
    (["serve", "--port", "8080"], "there is no option --port; write --listen=PORT"),
    (["serve", "app.mjs"], "to let app.mjs answer requests, write: postern serve --handler=app.mjs --listen=8080"),
    (["serve", "--port=1", "app.mjs"], "write --listen=PORT"),
    (["serve"], "nothing to listen at: give --socket=PATH, or --listen=PORT"),
    (["serve", "--listen=abc"], '"abc" is no address to listen at, as in 8080'),
    (["serve", "--listen=127.0.0.1:0"], "a TCP socket needs tokens: give --token-file=FILE"),
    (["run", "--server=foo", "app.mjs"], '"foo" is no server; write unix:PATH or http://IP:PORT'),
    (["run", "--server=http://example.test:80", "app.mjs"], "is no IP address and port"),
    (["explain", "p.yaml", "GET", "a.test/x"], "write https://a.test/x"),
    (["explain", "p.yaml", "get", "https://a.test/x"], "methods are upper case: write GET for get"),
    (["explain", "p.yaml", "https://a.test/x"], "METHOD is required before the URL, as in: postern explain p.yaml GET https://a.test/x"),
    (["explain", "p.yaml", "GET"], "URL is required; see postern explain --help"),
    (["explain", "p.yaml", "LOOKUP", "a.test"], "write dns://a.test"),
    (["explain", "p.yaml", "CONNECT", "a.test:5432"], "write tcp://a.test:5432"),
    (["explain", "p.yaml", "GET", "/v1"], "write https://HOST/v1"),
    (["explain", "p.yaml", "https://a.test", "GET"], "the method comes before the URL"),
    (["--allow-net=a.test", "app.mjs"], "the command comes first: postern run --allow-net=a.test FILE"),
    (["run", "--alow-net=a.test", "app.mjs"], "there is no option --alow-net; did you mean --allow-net?"),
    (["run", "--timout", "5s", "app.mjs"], "did you mean --timeout?"),
    (["serve", "--lissten=80"], "did you mean --listen?"),
    (["doctor", "--josn"], "did you mean --json?"),
    (["run", "-json", "app.mjs"], "did you mean --json?"),
    (["run", "--zzzzzzzz", "app.mjs"], "there is no option --zzzzzzzz; see postern run --help"),
    (["run", "--allow-net", "example.test", "app.mjs"], 'write --allow-net=example.test: without "=" it grants every public address'),
    (["run", "--allow-net", "https://example.test/x", "app.mjs"], "write --allow-net=https://example.test/x"),
    (["run", "--allow-net", "localhost", "app.mjs"], "write --allow-net=localhost"),
    (["run", "--allow-net", "a.test,b.test", "app.mjs"], "write --allow-net=a.test,b.test"),
    (["eval", "--allow-net", "example.test:443", "1"], "write --allow-net=example.test:443"),
    (["run", "--allow-net=a.test,", "app.mjs"], "one of the values in --allow-net=a.test, is empty"),
    (["run", "--deny-net=a.test,,b.test", "app.mjs"], "is empty"),
    (["run", "--json=maybe", "app.mjs"], '--json takes no value; leave out "=maybe"'),
    (["run", "--verbose=no", "app.mjs"], "--verbose takes no value"),
    (["run", "--memory=128", "app.mjs"], "memory is at least 16MiB, not 128 bytes; did you mean 128MiB?"),
    (["run", "--memory=1", "app.mjs"], "memory is at least 16MiB, not 1"),
    (["run", "--mount=data:/d:rwx", "app.mjs"], '"rwx" is neither ro nor rw'),
    (["run", "--mount=data:/d:rw,z", "app.mjs"], '"rw,z" is neither ro nor rw'),
    (["run", "--mount=data:/d:ro:z", "app.mjs"], '"z" is neither ro nor rw'),
    (["run", "--mount=data:/d:", "app.mjs"], "nothing stands behind the last colon"),
    (["run", "--mount=:/d", "app.mjs"], "there is no directory"),
    (["run", "--mount=data:d", "app.mjs"], "an absolute path for the guest"),
    (["run", "--allow-net=all", "app.mjs"], "write * for every public address (or --allow-net alone), all:PORT for a host of that name"),
    (["run", "--allow-net=true", "app.mjs"], "write * for every public address (or --allow-net alone)"),
    (["run", "--allow-net=yes", "app.mjs"], "write * for every public address (or --allow-net alone)"),
    (["run", "--allow-net=none", "app.mjs"], "leave it out for no network"),
    (["run", "--deny-net=All", "app.mjs"], "write * for every public address"),
    (["run", "--allow-net=a.test:80,443", "app.mjs"], "--allow-net: each port has its host: write a.test:80,a.test:443"),
    (["run", "--deny-net=a.test:80,443", "app.mjs"], "--deny-net: each port has its host: write a.test:80,a.test:443"),
    (["run", "--allow-net=443", "app.mjs"], 'rule "443": a port stands behind a host, as in a.example:443'),
    (["eval", "--secret=KEY@443", "1"], "a port stands behind a host"),
    (["run", "--memory", "app.mjs"], "--memory has taken app.mjs as its value; write --memory=VALUE before it"),
    (["run", "--policy", "p.yaml", "--env", "nothere.ts"], "--env has taken nothere.ts as its value"),
    (["run", "--mount", "-"], "--mount has taken - as its value"),
    (["run", "--policy", "p.yaml"], "FILE is required; p.yaml is the value of --policy"),
    (["run"], "FILE is required; see postern run --help"),
    (["eval", "--timeout", "f(1)"], "--timeout has taken f(1) as its value"),
    (["eval", "--timeout", "5s"], "CODE is required; 5s is the value of --timeout"),
    (["run", "--memory"], "--memory has no value; see postern run --help"),
    (["run", "--memory", "--json", "app.mjs"], "--memory has no value; see postern run --help"),
    (["run", "--port=80", "app.mjs"], "a program answers requests under postern serve --handler=FILE --listen=PORT"),
    (["run", "--listen=80", "app.mjs"], "there is no option --listen; a program answers requests under postern serve --handler=FILE --listen=PORT"),
    (["eval", "--host=0.0.0.0", "1"], "under postern serve --handler=FILE --listen=PORT"),
    (["serve", "--host=0.0.0.0"], "write --listen=HOST:PORT"),
    (["run", "--guests=2", "app.mjs"], "there is no option --guests; it is one of postern serve"),
    (["doctor", "--allow-net"], "there is no option --allow-net; it is one of postern run"),
    (["serve", "--json", "--listen=1"], "the API answers in JSON; postern run --json prints it"),
    (["serve", "--grace=1s", "--listen=1"], "--drain-timeout=25s is what runs have when it stops"),
    (["serve", "--network-report", "--listen=1"], "postern run --network-report reports what a program asks for"),
    (["serve", "--cwd=/", "--socket=s"], "--cwd is for --handler=FILE, which is not given"),
    (["serve", "--guests=2", "--socket=s"], "--guests is for --handler=FILE, which is not given"),
    (["serve", "--handler-timeout=2s", "--socket=s"], "--handler-timeout is for --handler=FILE"),
    (["serve", "--handler=app.mjs", "--listen=1", "--token-file=t"], "--token-file is for runs over TCP"),
    (["run", "--input-type=module", "app.mjs"], "write --ext=mjs"),
    (["run", "--max-heap-size=1", "app.mjs"], "write --memory=128MiB"),
    (["run", "--experimental-strip-types", "app.mjs"], "types are taken out and not checked; leave it out"),
    (["run", "--enable-source-maps", "app.mjs"], "source maps are used; leave it out"),
    (["run", "--conditions=dev", "app.mjs"], "modules are found as Node.js finds them by default"),
    (["run", "--quiet", "app.mjs"], "Postern says nothing of its own unless something fails"),
    (["run", "--log-level=debug", "app.mjs"], "write --verbose for a line a request"),
    (["run", "--no-net", "app.mjs"], "a guest has no network that no --allow-net gives"),
    (["run", "--offline", "app.mjs"], "a guest has no network that no --allow-net gives"),
    (["run", "--config=deno.json", "app.mjs"], "package.json and tsconfig.json beside the program are read"),
    (["run", "--import-map=m.json", "app.mjs"], 'write "imports" of package.json'),
    (["run", "--name=x", "app.mjs"], "a run has no name"),
    (["run", "--entrypoint=x", "app.mjs"], "name the program: postern run FILE"),
    (["run", "--no-prompt", "app.mjs"], "no permission that no flag gives"),
    (["run", "-v.:/x", "app.mjs"], "write --mount=HOST:GUEST for a directory"),
    (["run", "-p8080:80", "app.mjs"], "postern serve --handler=FILE --listen=PORT"),
    (["run", "-m512m", "app.mjs"], "there is no option -m512m; write --memory=128MiB"),
    (["run", "-eA=1", "app.mjs"], "write --env=NAME[=VALUE] for a variable"),
    (["run", "--test", "app.mjs"], "a guest has no test runner"),
    (["run", "--trace", "app.mjs"], "there is no option --trace; see postern run --help"),
    (["run", "-c", "1"], "write postern eval CODE"),
    (["run", "--ca=c.pem", "app.mjs"], "write network: {tls: {ca_file: FILE}} in a policy"),
    (["run", "--cert=c.pem", "app.mjs"], "write tls: {certificate: FILE, key: FILE} in a rule of a policy"),
    (["run", "-k", "app.mjs"], "certificates are always checked"),
    (["run", "--experimental-vm-modules", "app.mjs"], "what a guest has does not depend on it"),
    (["run", "--require=./x.js", "app.mjs"], 'there is no layer "./x.js"; see postern doctor (a module is imported by the program)'),
    (["run", "--mem=64MiB", "app.mjs"], "did you mean --memory?"),
    (["run", "--time=5s", "app.mjs"], "there is no option --time; see postern run --help"),
    (["run", "--server=unix:s", "--verbose", "app.mjs"], "lines of requests are printed by postern serve --verbose; leave it out with --server"),
    (["run", "--server=unix:s", "--require=seccomp", "app.mjs"], "leave it out with --server"),
])
def test_a_slip_is_answered(here, words, said):
    done = type_in(here, *words)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert said in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("file, said", [
    ("file://HERE/app.mjs", "; write its path: HERE/app.mjs"), ("file://HERE/a%20b.mjs", "; write its path: HERE/a b.mjs"), ("file://x", "No such file or directory\n"),
    ("https://example.test/x.mjs", "; nothing is run over the network: fetch it, and name the file"), ("npm:cowsay", "; install it (npm install cowsay), and name its directory in node_modules"),
    ("console.log(1)", "; code is run by: postern eval CODE"), ("app", "; did you mean app.mjs?"), ("nothere.mjs", "cannot read nothere.mjs: No such file or directory\n"),
])
@pytest.mark.parametrize("how", [["run"], ["serve", "--listen=127.0.0.1:0", "--handler"]])
def test_a_file_that_is_none(here, how, file, said):
    done = type_in(here, *how, file.replace("HERE", str(here)))
    assert (done.returncode, done.stdout) == (3, "") and done.stderr.endswith(said.replace("HERE", str(here)).rstrip("\n") + "\n"), done.stderr


@pytest.mark.parametrize("words, same", [(["help"], ["--help"]), (["help", "run"], ["run", "--help"]), (["version"], ["--version"]), (["-v"], ["--version"])])
def test_other_ways_to_ask(here, words, same):
    done = type_in(here, *words)
    assert done.returncode == 0 and done.stdout == type_in(here, *same).stdout != ""


def test_help_shows_arguments_defaults_and_examples(here):
    text = type_in(here, "run", "--help").stdout
    for part in ("FILE [ARGS...]", "(default 128MiB)", "(default 5m)", "Examples:", "postern run app.mjs"):
        assert part in text


@pytest.mark.parametrize("words, out, err", [
    (["run", "--allow-net", "app.mjs", "a"], "a", ""),
    (["run", "app.mjs", "--", "-x"], "--,-x", ""),
    (["run", "--", "app.mjs", "--allow-net=x"], "--allow-net=x", ""),
    (["run", "--", "--odd.mjs"], "odd", ""),
    (["eval", "--allow-net", "Object.name"], "Object", ""),
    (["run", "app.mjs", "--allow-net=x"], "--allow-net=x", "--allow-net=x is the program's: options of postern stand before it"),
    (["run", "app.mjs", "--port", "80"], "--port,80", ""),
    (["run", "--allow-net=localhost,db,redis,all:80,http://any,10.0.0.1,*", "--deny-net=db:5432,true:1", "app.mjs"], "", ""),
    (["eval", "--mount=data", "--cwd=data", "process.cwd().split('/').pop() + require('fs').readdirSync('.')"], "datax.txt", ""),
    (["eval", "--mount=data:rw", "--cwd=data", "require('fs').writeFileSync('y', ''); 1"], "1", ""),
    (["eval", "--mount=data:/d:ro", "require('fs').readdirSync('/d').join()"], "x.txt", ""),
    (["eval", "--mount=data:/d:ro", "try { require('fs').writeFileSync('/d/y', '') } catch (e) { e.code }"], "EACCES", ""),
])
def test_what_is_meant(here, words, out, err):
    done = type_in(here, *words)
    assert (done.returncode, done.stdout.strip()) == (0, out), done.stderr
    assert err in done.stderr and bool(err) == bool(done.stderr)


@pytest.mark.parametrize("network, said", [
    ("{rules: [{allow: a.test}]}", "its rules grant nothing without network.permission: allow"),
    ("{permission: deny, rules: [{allow: a.test}]}", "its rules grant nothing without network.permission: allow"),
    ("{permission: allow}", "its permission grants nothing without a rule that allows something"),
    ("{permission: allow, rules: [{deny: a.test}]}", "its permission grants nothing without a rule that allows something"),
    ("{permission: allow, rules: [{allow: a.test}]}", ""),
    ("{permission: deny}", ""),
    ("{permission: allow, mode: report}", ""),
])
def test_check_warns_of_a_policy_that_grants_nothing(here, network, said):
    (here / "p.yaml").write_text(f"version: 1\nnetwork: {network}\n")
    done = type_in(here, "check", "p.yaml")
    assert done.returncode == 0 and done.stdout.startswith("p.yaml: ok")
    assert said in done.stderr and bool(said) == bool(done.stderr)


@pytest.mark.parametrize("policy, said", [
    ("network: {rules: [{allow: [a.test, b.test]}]}", "a rule must be a single value; write a rule for each, as in rules: [{allow: a.example}, {allow: b.example}]"),
    ("network: {rules: [{deny: [a.test]}]}", "write a rule for each"),
    ("network: allow", "network must be a mapping; as in network: {permission: allow, rules: [{allow: api.example.com}]}"),
    ("network: {rules: a.test}", "rules must be a list; as in rules: [{allow: api.example.com}]"),
    ("network: {rules: [a.test]}", "a rule must be a mapping; as in - {allow: api.example.com}"),
    ("network: {rules: [{allow: a.test, methods: GET}]}", "methods must be a list; as in methods: [GET, HEAD]"),
    ("network: {rules: [{allow: a.test, headers: [a]}]}", "headers must be a mapping; as in headers: {x-client: postern}"),
    ("network: {adapter: proxy}", 'adapter must be one of none, direct, not "proxy"; as in adapter: {proxy: "http://proxy.example:3128"}'),
    ("mounts: [./data]", "a mount must be a mapping; as in - {host: ./data, guest: /data}"), ("mounts: {host: ./data}", "mounts must be a list; as in mounts: [{host: ./data, guest: /data}]"),
    ("secrets: [KEY]", "secrets must be a mapping; as in secrets: {API_KEY: {env: API_KEY}}"), ("env: [A=1]", "env must be a mapping; as in env: {NAME: value}"),
    ("limits: 5s", "limits must be a mapping; as in limits: {memory: 128MiB}"), ("audit: x.log", "audit must be a mapping; as in audit: {file: audit.jsonl}"),
    ("network: {dns: 127.0.0.1}", "dns must be a mapping; as in dns: {servers: [127.0.0.1]}"), ("grace: 1s", 'unknown key "grace" in the policy; it belongs in limits'),
])
def test_a_policy_s_form_is_shown(here, policy, said):
    (here / "p.yaml").write_text(f"version: 1\n{policy}\n")
    done = type_in(here, "check", "p.yaml")
    assert (done.returncode, done.stdout) == (3, "") and said in done.stderr, done.stderr


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "allow\n", "- a.test\n"])
def test_a_policy_that_is_no_mapping(here, text):
    (here / "p.yaml").write_text(text)
    done = type_in(here, "check", "p.yaml")
    assert done.returncode == 3 and 'the policy must be a mapping; it begins with "version: 1"' in done.stderr


def test_the_forms_that_are_shown_are_right(here):
    """Each stands in policy/file/yaml_reader.cc, and is taken at its place."""
    source = (ROOT / "policy" / "file" / "yaml_reader.cc").read_text().split("kForms[] = {")[1].split("};")[0]
    forms = dict(re.findall(r'\{"([a-z_ ]+)",\s*"((?:[^"\\]|\\.)*)"\}', source))
    assert len(forms) > 18
    rule = {"methods", "paths", "headers", "secrets_in", "pins"}
    inside = {"servers": "dns: {%s}", "hosts": "dns: {%s}"}
    for name, form in forms.items():
        form = re.split(r" or |, and ", form.replace('\\"', '"'))[0].replace("sha256/…", "sha256/" + "A" * 43 + "=")
        if name in ("network", "audit", "secrets", "mounts", "env", "limits"):
            text = form
        elif name == "a rule":
            text = "network: {permission: allow, rules: [%s]}" % form.removeprefix("- ")
        elif name == "a mount":
            text = "mounts: [%s]" % form.removeprefix("- ")
        elif name == "a secret":
            text = "secrets: {%s}" % form
        elif name in rule | {"addresses"}:
            text = "network: {permission: allow, rules: [{allow: https://a.test, %s}]}" % {"pins": "tls: {%s}", "secrets_in": "secrets: [KEY], %s"}.get(name, "%s") % form
        else:
            text = "network: {permission: allow, %s%s}" % ("" if name == "rules" else "rules: [{allow: a.test}], ", inside.get(name, "%s") % form)
        (here / "ca.pem").write_text("")
        (here / "p.yaml").write_text("version: 1\n%s%s\n" % ("secrets: {KEY: {env: KEY}}\n" if name == "secrets_in" else "", text))
        done = type_in(here, "check", "p.yaml")
        assert done.returncode == 0 or "ca.pem" in done.stderr, (name, text, done.stderr)


def test_check_says_what_is_not_here(here):
    (here / "p.yaml").write_text("version: 1\nmounts: [{host: data, guest: /d}, {host: nothing, guest: /n}]\nnetwork: {permission: allow, adapter: {replay: no.har}, rules: [{allow: a.test}]}\n")
    done = type_in(here, "check", "p.yaml")
    assert done.returncode == 0 and "ok, 1 rule" in done.stdout
    assert "there is no directory" in done.stderr and "/nothing here, which mounts names" in done.stderr and "no.har here, which adapter names" in done.stderr and done.stderr.count("\n") == 2


def test_a_server_that_wants_a_token(here):
    (here / "tokens").write_text("me 0123456789abcdef0123456789abcdef\n")
    with subprocess.Popen([POSTERN, "serve", "--listen=127.0.0.1:0", f"--token-file={here}/tokens"], stderr=subprocess.PIPE, text=True) as server:
        try:
            where = next(line for line in server.stderr if "ready at" in line).split()[-1]
            done = type_in(here, "run", f"--server=http://{where}", "app.mjs")
            assert done.returncode == 125 and "the variable POSTERN_TOKEN gives one" in done.stderr, done.stderr
        finally:
            server.terminate()


@pytest.mark.parametrize("specifier, said", [
    ("npm:lodash@4", "npm install lodash@4, and import 'lodash'"), ("npm:@a/b@1/c", "npm install @a/b@1/c"), ("jsr:@std/x", "npx jsr add @std/x, and import '@std/x'"),
    ("https://esm.test/x", "nothing is imported over the network"), ("bun:test", "a module of another runtime"),
    ("@/lib/x.js", '"imports": {"#lib/x.js": "./src/lib/x.js"}'), ("~/x", "import the file by its relative path"),
])
@pytest.mark.parametrize("how", ["import", "require"])
def test_imports_of_other_runtimes_have_a_next_step(here, how, specifier, said):
    done = type_in(here, "eval", f"{how}({specifier!r})")
    assert done.returncode == 1 and said in done.stderr


@pytest.mark.parametrize("options, code, told", [
    (["--allow-net=127.0.0.1:1"], "await fetch('http://127.0.0.1:1/')", True), (["--allow-net=127.0.0.1:1", "--adapter=proxy:http://127.0.0.1:1"], "await fetch('http://127.0.0.1:1/')", False),
    (["--allow-net=127.0.0.1:1"], "await fetch('http://127.0.0.2:1/')", False), ([], "1", False),
])
def test_a_proxy_of_the_environment_that_is_not_used_is_named_where_it_matters(here, monkeypatch, options, code, told):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    done = type_in(here, "eval", *options, code)
    assert ("HTTPS_PROXY is set, and Postern does not follow it; write --adapter=proxy:URL" in done.stderr) == told


def test_a_pipe_is_named(here):
    os.mkfifo(here / "pipe")
    assert "pipe is a pipe, not a file; a program is read from one by: postern run - < pipe" in type_in(here, "run", "pipe").stderr


@unless_sanitized  # the sanitizers' own library wants /proc
def test_a_missing_proc_is_named(here):
    done = subprocess.run(["unshare", "-m", "sh", "-c", 'umount -l /proc && exec "$0" eval 1', POSTERN], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (125, "postern: /proc is not mounted here, and Postern needs it\n")


@pytest.mark.parametrize("mount, said", [
    ("data/x.txt", "cannot mount data/x.txt: Not a directory; what is mounted is a directory: --mount=data"), ("app.mjs", "what is mounted is a directory: --mount=."),
    ("~/x:/x", "cannot mount ~/x: No such file or directory; the shell leaves ~ as it is there: write $HOME"), ("type=bind,src=/a,dst=/b", "; write --mount=HOST:GUEST"), ("none", "cannot mount none: No such file or directory\n"),
])
def test_what_cannot_be_mounted(here, mount, said):
    done = type_in(here, "run", f"--mount={mount}", "app.mjs")
    assert (done.returncode, done.stdout) == (3, "") and done.stderr.endswith(said.rstrip("\n") + "\n"), done.stderr


def test_two_mounts_at_a_place(here):
    done = type_in(here, "eval", "--mount=data:/a", "--mount=.:/a:rw", "1")
    assert done.returncode == 3 and "two mounts are at /a; leave out one" in done.stderr


@pytest.mark.parametrize("options", [["--env=KEY"], ["--env=KEY=other"]])
def test_a_secret_is_no_variable_besides(here, monkeypatch, options):
    """Whoever writes both, by habit, gave the value to the guest."""
    monkeypatch.setenv("KEY", "abcdefgh12345678")
    for words in (["--secret=KEY@https://a.test", *options], [*options, "--secret=KEY@https://a.test"]):
        done = type_in(here, "eval", *words, "process.env.KEY")
        assert done.returncode == 3 and "KEY is a secret, for which the guest has a placeholder; leave out --env=KEY" in done.stderr
        assert "abcdefgh" not in done.stdout + done.stderr
    (here / "p.yaml").write_text("version: 1\nsecrets: {KEY: {env: KEY}}\nenv: {KEY: other}")
    assert type_in(here, "run", "--policy=p.yaml", "app.mjs").returncode == 3


def test_what_is_read_is_not_written_over(here):
    before = (here / "app.mjs").read_text()
    done = type_in(here, "run", "--record=app.mjs", "app.mjs")
    assert done.returncode == 3 and "would overwrite what this run reads" in done.stderr and (here / "app.mjs").read_text() == before
    assert type_in(here, "run", "--record=r.har", "app.mjs").returncode == 0
    before = (here / "r.har").read_text()
    done = type_in(here, "run", "--allow-net", "--record=r.har", "--adapter=replay:./r.har", "app.mjs")
    assert done.returncode == 3 and "would overwrite what this run reads" in done.stderr and (here / "r.har").read_text() == before
    done = type_in(here, "report", "r.har", "-o", "./r.har")
    assert done.returncode == 3 and "is what the report is made of" in done.stderr and (here / "r.har").read_text() == before
