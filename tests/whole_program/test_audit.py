"""The audit log: what it says, that it never stops a request, and what happens when it cannot be written."""

import json
import os
import pty
import re
import signal
import subprocess

import pytest
from conftest import POSTERN, allowing


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def audited(log, *rules, **audit):
    policy = allowing(*rules)
    policy["audit"] = {"file": str(log), **audit}
    return policy


CODE = """
const [ok, denied] = process.argv.slice(2);
await (await fetch(ok, { method: 'POST', body: 'four' })).text();
await fetch(denied).catch(() => {});
"""


def test_two_events_a_request(postern, origin, tmp_path):
    log = tmp_path / "audit.jsonl"
    policy = audited(log, f"http://{origin.http}")
    assert postern(CODE, args=[f"http://{origin.http}/echo?q=1", "https://other.example/x"], policy=policy).status == 0
    first, second, third, fourth = lines(log)
    assert [e["event"] for e in (first, second, third, fourth)] == ["decision", "end"] * 2
    assert {e["run"] for e in lines(log)} == {first["run"]} and re.fullmatch("[0-9a-f]{16}", first["run"])
    assert (first["request"], second["request"], third["request"], fourth["request"]) == (1, 1, 2, 2)
    assert first["decision"] == "allow" and re.fullmatch(r".*/policy\.yaml:\d+:\d+", first["rule"]["at"])
    assert first["url"] == second["url"] == f"http://{origin.http}/echo?q=1" and first["method"] == "POST"
    assert (second["status"], second["bytesIn"], second["bytesOut"], second["address"]) == (200, 4, 4, origin.http)
    assert {"queue", "dns", "connect", "firstByte", "total"} == set(second["timings"])
    assert all(0 <= v < 60_000 for v in second["timings"].values())
    assert third["decision"] == "deny" and "no rule allows it" in third["reason"]
    assert fourth["error"]["error"] == "http_request_denied" and fourth["error"]["code"] == "ERR_NETWORK_DENIED"
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", e["time"]) for e in lines(log))
    assert log.stat().st_mode & 0o777 == 0o600


def test_tls_is_told(postern, origin, certificates, tmp_path):
    log = tmp_path / "audit.jsonl"
    policy = audited(log, {"allow": "https://good.test:%d" % origin.tls["good"], "addresses": ["127.0.0.0/8"]})
    policy["network"]["dns"] = {"hosts": {"good.test": "127.0.0.1"}}
    policy["network"]["tls"] = {"ca_file": str(certificates[1])}
    assert postern(f"await fetch('https://good.test:{origin.tls['good']}/ok')", policy=policy).status == 0
    assert lines(log)[1]["tls"] == "TLSv1.3" and lines(log)[1]["timings"]["tls"] > 0


def test_queries_can_be_redacted(postern, origin, tmp_path):
    log = tmp_path / "audit.jsonl"
    policy = audited(log, origin.http, query="redact")
    postern(f"await fetch('http://{origin.http}/ok?token=hidden')", policy=policy)
    assert "hidden" not in log.read_text() and lines(log)[0]["url"].endswith("/ok?...")


def test_an_aborted_request_has_its_end(postern, origin, tmp_path):
    log = tmp_path / "audit.jsonl"
    policy = audited(log, origin.silent)
    postern(f"const c = new AbortController(); const p = fetch('http://{origin.silent}/', {{ signal: c.signal }}).catch(() => {{}});"
            "setTimeout(() => c.abort(), 200); await p;", policy=policy)
    assert [e["event"] for e in lines(log)] == ["decision", "end"]
    assert lines(log)[1]["error"]["code"] == "ERR_ABORTED"


def test_lines_are_whole_json_whatever_a_guest_sends(postern, origin, tmp_path):
    log = tmp_path / "audit.jsonl"
    code = """
      for (const path of ['/"\\\\', '/%00%0a', '/ü\\u2028', '/' + 'x'.repeat(20000), '/?"\\n{"event":"end"}'])
        await fetch('http://' + process.argv[2] + path).catch(() => {});"""
    postern(code, args=[origin.http], policy=audited(log, origin.http))
    assert len(lines(log)) == 10


def test_many_requests_lose_nothing(postern, origin, tmp_path):
    log = tmp_path / "audit.jsonl"
    code = "for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 100 }, () => fetch(process.argv[2]).catch(() => {})));"
    assert postern(code, args=["http://denied.example/"], policy=audited(log, origin.http)).status == 0
    assert len(lines(log)) == 4000


def test_a_full_disk_stops_no_request(postern, origin):
    """/dev/full answers every write with ENOSPC."""
    result = postern(f"__return(await (await fetch('http://{origin.http}/ok')).text())", "--audit-log=/dev/full", f"--allow-net={origin.http}")
    assert result.value == "fine"
    assert "events were not recorded: No space left on device" in result.err


def test_required_refuses_what_it_cannot_record(postern, origin):
    code = f"__return(await fetch('http://{origin.http}/ok').then(() => 0, (e) => [e.cause.code, e.message]))"
    result = postern(code, policy=audited("/dev/full", origin.http, required=True))
    assert result.value[0] == "ERR_AUDIT" and "No space left on device" in result.value[1]
    assert origin.accepted == 0


