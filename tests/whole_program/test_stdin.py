"""A guest's stdin: what Postern's user gives, when the guest reads it and not before; without a server and with one."""

import base64
import contextlib
import json
import os
import pty
import select
import signal
import subprocess

import pytest
from conftest import BUILD, POSTERN, our_processes
from server import Server, ask, until

NODE = BUILD / "lib" / "postern" / "node"

COUNT = "let n = 0; for await (const chunk of process.stdin) n += chunk.length; console.log(n);"


@pytest.fixture(params=["alone", "server"])
def command(request, tmp_path):
    """command(code, *options, **of_popen): such a program under way, with stdin a pipe where nothing else is said."""
    started = []
    with Server(tmp_path) if request.param == "server" else contextlib.nullcontext() as server:

        def start(code, *options, **more):
            file = tmp_path / "job.mjs"
            file.write_text(code)
            if server is not None:
                options = (f"--server=unix:{server.socket}", *options)
            more = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
            started.append(subprocess.Popen([POSTERN, "run", *options, str(file)], **more))
            return started[-1]

        yield start
        for process in started:
            assert process.wait(20) is not None
    until(lambda: our_processes() == [], our_processes)  # one that is killed takes the others with it, soon


def ran(process, given=None):
    out, err = process.communicate(given, timeout=30)
    return process.returncode, out.decode(errors="replace"), err.decode()


