"""Signals and what programs look up in `process`."""

import os
import select
import signal
import subprocess
import time

import pytest
from conftest import POSTERN
from test_node_modules import NODE, same_as_node

LISTENS = """
const keeps = setInterval(() => {}, 1000);
for (const name of ['SIGTERM', 'SIGINT'])
  process.on(name, (...args) => { console.log(...args); if (process.argv[2] === 'ends') { clearInterval(keeps); setTimeout(() => console.log('saved'), 20); } if (process.argv[2] === 'exits') process.exit(7); if (process.argv[2] === 'throws') throw new Error('of the listener'); if (process.argv[2] === 'spins') for (;;); });
console.log('ready');
"""


class Guest:
    def __init__(self, tmp_path, code, *options, args=()):
        (tmp_path / "job.mjs").write_text(code)
        self.process = subprocess.Popen([POSTERN, "run", *options, tmp_path / "job.mjs", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.out = b""

    def until(self, text):
        end = time.monotonic() + 30
        while text not in self.out:
            assert select.select([self.process.stdout], [], [], end - time.monotonic())[0], self.out
            piece = os.read(self.process.stdout.fileno(), 4096)
            assert piece, (self.out, self.process.stderr.read())
            self.out += piece
        return self

    def send(self, number):
        self.process.send_signal(number)
        return self

    def end(self):
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, (self.out + out).decode().splitlines()[1:], err.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("does,status,rest", [("ends", 0, ["saved"]), ("exits", 7, [])])
def test_a_listener_has_time(tmp_path, number, does, status, rest):
    told = f"{number.name} {number.value}"
    assert Guest(tmp_path, LISTENS, "--grace=20s", args=[does]).until(b"ready").send(number).end() == (status, [told, *rest], "")


def test_what_a_listener_throws_is_the_run_s_error(tmp_path):
    status, out, err = Guest(tmp_path, LISTENS, args=["throws"]).until(b"ready").send(signal.SIGTERM).end()
    assert (status, out) == (1, ["SIGTERM 15"]) and "Error: of the listener" in err


@pytest.mark.parametrize("does", ["nothing", "spins"])
def test_the_grace_ends(tmp_path, does):
    status, out, err = Guest(tmp_path, LISTENS, "--grace=300ms", args=[does]).until(b"ready").send(signal.SIGTERM).end()
    assert (status, out, err) == (143, ["SIGTERM 15"], "postern: terminated, and did not end within 300ms (--grace)\n")


def test_the_second_signal_ends_it(tmp_path):
    guest = Guest(tmp_path, LISTENS, "--grace=1h").until(b"ready").send(signal.SIGTERM).until(b"SIGTERM 15").send(signal.SIGINT)
    assert guest.end() == (130, ["SIGTERM 15"], "postern: interrupted\n")


@pytest.mark.parametrize("code,options", [
    ("setInterval(() => {}, 1000); console.log('ready');", ()),
    ("process.on('SIGINT', () => {}); process.on('SIGHUP', () => {}); setInterval(() => {}, 1000); console.log('ready');", ()),
    ("process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('ready');", ("--grace=0s",)),
    ("process.on('SIGTERM', () => {}); console.log('ready'); for (;;);", ("--grace=0ms",)),
])  # fmt: skip
def test_who_does_not_listen_ends_at_once(tmp_path, code, options):
    assert Guest(tmp_path, code, *options).until(b"ready").send(signal.SIGTERM).end() == (143, [], "postern: terminated\n")


def test_one_that_listens_no_more_ends_as_a_shell_shows_it(tmp_path):
    code = "const f = () => {}; process.on('SIGTERM', f); process.off('SIGTERM', f); process.once('SIGINT', f); setInterval(() => {}, 1000); console.log('ready');"
    assert Guest(tmp_path, code).until(b"ready").send(signal.SIGTERM).end()[:2] == (143, [])


def test_a_listener_keeps_nothing_going_and_reads_stdin_besides(postern):
    code = """
      process.on('SIGTERM', () => {});
      let all = '';
      for await (const piece of process.stdin) all += piece;
      process.on('SIGINT', () => {});
      __return(all);"""
    assert postern(code, stdin="given").value == "given"


def test_a_guest_that_says_a_lot_is_heard(postern):
    """Listeners that come and go say nothing anew."""
    code = "const f = () => {}; for (let i = 0; i < 300_000; i++) { process.on('SIGTERM', f); process.off('SIGTERM', f); } __return('fine');"
    assert postern(code).value == "fine"


KILL = """
const all = [], at = (...args) => { try { all.push(process.kill(...args)); } catch (e) { all.push([e.name, e.code, e.message, e.errno, e.syscall]); } };
at(process.pid, 0); at('x'); at(undefined); at(1.5); at(process.pid, 'SIGNOT'); at(process.pid, 'sigterm'); at(process.pid, 999); at(process.pid, -1); at(4194305, 0); at(4194305);
const told = [];
for (const name of ['SIGUSR2', 'SIGTERM', 'SIGHUP', 'SIGWINCH']) process.on(name, (...args) => told.push(args));
at(process.pid, 'SIGUSR2'); at(`${process.pid}`, 'SIGTERM'); at(process.pid); at(process.pid, 1); at(process.pid, 'SIGWINCH'); at(process.pid, 'SIGCHLD'); at(process.pid, 'SIGURG');
all.push(told.length);
while (told.length < 4) await new Promise((done) => setTimeout(done, 5));
return [all, told.sort(), process.listenerCount('SIGTERM'), process.listenerCount('newListener') > 0];
"""


def test_kill_is_as_in_node(postern, tmp_path):
    # The kernel holds two of a kind that wait for one.
    same_as_node(postern, tmp_path, KILL.replace(" at(process.pid);", ""))


@pytest.mark.parametrize("name,status", [("'SIGTERM'", 143), ("'SIGKILL'", 137), ("'SIGINT'", 130), ("'SIGUSR2'", 140), ("undefined", 143)])
def test_killing_oneself(postern, name, status):
    code = f"process.on('exit', () => console.log('exit')); process.kill(process.pid, {name}); setTimeout(() => console.log('never'), 10_000);"
    result = postern(code, json_result=False)
    assert (result.status, result.out) == (status, ""), result.err


def test_nobody_lets_a_stopped_guest_go_on(postern):
    code = "const all = []; for (const name of ['SIGSTOP', 'SIGTSTP']) try { process.kill(process.pid, name); } catch (e) { all.push(e.code); } __return(all);"
    assert postern(code).value == ["ERR_NOT_AVAILABLE"] * 2


def test_what_programs_look_up(postern, tmp_path):
    code = """
      process.title = 'mine';
      const report = process.report.getReport(new Error('shown'));
      const { os, fs } = process.binding('constants');
      return [process.argv[0] === process.execPath, require('node:path').basename(process.execPath), require('node:path').basename(process.argv0), process.title, /^2\\.\\d+$/.test(report.header.glibcVersionRuntime), report.header.platform, report.header.wordSize,
              report.header.reportVersion, Array.isArray(report.sharedObjects), report.javascriptStack.message, typeof process.report.writeReport, os.signals.SIGTERM, fs.O_RDONLY, typeof process.reallyExit];"""
    same_as_node(postern, tmp_path, code)


ENDS = """
process.on('exit', (code) => console.log('exit', code, process.exitCode));
const later = (f) => setTimeout(f, 1), fail = () => { throw new Error('reason'); };
({ throws: fail, rejects: () => Promise.reject(new Error('reason')), later: () => later(fail), ends() {}, twice: () => { process.on('exit', fail); later(fail); },
  chooses: () => { process.on('exit', () => { process.exitCode = 7; }); later(fail); }, leaves: () => { process.on('exit', () => process.exit(9)); later(fail); },
  had: () => { process.exitCode = 4; later(fail); }, caught: () => { process.on('uncaughtException', () => console.log('caught')); later(fail); } })[process.argv[2]]();
"""


@pytest.mark.parametrize("how", ["throws", "rejects", "later", "ends", "twice", "chooses", "leaves", "had", "caught"])
def test_exit_is_heard_however_a_run_ends(postern, tmp_path, how):
    (tmp_path / "ends.cjs").write_text(ENDS)
    node = subprocess.run([NODE, tmp_path / "ends.cjs", how], capture_output=True, text=True, timeout=30)
    guest = postern(ENDS, name="ends.cjs", args=[how], json_result=False)
    assert (guest.status, guest.out) == (node.returncode, node.stdout)
    assert ("Error: reason" in guest.err) == ("Error: reason" in node.stderr)


# Whole programs: what they print, and the exit code, as in Node.
ENDINGS = [
    'process.on("exit",()=>{throw new Error("x")})',
    'process.on("exit",()=>{throw new Error("x")}); process.exitCode=3',
    'process.on("exit",()=>{throw new Error("x")}); process.exit(5)',
    'process.on("exit",()=>{throw new Error("x")}); throw new Error("first")',
    'process.on("uncaughtException",(e)=>console.log("U",e.message));process.on("exit",()=>{throw new Error("x")})',
    'process.on("uncaughtException",(e)=>console.log("U",e.message));process.on("exit",()=>{throw new Error("x")}); process.exitCode=3',
    'process.on("uncaughtException",(e)=>{console.log("U",e.message); throw new Error("second")}); throw new Error("first")',
    'process.on("uncaughtException",(e)=>{console.log("U",e.message); throw new Error("second")}); setTimeout(()=>{throw new Error("first")})',
    'process.on("uncaughtException",(e)=>{console.log("U",e.message); throw new Error("second")}); process.on("exit",(c)=>console.log("E",c)); setTimeout(()=>{throw new Error("first")})',
    'process.on("exit",(c)=>{console.log("E",c); process.exitCode=9}); throw 1',
    'process.on("exit",(c)=>{console.log("E",c); process.exit()}); process.exitCode=6',
    'process.on("exit",(c)=>{console.log("E",c); process.exit(0)}); throw 1',
    'process.on("exit",(c)=>{console.log("E",c); process.kill(process.pid,"SIGTERM")});',
    'process.on("exit",(c)=>{console.log("E",c); process.abort()});',
    'process.on("beforeExit",(c)=>{throw new Error("b")}); process.on("exit",(c)=>console.log("E",c))',
    'let n=0;process.on("uncaughtException",(e)=>console.log("U",e.message));process.on("beforeExit",(c)=>{if(n++<2)throw new Error("b"+n)}); process.on("exit",(c)=>console.log("E",c))',
    'for (const s of ["SIGKILL","SIGSTOP"]) try{process.on(s,()=>{});console.log("ok")}catch(e){console.log(e.code,e.message)}',
    'process.on("unhandledRejection",()=>{throw new Error("in")});process.on("exit",(c)=>console.log("E",c));Promise.reject(1)',
    'process.on("uncaughtExceptionMonitor",(e,o)=>{console.log("M",e.message,o);throw new Error("m")});process.on("exit",(c)=>console.log("E",c));throw new Error("z")',
    'process.on("warning",(e)=>{console.log("W",e.message);throw new Error("w")});process.on("exit",(c)=>console.log("E",c));process.emitWarning("q")',
    'process.on("exit",async(c)=>{console.log("E",c);await 1;console.log("never")});',
    'process.on("exit",(c)=>{Promise.resolve().then(()=>console.log("micro"));process.nextTick(()=>console.log("tick"));setTimeout(()=>console.log("timer"))});',
    'process.on("exit",(c)=>{process.exitCode="abc"});',
    'process.exitCode="7"; process.on("exit",(c)=>console.log(typeof c, c))',
    'process.on("exit",(c)=>console.log(c)); process.exit("8")',
    'process.on("exit",(c)=>console.log(c)); try { process.exit("x") } catch(e) { console.log(e.code) }',
    'process.on("exit",(c)=>console.log(c)); process.exit(-1)',
    'process.on("exit",(c)=>console.log(c)); process.exitCode=256',
    'process.reallyExit=(c)=>{console.log("really",c)}; process.exit(2)',
    'process.on("exit",(c)=>console.log(c));  process.setUncaughtExceptionCaptureCallback((e)=>console.log("C",e.message)); throw new Error("q")',
    'process.on("SIGTERM",()=>{throw new Error("inside")}); process.on("exit",(c)=>console.log("E",c)); setTimeout(()=>{},500); process.kill(process.pid,"SIGTERM")',
    'queueMicrotask(()=>{throw new Error("mt")}); process.on("exit",(c)=>console.log("E",c))',
    'process.nextTick(()=>{throw new Error("nt")}); process.on("exit",(c)=>console.log("E",c))',
    'setImmediate(()=>{throw new Error("si")}); process.on("exit",(c)=>console.log("E",c))',
    'await new Promise(()=>{}); ',
    'process.on("exit",(c)=>{console.log("E",c);process.exitCode=3}); await new Promise(()=>{}); ',
    'process.once("exit",(c)=>{process.on("exit",()=>console.log("late"))});',
    'process.on("exit",async()=>{await 1;console.log("a")}); process.exit()',
    'process.on("exit",async()=>{await 1;console.log("a"); throw 1})',
    'process.on("exit",async()=>{await 1;console.log("a"); process.exit(5)})',
    'process.on("exit",async()=>{await 1;process.exitCode=5})',
    'process.on("exit",async()=>{await 1;console.log("a")}); throw 1',
    'process.on("uncaughtException",(e,o)=>console.log("U",e.message,o)); throw new Error("esm")',
    'process.on("uncaughtException",(e,o)=>console.log("U",e.message,o)); await 1; throw new Error("esm")',
    'process.on("uncaughtException",(e,o)=>console.log("U",e.message,o)); Promise.reject(new Error("p"))',
    'process.on("uncaughtException",(e,o)=>console.log("U",e.message,o)); setTimeout(()=>{throw new Error("esm")})',
    'process.on("uncaughtExceptionMonitor",(e,o)=>console.log("M",e.message,o)); setTimeout(()=>{throw new Error("esm")})',
    'process.on("uncaughtExceptionMonitor",(e,o)=>console.log("M",e.message,o)); process.on("uncaughtException",(e,o)=>console.log("U",e.message,o)); setTimeout(()=>{throw new Error("esm")})',
    'process.on("unhandledRejection",(e,p)=>{console.log("R",e.message);throw new Error("in")}); process.on("uncaughtException",(e,o)=>console.log("U",e.message,o)); Promise.reject(new Error("p"))',
    'process.on("exit",()=>process.kill(process.pid,"SIGINT"))',
    'process.on("SIGINT",()=>console.log("h"));process.on("exit",()=>process.kill(process.pid,"SIGINT"))',
    'process.kill(process.pid,"SIGUSR2"); console.log("not reached")',
    'process.kill(process.pid,"SIGWINCH"); console.log("reached")',
    'process.kill(process.pid,"SIGHUP"); console.log("not reached")',
    'try { process.kill(process.pid,"SIGNO") } catch(e) { console.log(e.code) }',
]  # fmt: skip


@pytest.mark.parametrize("program", ENDINGS, ids=range(len(ENDINGS)))
def test_a_program_ends_as_in_node(postern, tmp_path, program):
    (tmp_path / "ends.mjs").write_text(program)
    node = subprocess.run([NODE, "--no-warnings", tmp_path / "ends.mjs"], capture_output=True, text=True, timeout=30)
    guest = postern(program, name="ends.mjs", json_result=False)
    # A signal ends Node's process; here it is a shell's exit code for it.
    assert (guest.status, guest.out) == (node.returncode if node.returncode >= 0 else 128 - node.returncode, node.stdout), guest.err
    # An await that nothing settles is an error here, and a warning of Node's.
    assert [line for line in guest.err.splitlines() if line.startswith("Error: ") and "never settles" not in line] == [line for line in node.stderr.splitlines() if line.startswith("Error: ")]


def test_a_failure_stays_one(postern):
    """Where Node ends with 0, an error of a listener printed or not."""
    assert postern("process.on('exit', () => { throw new Error('x'); }); process.exit(0);").status == 1


def test_an_error_stays_one_whatever_its_exit_code(postern):
    result = postern("process.on('exit', () => { process.exitCode = 7; }); throw new RangeError('reason');")
    assert (result.status, result.json["outcome"], result.json["exitCode"], result.json["error"]["name"], result.json["error"]["message"]) == (7, "failed", 7, "RangeError", "reason")
    result = postern("process.on('exit', () => { process.exitCode = 0; }); throw new RangeError('reason');")
    assert (result.status, result.json["outcome"]) == (1, "failed")


def test_packages_are_not_warned_of(postern, tmp_path):
    """Whoever runs a program cannot change what its packages call."""
    calls = "const url = require('url'); require('punycode'); new Buffer(4); url.parse('http://a'); require('util')._extend({}, {});"
    (tmp_path / "node_modules" / "old").mkdir(parents=True)
    (tmp_path / "node_modules" / "old" / "index.js").write_text(calls + "exports.parse = url.parse; process.emitWarning('other', 'Warning'); process.emitWarning('mine', 'DeprecationWarning');")
    code = "const told = []; if (process.argv[2]) process.on('warning', (w) => told.push(w.name)); %s require('old'); console.log(told.length);"
    result = postern(code % "", name="job.cjs", json_result=False)
    assert (result.out, result.err) == ("0\n", "(postern) Warning: other\n")
    result = postern(code % calls, name="job.cjs", json_result=False)
    assert [line.split("]")[0] for line in result.err.splitlines()[:4]] == ["(postern) [DEP0040", "(postern) [DEP0005", "(postern) [DEP0169", "(postern) [DEP0060"]