def test_required_records_first(postern, origin, tmp_path):
    log = tmp_path / "audit.jsonl"
    code = f"__return(await (await fetch('http://{origin.http}/ok')).text())"
    assert postern(code, policy=audited(log, origin.http, required=True)).value == "fine"
    assert [e["event"] for e in lines(log)] == ["decision", "end"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_disk_that_was_full_tears_no_line(origin, tmp_path):
    """A file system of 64 KiB fills, gets room again, and the log has whole lines and says how many are missing."""
    policy = tmp_path / "policy.yaml"
    disk = tmp_path / "disk"
    disk.mkdir()
    policy.write_text(json.dumps(audited(disk / "log", origin.http, required=True)))
    script = f"""
      mount -t tmpfs -o size=64k none {disk} && mkfifo {disk}/fifo && head -c 57344 /dev/zero > {disk}/ballast &&
      {POSTERN} run --policy={policy} - ; echo ended; cat > /dev/null < {disk}/fifo"""
    code = f"""
      const t = () => fetch('http://{origin.http}/ok').then((r) => r.text(), (e) => e.cause.code);
      while ((await t()) !== 'ERR_AUDIT');
      for (let i = 0; i < 40; i++) await fetch('http://denied.example/').catch(() => {{}});
      await t();
      console.log('full');
      while ((await t()) === 'ERR_AUDIT') await new Promise((r) => setTimeout(r, 20));
      await t();"""
    process = subprocess.Popen(["unshare", "--mount", "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdin.write(code)
    process.stdin.close()
    process.stdin = None
    assert process.stdout.readline() == "full\n"
    enter = ["nsenter", f"--target={process.pid}", "--mount"]
    subprocess.run([*enter, "rm", f"{disk}/ballast"], check=True)
    assert process.stdout.readline() == "ended\n"
    # The file system goes with the namespace, which the shell keeps until somebody opens the FIFO.
    text = subprocess.run([*enter, "cat", f"{disk}/log"], capture_output=True, text=True, check=True).stdout
    subprocess.run([*enter, "sh", "-c", f": > {disk}/fifo"], check=True)
    _, err = process.communicate(timeout=30)
    assert "events were not recorded: No space left on device" in err
    events = [json.loads(line) for line in text.splitlines()]
    missing = sum(e["count"] for e in events if e["event"] == "lost")
    assert missing >= 80 and str(missing) in err


@pytest.fixture
def gate(origin):
    """Lets a guest wait for an event of the test's: `wait` is its code."""

    class Gate:
        wait = f"while (await (await fetch('http://{origin.http}/gate')).text() !== 'open') await new Promise((r) => setTimeout(r, 20));"
        is_open = False

        def open(self):
            self.is_open = True

    gate = Gate()

    async def do_gate(reader, writer, *_):
        return await origin._answer(writer, b"open" if gate.is_open else b"shut")

    origin.do_gate = do_gate
    return gate


def test_rotation(origin, gate, tmp_path):
    log, old = tmp_path / "log", tmp_path / "log.1"
    code = f"""
      await fetch('http://{origin.http}/ok?1');
      await new Promise((r) => setTimeout(r, 100));
      console.log('go');
      {gate.wait}
      await fetch('http://{origin.http}/ok?2');"""
    process = subprocess.Popen([POSTERN, "run", f"--audit-log={log}", f"--allow-net={origin.http}", "-"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdin.write(code)
    process.stdin.close()
    assert process.stdout.readline() == "go\n"
    log.rename(old)
    process.send_signal(signal.SIGHUP)
    while not log.exists():
        assert process.poll() is None
    gate.open()
    assert process.wait(30) == 0
    process.stdout.close(), process.stderr.close()
    assert any("ok?1" in e["url"] for e in lines(old)) and not any("ok?2" in e["url"] for e in lines(old))
    assert [e["event"] for e in lines(log) if "ok?2" in e["url"]] == ["decision", "end"]


def test_a_bad_audit_file_is_refused_before_anything_starts(postern, origin, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path, why in ((tmp_path, "directory"), (tmp_path / "no" / "log", "No such file"), (tmp_path / "fifo", "No such device")):
        result = postern("1", f"--audit-log={path}", f"--allow-net={origin.http}", json_result=False)
        assert result.status == 3 and f"cannot open the audit log {path}" in result.err and why in result.err


def test_verbose_is_a_line_a_request(postern, origin):
    code = f"await (await fetch('http://{origin.http}/ok')).text(); await fetch('http://{origin.http}/none'); await fetch('http://x.example/').catch(() => {{}})"
    result = postern(code, "--verbose", f"--allow-net={origin.http}", json_result=False)
    first, second, third = result.err.splitlines()
    assert re.fullmatch(rf"200 GET +[\d.]+ ms +4 B  http://{origin.http}/ok  {origin.http}", first)
    assert second.startswith("404 GET") and "no rule allows it" in third and third.startswith("  - GET")
    assert first.index("http://") == second.index("http://") == third.index("http://")


def test_verbose_is_coloured_on_a_terminal(origin):
    here, there = pty.openpty()
    done = subprocess.run([POSTERN, "eval", "--verbose", f"--allow-net={origin.http}", f"await fetch('http://{origin.http}/ok')"],
                          stdout=subprocess.DEVNULL, stderr=there, timeout=30)
    os.close(there)
    shown = os.read(here, 4096).decode()
    os.close(here)
    assert done.returncode == 0 and shown.startswith("\x1b[32m200 GET") and shown.rstrip().endswith("\x1b[0m")


def test_terminal_commands_are_not_passed_on(postern, origin):
    result = postern(f"await fetch('http://{origin.http}/bad-status').catch(() => {{}}); await fetch('http://a.example/\\x1b[31m').catch(() => {{}})",
                     "--verbose", f"--allow-net={origin.http}", json_result=False)
    assert "\x1b" not in result.err