# What Node's users do with stdin, and Node gives the same.
WAYS = {
    "events": "process.stdin.setEncoding('utf8'); let all = ''; process.stdin.on('data', (c) => (all += c)).on('end', () => console.log(all));",
    "iteration": "const chunks = []; for await (const c of process.stdin) chunks.push(c); console.log(Buffer.concat(chunks).toString());",
    "readable": "process.stdin.on('readable', () => { for (let c; (c = process.stdin.read()) !== null;) process.stdout.write(c); });",
    "pipe": "process.stdin.pipe(process.stdout);",
    "web": "import { Readable } from 'node:stream'; let n = 0; for await (const c of Readable.toWeb(process.stdin)) n += c.length; console.log(n);",
    "consumer": "import { text } from 'node:stream/consumers'; console.log(await text(process.stdin));",
    "descriptor": "import fs from 'node:fs'; console.log(fs.readFileSync(0, 'utf8'));",
    "path": "import fs from 'node:fs'; console.log(fs.readFileSync('/dev/stdin', 'utf8'));",
    "promise": "import fs from 'node:fs/promises'; console.log(await fs.readFile('/dev/stdin', 'utf8'));",
    "pieces": "import fs from 'node:fs'; const b = Buffer.alloc(3); for (let n; (n = fs.readSync(0, b)) > 0;) console.log(n, b.toString('latin1', 0, n));",
    "opened": "import fs from 'node:fs'; const fd = fs.openSync('/dev/stdin'); const b = Buffer.alloc(5); console.log(fs.readSync(fd, b, 1, 3), b); fs.closeSync(fd);",
    "callback": "import fs from 'node:fs'; const b = Buffer.alloc(4); fs.read(0, b, 1, 2, null, (e, n, same) => console.log(e, n, b, same === b)); console.log('first');",
    "stream": "import fs from 'node:fs'; for await (const c of fs.createReadStream('/dev/stdin', 'utf8')) console.log(c);",
    "once": "process.stdin.once('data', (c) => { console.log(String(c)); process.stdin.pause(); }); process.stdin.on('pause', () => console.log('paused'));",
    "destroyed": "process.stdin.once('data', () => process.stdin.destroy()).on('close', () => console.log('closed'));",
    "lines": "import rl from 'node:readline'; for await (const line of rl.createInterface({ input: process.stdin })) console.log([line]);",
    "question": "import rl from 'node:readline/promises'; const r = rl.createInterface({ input: process.stdin, output: process.stdout }); console.log(await r.question('? ')); r.close();",
    "kinds": "import fs from 'node:fs'; const s = fs.fstatSync(0); console.log(s.isFIFO(), s.isFile(), Boolean(process.stdin.isTTY), process.stdin.fd);",
    "written": "import fs from 'node:fs'; fs.writeFileSync('/dev/stdout', 'a'); fs.writeSync(1, Buffer.from('xbc'), 1, 2); fs.appendFileSync(1, 'd\\n');",
    "closed": "import fs from 'node:fs'; try { fs.readSync(999, Buffer.alloc(1)); } catch (error) { console.log(error.code); }",
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_stdin_is_read_as_in_node(command, tmp_path, way):
    given = "première\nzweite\n".encode()
    process = command(WAYS[way])
    node = subprocess.run([NODE, tmp_path / "job.mjs"], input=given, capture_output=True, timeout=30)
    assert ran(process, given) == (0, node.stdout.decode(), ""), node.stderr


@pytest.mark.parametrize("way", ["iteration", "descriptor", "stream"])
def test_stdin_that_is_at_its_end(command, tmp_path, way):
    code = WAYS[way]
    assert ran(command(code, stdin=subprocess.DEVNULL)) == ran(command(code), b"")
    assert ran(command(COUNT, stdin=subprocess.DEVNULL)) == (0, "0\n", "")


def test_stdin_of_any_size(command, tmp_path):
    big = tmp_path / "big"
    big.write_bytes(os.urandom(20_000_000))
    with open(big, "rb") as file:
        assert ran(command(COUNT, stdin=file)) == (0, "20000000\n", "")
    code = "import { createHash } from 'node:crypto'; const h = createHash('md5'); for await (const c of process.stdin) h.update(c); console.log(h.digest('hex'))"
    with subprocess.Popen(["cat", big], stdout=subprocess.PIPE) as cat:
        given = ran(command(code, stdin=cat.stdout))
    assert given[1].strip() == subprocess.run(["md5sum", big], capture_output=True, text=True).stdout.split()[0]


def test_stdin_comes_as_it_is_given(command):
    run = command("for await (const chunk of process.stdin) console.log(`got ${chunk}`);")
    for word in (b"one", b"two"):
        run.stdin.write(word)
        run.stdin.flush()
        assert run.stdout.readline() == b"got " + word + b"\n"
    run.stdin.close()
    assert run.wait(10) == 0


def test_timers_go_on_while_stdin_is_silent(command):
    run = command("process.stdin.on('data', () => {}); let n = 0; setInterval(() => console.log(n++), 10);")
    assert [run.stdout.readline() for _ in range(3)] == [b"0\n", b"1\n", b"2\n"]
    run.stdin.close()
    run.terminate()


@pytest.mark.parametrize("code", ["", "process.stdin; await 0;", "process.stdin.on('end', () => {});",
                                  "process.stdin.on('data', () => {}).unref();"])  # fmt: skip
def test_stdin_that_nobody_reads_keeps_no_run(command, code):
    run = command(code + "console.log('done')")
    assert run.stdout.readline() == b"done\n"
    assert run.wait(10) == 0  # with its stdin open
    run.stdin.close()


@pytest.mark.parametrize("end", ["destroy()", "unref()"])  # pause() takes one more piece, in Node too
def test_stdin_of_which_a_run_has_enough(command, end):
    run = command(f"process.stdin.on('data', (c) => {{ console.log(String(c)); process.stdin.{end}; }})")
    run.stdin.write(b"word")
    run.stdin.flush()
    assert run.stdout.readline() == b"word\n"
    assert run.wait(10) == 0  # with its stdin open
    run.stdin.close()


def test_stdin_that_is_not_read_is_left_to_others(command, tmp_path):
    """In a shell's loop over lines, say."""
    lines = tmp_path / "lines"
    lines.write_text("one\ntwo\n")
    with open(lines) as file:
        assert ran(command("console.log('no reader')", stdin=file))[0] == 0
        assert file.read() == "one\ntwo\n"
    reader, writer = os.pipe()
    os.write(writer, b"kept")
    assert ran(command("process.stdin.pause(); console.log(process.stdin.isTTY)", stdin=reader))[0] == 0
    assert os.read(reader, 100) == b"kept"
    os.close(writer), os.close(reader)


@pytest.mark.parametrize("kind", ["pipe", "terminal"])
def test_stdin_is_shared_with_others_and_stays_blocking(command, kind):
    reader, writer = os.pipe() if kind == "pipe" else reversed(os.openpty())
    run = command("process.stdin.once('data', (c) => { console.log(`${c}`.trim()); setInterval(() => {}, 1000) })", stdin=reader)
    os.write(writer, b"word\n")
    assert run.stdout.readline() == b"word\n"
    assert os.get_blocking(reader)
    run.terminate()
    run.wait(10)
    assert os.get_blocking(reader)
    os.close(writer), os.close(reader)


def test_a_program_that_is_read_from_stdin_has_none_left(tmp_path):
    for code in (COUNT, "import fs from 'node:fs'; console.log(fs.readFileSync(0).length)"):
        done = subprocess.run([POSTERN, "run", "-"], input=code, capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


def test_eval_reads_stdin_too():
    done = subprocess.run([POSTERN, "eval", "require('fs').readFileSync(0, 'utf8').toUpperCase()"], input="word", capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "WORD\n"), done.stderr


def test_json_results_with_stdin(command):
    status, out, _ = ran(command("import fs from 'node:fs'; console.log('printed'); console.error('e'); __return(fs.readFileSync(0, 'utf8'))", "--json"), b"given")
    outcome = json.loads(out)
    assert (status, outcome["value"], outcome["stdout"], outcome["stderr"]) == (0, "given", "printed\n", "e\n")


@pytest.mark.parametrize("waits", ["for await (const c of process.stdin);", "(await import('node:fs')).readFileSync(0);"])
def test_waiting_for_stdin_has_the_runs_time_limit(command, waits):
    run = command(waits, "--timeout=500ms")
    assert run.wait(20) == 124
    run.stdin.close()


def test_a_guest_that_ends_before_its_stdin_does(command):
    run = command("process.stdin.once('data', () => process.exit(7))")
    with contextlib.suppress(BrokenPipeError):
        run.stdin.write(b"x" * 10_000_000)
        run.stdin.close()
    assert run.wait(10) == 7


def test_a_guest_that_reads_slowly_makes_its_giver_wait(command):
    run = command("process.stdin.once('data', () => process.stdin.pause()); setInterval(() => {}, 1000)")
    os.set_blocking(run.stdin.fileno(), False)
    given = 0
    with contextlib.suppress(BlockingIOError):  # nothing takes more, and nothing grows
        while given < 100_000_000:
            given += os.write(run.stdin.fileno(), b"x" * 65536)
    assert given < 20_000_000
    run.kill()
    run.stdin.close()


def test_output_is_bytes(command):
    code = "process.stdout.write(new Uint8Array([255, 0, 254])); process.stdout.write('ff80', 'hex'); process.stdout.write('é', 'latin1'); process.stdout.write('é')"
    out, err = command(code).communicate(timeout=20)
    assert (out, err) == (b"\xff\x00\xfe\xff\x80\xe9\xc3\xa9", b"")


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]])
def test_standard_descriptors_that_are_closed(tmp_path, closed):
    """Nothing of Postern's own takes their places: what a guest prints would go there."""
    file = tmp_path / "job.mjs"
    file.write_text("import fs from 'node:fs'; console.log('x'.repeat(1000)); console.error('e'); process.exit(fs.readFileSync(0).length)")

    def close():
        for fd in closed:
            os.close(fd)

    done = subprocess.run([POSTERN, "run", str(file)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=close, timeout=30)
    assert done.returncode == 0, done
    assert done.stdout == (b"" if 1 in closed else b"x" * 1000 + b"\n") and done.stderr == (b"" if 2 in closed else b"e\n")


# ---- the run API


@pytest.fixture
def server(tmp_path):
    with Server(tmp_path) as s:
        yield s
    assert our_processes() == []


READ = "import fs from 'node:fs'; __return(fs.readFileSync(0, 'latin1'))"


def test_stdin_in_the_request(server):
    assert server.outcome({"code": READ, "stdin": "a€"})["value"] == "a€".encode().decode("latin1")
    assert server.outcome({"code": READ, "stdin": {"base64": base64.b64encode(b"\xff\x00").decode()}})["value"] == "\xff\x00"
    for none in ({}, {"stdin": ""}, {"stdin": False}):
        assert server.outcome({"code": READ, **none})["value"] == ""
    assert server.outcome({"code": "__return(1)", "stdin": "x" * 1_000_000})["value"] == 1
    assert len(server.outcome({"code": READ, "stdin": "x" * 5_000_000})["value"]) == 5_000_000


@pytest.mark.parametrize("wrong", [{"stdin": 1}, {"stdin": None}, {"stdin": {"base64": "?"}}, {"stdin": {}}, {"console": "file"}])
def test_stdin_that_is_none(server, wrong):
    answer = server.run({"code": "1", **wrong})
    assert (answer.status, answer.json["code"]) == (400, "bad_request")


def submit(server, code):
    return server.run({"code": code, "stdin": True, "wait": False}).json["id"]


def feed(server, run, piece=b"", query=""):
    answer = server.ask("POST", f"/v1/runs/{run}/stdin{query}", piece, {"content-type": "application/octet-stream"})
    return (204, None) if answer.status == 204 else (answer.status, answer.json["code"])


def ended(server, run):
    until(lambda: server.ask("GET", "/v1/runs/" + run).json["state"] == "ended", "it does not end")
    return server.ask("GET", "/v1/runs/" + run).json["outcome"]


def test_stdin_piece_by_piece(server):
    run = submit(server, READ)
    for piece in (b"one ", b"", b"two"):
        assert feed(server, run, piece) == (204, None)
    assert feed(server, run, b".", "?last=true") == (204, None)
    assert ended(server, run)["value"] == "one two."
    assert feed(server, run, b"x") == (409, "stdin_busy")


def test_stdin_that_a_run_does_not_take(server):
    run = submit(server, "process.stdin.once('data', () => process.exit(3))")
    assert feed(server, run, b"x" * ((1 << 20) + 1)) == (413, "body_too_large")
    while (answer := feed(server, run, b"x" * (1 << 20))) == (204, None):
        pass
    assert answer == (409, "stdin_closed")
    assert ended(server, run)["exitCode"] == 3
    assert feed(server, run, b"more") == (409, "stdin_closed")
    without = server.run({"code": "setInterval(() => {}, 1000)", "wait": False}).json["id"]
    assert feed(server, without, b"x") == (409, "no_stdin")
    assert server.ask("DELETE", "/v1/runs/" + without).status == 204
    assert feed(server, "0" * 16, b"x") == (404, "no_such_run")
    other = submit(server, "setInterval(() => {}, 1000)")
    assert feed(server, other, b"", "?end=1") == (400, "bad_request")
    assert server.ask("GET", f"/v1/runs/{other}/stdin").status == 405
    with server.connection() as waits, server.connection() as second:
        waits.request("POST", f"/v1/runs/{other}/stdin", b"never read")
        until(lambda: ask(second, "POST", f"/v1/runs/{other}/stdin", b"y").status == 409, "nothing is under way")
        assert server.ask("DELETE", "/v1/runs/" + other).status == 204
        answer = waits.getresponse()
        assert (answer.status, json.loads(answer.read())["code"]) == (409, "stdin_closed")


def test_events_say_when_stdin_is_read(server):
    asked = {"code": "console.log('before'); const c = []; for await (const x of process.stdin) c.push(x); __return(String(c[0]))", "stdin": True}
    with server.connection() as c:
        c.request("POST", "/v1/runs", json.dumps(asked), {"content-type": "application/json", "accept": "text/event-stream"})
        answer = c.getresponse()
        seen = b""
        while b"event: stdin\ndata: {}\n" not in seen:
            line = answer.readline()
            assert line, seen
            seen += line
        run = json.loads(seen.split(b"data: ")[1].split(b"\n")[0])["id"]
        assert feed(server, run, b"given", "?last=true") == (204, None)
        assert json.loads(answer.read().split(b"event: outcome\ndata: ")[1])["value"] == "given"


def test_a_server_that_is_lost_while_a_run_reads(tmp_path):
    with Server(tmp_path) as server:
        file = tmp_path / "job.mjs"
        file.write_text("console.log('up'); for await (const c of process.stdin);")
        run = subprocess.Popen([POSTERN, "run", f"--server=unix:{server.socket}", str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
        assert run.stdout.readline() == b"up\n"
        server.process.send_signal(signal.SIGKILL)
        assert run.wait(10) == 125 and b"the server was lost" in run.stderr.read()
        run.stdin.close()
    until(lambda: our_processes() == [], our_processes)


# ---- on a terminal


def test_a_reader_that_is_closed_while_it_reads_lets_the_run_end(command):
    """What it was given last makes it close, and its giver stays."""
    run = command("import rl from 'node:readline'; const r = rl.createInterface({ input: process.stdin }); r.on('line', () => r.close()); process.stdin.once('data', () => {});")
    run.stdin.write(b"one\n")
    run.stdin.flush()
    assert run.wait(10) == 0
    run.stdin.close()


ASKS = {
    "promises": "import rl from 'node:readline/promises'; const r = rl.createInterface({ input: process.stdin, output: process.stdout }); console.log('hi ' + (await r.question('name? ')) + (await r.question('and? '))); r.close();",
    "callbacks": "import { Interface } from 'node:readline'; const r = new Interface(process.stdin, process.stdout); r.question('name? ', (a) => r.question('and? ', (b) => { console.log('hi ' + a + b); r.close(); }));",
    "lines": "import rl from 'node:readline'; const r = rl.createInterface({ input: process.stdin, output: process.stdout, prompt: 'name? ' }), all = []; r.prompt(); for await (const line of r) { all.push(line); if (all.length === 2) break; r.setPrompt('and? '); r.prompt(); } console.log('hi ' + all.join('')); r.close();",
}  # fmt: skip


@pytest.mark.parametrize("way", ASKS)
def test_an_answer_on_a_terminal_is_seen_once(tmp_path, way):
    file = tmp_path / "ask.mjs"
    file.write_text(ASKS[way])
    ours, theirs = pty.openpty()
    run = subprocess.Popen([POSTERN, "run", file], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    for wanted, answer in ((b"name? ", b"bob\n"), (b"and? ", b"by\n"), (b"hi bobby\r\n", b"")):
        while wanted not in seen:
            assert select.select([ours], [], [], 20)[0], seen
            seen += os.read(ours, 4096)
        os.write(ours, answer)
    assert run.wait(20) == 0
    os.close(ours)
    assert seen.count(b"bob\r\n") == 1 and seen.count(b"by\r\n") == 2, seen
