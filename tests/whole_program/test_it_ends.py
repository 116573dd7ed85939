"""Every request ends: with a response, or with an error that names its cause, within its deadline."""

import fcntl
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import termios
import time

import pytest
from conftest import POSTERN, allowing, our_processes
from server import until

SLACK = 250  # ms after a deadline


def ended(result, code, deadline_ms=None, message=None):
    assert result.get("name") == "TypeError", result
    assert result["code"] == code, result
    assert result["message"].startswith("fetch failed: "), result
    if message is not None:
        assert message in result["message"], result
    if deadline_ms is not None:
        assert deadline_ms - 5 <= result["ms"] <= deadline_ms + SLACK, result


def test_answered(fetch, origin):
    result = fetch(f"http://{origin.http}/ok", allowing(origin.http))
    assert (result["status"], result["statusText"], result["body"]) == (200, "OK", "fine")


def test_denied_without_permission(fetch, origin):
    result = fetch(f"http://{origin.http}/ok", {"version": 1})
    ended(result, "ERR_NETWORK_DENIED", message=f"add --allow-net={origin.http}")
    assert origin.accepted == 0


def test_denied_by_no_rule(fetch, origin):
    result = fetch(f"http://{origin.http}/ok", allowing("example.com"))
    ended(result, "ERR_NETWORK_DENIED", message=f"no rule allows it; add --allow-net={origin.http}")
    assert origin.accepted == 0


def test_denied_by_a_deny_rule(fetch, origin):
    result = fetch(f"http://{origin.http}/ok", allowing(origin.http, {"deny": origin.http}))
    ended(result, "ERR_NETWORK_DENIED", message=f'denied by the rule "{origin.http}"')
    assert origin.accepted == 0


def test_no_adapter(fetch, origin):
    result = fetch(f"http://{origin.http}/ok", allowing(origin.http), options=["--adapter=none"])
    ended(result, "ERR_NO_NETWORK_ADAPTER")
    assert result["message"] == "fetch failed: network permitted but no host network adapter configured"
    assert origin.accepted == 0


def dns(origin, *rules, server=None, **limits):
    policy = allowing(*rules, **limits)
    policy["network"]["dns"] = {"servers": [server or origin.dns]}
    return policy


def test_name_does_not_exist(fetch, origin):
    ended(fetch("http://nx.test/", dns(origin, "nx.test")), "ERR_DNS", message="does not exist")


def test_resolver_fails(fetch, origin):
    ended(fetch("http://fail.test/", dns(origin, "fail.test")), "ERR_DNS", message="SERVFAIL")


def test_resolver_never_answers(fetch, origin):
    policy = dns(origin, "a.test", server=origin.silent_dns, resolve_timeout="300ms")
    ended(fetch("http://a.test/", policy), "ERR_DNS_TIMEOUT", 300)


def test_a_refused_name_is_never_looked_up(fetch, origin):
    ended(fetch("http://lo.test/", dns(origin, "other.test")), "ERR_NETWORK_DENIED")
    assert origin.dns_queries == []


def test_no_search_domains(fetch, origin):
    ended(fetch("http://nx/", dns(origin, "nx")), "ERR_DNS")
    assert set(origin.dns_queries) == {"nx"}


@pytest.mark.parametrize("name,why", [("lo", "loopback"), ("private", "private"), ("metadata", "cloud metadata")])
def test_a_name_never_opens_an_address(fetch, origin, name, why):
    port = origin.http.split(":")[1]
    ended(fetch(f"http://{name}.test:{port}/ok", dns(origin, f"{name}.test")), "ERR_ADDRESS_BLOCKED", message=why)
    assert origin.accepted == 0


def test_blocked_addresses_of_a_name_are_dropped(fetch, origin):
    port = origin.http.split(":")[1]
    policy = dns(origin, {"allow": "mixed.test", "addresses": ["127.0.0.0/8"]})
    assert fetch(f"http://mixed.test:{port}/ok", policy)["body"] == "fine"


@pytest.mark.parametrize("spelling", ["127.1", "0x7f000001", "2130706433", "0177.0.0.1", "[::ffff:127.0.0.1]", "localhost", "0.0.0.0"])
def test_an_address_is_blocked_however_it_is_spelled(fetch, origin, spelling):
    port = origin.http.split(":")[1]
    ended(fetch(f"http://{spelling}:{port}/ok", allowing("*")), "ERR_ADDRESS_BLOCKED")
    assert origin.accepted == 0


def test_refused_port(fetch, origin):
    ended(fetch(f"http://{origin.refused}/", allowing(origin.refused)), "ERR_CONNECTION_REFUSED")


def test_full_backlog(fetch, origin):
    ended(fetch(f"http://{origin.full}/", allowing(origin.full, connect_timeout="300ms")), "ERR_CONNECTION_TIMEOUT", 300)


@pytest.mark.parametrize("path", ["silence", "drip-headers", "endless-100", "partial-headers"])
def test_no_headers_in_time(fetch, origin, path):
    policy = allowing(origin.http, headers_timeout="400ms")
    ended(fetch(f"http://{origin.http}/{path}", policy), "ERR_RESPONSE_TIMEOUT", 400)


def test_accept_then_silence(fetch, origin):
    ended(fetch(f"http://{origin.silent}/", allowing(origin.silent, headers_timeout="300ms")), "ERR_RESPONSE_TIMEOUT", 300)


def test_close_at_once(fetch, origin):
    ended(fetch(f"http://{origin.http}/close", allowing(origin.http)), "ERR_RESPONSE_INCOMPLETE")


def test_endless_headers(fetch, origin):
    ended(fetch(f"http://{origin.http}/endless-headers", allowing(origin.http)), "ERR_LIMIT", message="header")


@pytest.mark.parametrize("path", ["silent-body", "stall-body", "stall-chunk"])
def test_body_stalled(fetch, origin, path):
    ended(fetch(f"http://{origin.http}/{path}", allowing(origin.http, idle_timeout="300ms")), "ERR_BODY_TIMEOUT", 300)


def test_a_drip_is_no_progress(fetch, origin):
    policy = allowing(origin.http, idle_timeout="300ms", min_bytes=1000)
    ended(fetch(f"http://{origin.http}/drip-body", policy), "ERR_BODY_TIMEOUT", 300)


def test_a_drip_does_not_outlive_the_total(fetch, origin):
    policy = allowing(origin.http, total_timeout="500ms")
    ended(fetch(f"http://{origin.http}/drip-body", policy), "ERR_TOTAL_TIMEOUT", 500)


def test_body_cut_short(fetch, origin):
    ended(fetch(f"http://{origin.http}/short-body", allowing(origin.http)), "ERR_RESPONSE_INCOMPLETE")


def test_reset_midway(fetch, origin):
    ended(fetch(f"http://{origin.http}/reset-midway", allowing(origin.http)), "ERR_CONNECTION_RESET")


@pytest.mark.parametrize("path", ["bad-status", "not-http", "two-lengths", "bad-chunk", "bad-field"])
def test_malformed_answers(fetch, origin, path):
    ended(fetch(f"http://{origin.http}/{path}", allowing(origin.http)), "ERR_HTTP_PROTOCOL")


def test_redirect_loop(fetch, origin):
    ended(fetch(f"http://{origin.http}/redirect-loop", allowing(origin.http, redirects=5)), "ERR_LIMIT", message="redirects")
    assert len(origin.requests) == 6


def test_each_redirect_is_a_fresh_decision(fetch, origin):
    ended(fetch(f"http://{origin.http}/redirect?to=http://{origin.refused}/", allowing(origin.http)), "ERR_NETWORK_DENIED",
          message=origin.refused)


@pytest.mark.parametrize("how", ["cut", "bad"])
def test_broken_compression(fetch, origin, how):
    code = {"cut": "ERR_RESPONSE_INCOMPLETE", "bad": "ERR_CONTENT_DECODING"}[how]
    ended(fetch(f"http://{origin.http}/coded?how={how}", allowing(origin.http)), code)


def test_decompression_bomb(fetch, origin):
    policy = allowing(origin.http, response_bytes="16MiB")
    ended(fetch(f"http://{origin.http}/bomb", policy), "ERR_LIMIT", message="response_bytes")


def test_a_failure_cannot_be_forged(fetch, origin):
    result = fetch(f"http://{origin.http}/forged", allowing(origin.http))
    assert (result["body"], result["statusText"]) == ("fine", "OK")
    assert "proxy-status" not in result["headers"]


def tls(origin, certificates, host, **limits):
    policy = allowing({"allow": host, "addresses": ["127.0.0.0/8"]}, **limits)
    policy["network"]["dns"] = {"hosts": {host: "127.0.0.1"}}
    policy["network"]["tls"] = {"ca_file": str(certificates[1])}
    return policy


def test_tls(fetch, origin, certificates):
    result = fetch(f"https://good.test:{origin.tls['good']}/ok", tls(origin, certificates, "good.test"))
    assert result.get("body") == "fine", result


@pytest.mark.parametrize("name,host,why", [("expired", "expired.test", "expired"), ("selfsigned", "self.test", "self"),
                                           ("wrongname", "good.test", "it is for other.test")])
def test_bad_certificates(fetch, origin, certificates, name, host, why):
    result = fetch(f"https://{host}:{origin.tls[name]}/ok", tls(origin, certificates, host))
    ended(result, "ERR_TLS_CERTIFICATE", message=why)
    assert origin.requests == []


def test_tls_handshake_silence(fetch, origin):
    ended(fetch(f"https://{origin.silent}/", allowing(origin.silent, tls_timeout="300ms")), "ERR_TLS_TIMEOUT", 300)


def test_plain_text_where_tls_should_be(fetch, origin):
    result = fetch(f"https://{origin.plain}/", allowing(origin.plain, tls_timeout="2s"))
    ended(result, "ERR_TLS_PROTOCOL")


def broker_memory():
    pids = [p for p in our_processes() if b"postern-broker\0net" in open(f"/proc/{p}/cmdline", "rb").read()]
    return max(int(next(line for line in open(f"/proc/{p}/status") if line.startswith("VmRSS")).split()[1]) for p in pids)


class Live:
    """A run under way, its output read line by line."""

    def __init__(self, tmp_path, code, *options, policy=None, descriptors=None):
        file = tmp_path / "live.mjs"
        file.write_text(code)
        if policy is not None:
            (tmp_path / "live.yaml").write_text(json.dumps(policy))
            options = (f"--policy={tmp_path / 'live.yaml'}", *options)
        self.process = subprocess.Popen([POSTERN, "run", *options, str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        preexec_fn=descriptors and (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors,) * 2)))

    def line(self):
        return self.process.stdout.readline().strip()

    def brokers(self):
        return [p for p in our_processes() if b"postern-broker\0net" in open(f"/proc/{p}/cmdline", "rb").read()]

    def end(self, timeout=20):
        out, err = self.process.communicate(timeout=timeout)
        assert our_processes() == []
        return self.process.returncode, out, err


def test_endless_unread_body_keeps_the_broker_flat(tmp_path, origin):
    run = Live(tmp_path, f"""
      const responses = [];
      for (let i = 0; i < 16; i++) responses.push(await fetch('http://{origin.http}/endless-body'));
      console.log('open');
      await new Promise((done) => setTimeout(done, 1500));
      console.log((await (await fetch('http://{origin.http}/ok')).text()));
      process.exit(responses.length - 16);
    """, policy=allowing(origin.http))
    assert run.line() == "open"
    samples = []
    deadline = time.monotonic() + 1.2
    while time.monotonic() < deadline:
        samples.append(broker_memory())
    assert max(samples) - samples[0] < 16 * 1024, (samples[0], max(samples))  # KiB, of an endless 16 bodies
    assert run.line() == "fine"
    assert run.end()[0] == 0


def test_unread_body_has_an_end_of_its_own(postern, origin):
    value = postern(f"""
      const response = await fetch('http://{origin.http}/endless-body');
      const reader = response.body.getReader();
      await reader.read();
      await new Promise((done) => setTimeout(done, 700));
      try {{ for (;;) await reader.read(); }} catch (error) {{ __return({{ code: error.cause?.code, message: error.message }}); }}
    """, policy=allowing(origin.http, unread_timeout="300ms")).value
    assert value["code"] == "ERR_BODY_UNREAD", value


def test_a_guest_that_reads_slowly_is_told_so_at_the_total_deadline(postern, origin):
    """The origin is done; what is left is the guest's to read, and it does read."""
    value = postern(f"""
      const reader = (await fetch('http://{origin.http}/bytes?n=3000000')).body.getReader();
      try {{ for (;;) {{ if ((await reader.read()).done) break; await new Promise((done) => setTimeout(done, 50)); }} }}
      catch (error) {{ __return([error.cause?.code, error.message]); }}
    """, policy=allowing(origin.http, unread_timeout="10s", total_timeout="800ms")).value
    assert value[0] == "ERR_TOTAL_TIMEOUT" and "the guest did not read" in value[1], value


@pytest.mark.parametrize("replayed", [True, False])
def test_a_guest_that_sends_slowly_is_told_so_at_the_total_deadline(postern, origin, tmp_path, replayed):
    (tmp_path / "r.har").write_text(json.dumps({"log": {"entries": [
        {"request": {"method": "POST", "url": f"http://{origin.http}/echo"}, "response": {"status": 200, "headers": [], "content": {"text": ""}}}]}}))
    policy = allowing(origin.http, upload_timeout="100ms", total_timeout="600ms")
    options = [f"--adapter=replay:{tmp_path}/r.har"] if replayed else []
    value = postern(f"""
      const body = new ReadableStream({{ start(c) {{ c.enqueue(new Uint8Array(10)); }} }});
      __return(await fetch('http://{origin.http}/echo', {{ method: 'POST', duplex: 'half', body }}).then((r) => r.status, (e) => [e.cause?.code, e.message]));
    """, *options, policy=policy).value
    assert value[0] == "ERR_TOTAL_TIMEOUT" and "the guest did not send" in value[1], value


def test_second_fetch_while_a_first_body_is_never_read(postern, origin):
    value = postern(f"""
      const first = await fetch('http://{origin.http}/bytes?n=8000000');
      const texts = [];
      for (let i = 0; i < 5; i++) texts.push(await (await fetch('http://{origin.http}/ok')).text());
      __return([first.status, ...texts]);
    """, policy=allowing(origin.http)).value
    assert value == [200] + ["fine"] * 5


def test_guest_gone_with_100_requests_in_flight(postern, origin):
    result = postern(f"""
      for (let i = 0; i < 100; i++) fetch('http://{origin.http}/silence').catch(() => {{}});
      setTimeout(() => process.exit(7), 300);
    """, policy=allowing(origin.http))
    assert result.status == 7 and result.seconds < 3


def test_guest_computing_while_its_request_is_answered(postern, origin):
    value = postern(f"""
      const pending = fetch('http://{origin.http}/ok');
      await null;
      const until = performance.now() + 5000;
      while (performance.now() < until);
      __return((await (await pending).text()));
    """, policy=allowing(origin.http)).value
    assert value == "fine"


def in_flight_code(origin):
    return f"""
      const begun = performance.now();
      const pending = fetch('http://{origin.http}/silence').then(() => 'answered', (error) => error.cause.code);
      setTimeout(() => console.log('in flight'), 300);
      console.log(await pending);
      console.log(await (await fetch('http://{origin.http}/ok')).text());
      console.log(Math.round(performance.now() - begun));
    """


def test_broker_killed_in_flight(tmp_path, origin):
    run = Live(tmp_path, in_flight_code(origin), policy=allowing(origin.http))
    assert run.line() == "in flight"
    killed = time.monotonic()
    for pid in run.brokers():
        os.kill(pid, signal.SIGKILL)
    assert run.line() == "ERR_BROKER_LOST"
    assert time.monotonic() - killed < SLACK / 1000
    assert run.line() == "fine"  # by a new broker
    assert [r[1] for r in origin.requests] == ["/silence", "/ok"]  # nothing was repeated
    run.line()
    assert run.end()[0] == 0


def test_a_new_broker_replays_the_same_recording(tmp_path):
    """Found by reading: it read the recording on from where the first one had come to its end."""
    answer = {"status": 200, "headers": [], "content": {"text": "fine"}}
    (tmp_path / "r.har").write_text(json.dumps({"log": {"entries": [{"request": {"method": "GET", "url": "https://a.test/"}, "response": answer}]}}))
    code = """
      const ask = async () => (await fetch('https://a.test/')).text();
      console.log(await ask());
      let pieces = 0;
      const body = new ReadableStream({ pull(c) { pieces++; if (pieces === 1) c.enqueue(new Uint8Array(1)); if (pieces === 2) console.log('in flight'); } });
      console.log(await fetch('https://a.test/', { method: 'POST', body, duplex: 'half' }).catch((e) => e.cause.code));
      console.log(await ask());"""
    run = Live(tmp_path, code, f"--adapter=replay:{tmp_path}/r.har", "--allow-net")
    assert [run.line(), run.line()] == ["fine", "in flight"]
    for pid in run.brokers():
        os.kill(pid, signal.SIGKILL)
    assert run.line() == "ERR_BROKER_LOST"
    assert run.line() == "fine", run.end()
    assert run.end()[0] == 0


def unread(process):
    """Bytes in the pipes that a process reads."""
    size = 0
    for name in os.listdir(f"/proc/{process.pid}/fd"):
        path = f"/proc/{process.pid}/fd/{name}"
        flags = re.search(r"flags:\s+(\d+)", pathlib.Path(f"/proc/{process.pid}/fdinfo/{name}").read_text()).group(1)
        if os.readlink(path).startswith("pipe:") and int(flags, 8) & os.O_ACCMODE == os.O_RDONLY:
            with open(path, "rb") as pipe:
                size += int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), "little")
    return size


def test_broker_killed_while_its_guest_asks_again(tmp_path, origin):
    """The supervisor hears of a guest's next channel and of the broker's end at once, in this order."""
    run = Live(tmp_path, in_flight_code(origin).replace("console.log(await pending)", "await pending"), policy=allowing(origin.http))
    assert run.line() == "in flight"
    launcher, broker = run.brokers()
    os.kill(run.process.pid, signal.SIGSTOP)
    os.kill(launcher, signal.SIGSTOP)  # holds the control socket
    os.kill(broker, signal.SIGKILL)
    until(lambda: unread(run.process) > 0, "the guest opens no other channel")
    os.kill(launcher, signal.SIGKILL)
    until(lambda: pathlib.Path(f"/proc/{launcher}/cmdline").read_bytes() == b"", "the launcher does not end")
    os.kill(run.process.pid, signal.SIGCONT)
    assert run.line() == "fine", run.end()
    run.line()
    assert run.end()[0] == 0


def test_broker_stopped_in_flight(tmp_path, origin):
    run = Live(tmp_path, in_flight_code(origin), policy=allowing(origin.http))
    assert run.line() == "in flight"
    stopped = time.monotonic()
    for pid in run.brokers():
        os.kill(pid, signal.SIGSTOP)
    assert run.line() == "ERR_BROKER_LOST"
    assert time.monotonic() - stopped < 2 + SLACK / 1000
    assert run.line() == "fine"
    run.line()
    assert run.end()[0] == 0


def test_broker_out_of_descriptors(tmp_path, origin):
    run = Live(tmp_path, f"""
      const all = await Promise.all(Array.from({{ length: 400 }}, () =>
        fetch('http://{origin.http}/delay?ms=300').then((r) => r.text(), (error) => error.cause.code)));
      console.log([...new Set(all)].sort().join());
      console.log((await (await fetch('http://{origin.http}/ok')).text()));
    """, policy=allowing(origin.http, concurrent=400), descriptors=200)
    assert run.line() == "ERR_BROKER_RESOURCES,late"
    assert run.line() == "fine"
    assert run.end()[0] == 0


def test_10000_fetches_at_once(postern, origin):
    value = postern(f"""
      const all = await Promise.all(Array.from({{ length: 10000 }}, (_, i) => fetch('http://{origin.http}/bytes?n=' + (i % 10)).then((r) => r.text())));
      __return([all.length, all.every((text, i) => text.length === i % 10)]);
    """, policy=allowing(origin.http)).value
    assert value == [10000, True]


SOURCE = """
  let made = 0;
  const source = (limit) => new ReadableStream({ pull(c) {
    if (made >= limit) return c.close();
    made += 65536;
    c.enqueue(new Uint8Array(65536));
  } });
"""


def test_request_body_whose_reader_is_slow(postern, origin):
    value = postern(SOURCE + f"""
      const post = async (body) => (await fetch('http://{origin.http}/slow-reader', {{ method: 'POST', body, duplex: 'half' }})).text();
      __return([await post(new Uint8Array(4 << 20)), await post(source(4 << 20))]);
    """, policy=allowing(origin.http)).value
    assert value == [str(4 << 20)] * 2


def test_a_request_body_is_made_no_faster_than_it_is_taken(postern, origin):
    value = postern(SOURCE + f"""
      const controller = new AbortController();
      fetch('http://{origin.http}/never-reads', {{ method: 'POST', body: source(1 << 30), duplex: 'half', signal: controller.signal }}).catch(() => {{}});
      let before = -1;
      while (made !== before) {{ before = made; await new Promise((done) => setTimeout(done, 200)); }}
      controller.abort();
      __return(made);
    """, policy=allowing(origin.http, request_bytes="2GiB")).value
    assert 65536 < value < 16 << 20  # of a gigabyte: what pipes, windows and sockets hold


def test_origin_that_never_reads_the_request_body(postern, origin):
    value = postern(f"""
      const begun = performance.now();
      try {{
        await fetch('http://{origin.http}/never-reads', {{ method: 'POST', body: new Uint8Array(16 << 20) }});
      }} catch (error) {{ __return({{ code: error.cause.code, name: error.name, message: error.message, ms: performance.now() - begun }}); }}
    """, policy=allowing(origin.http, upload_timeout="500ms")).value
    ended(value, "ERR_UPLOAD_TIMEOUT")


def test_guest_in_an_endless_loop_with_a_fetch_pending(postern, origin):
    result = postern(f"fetch('http://{origin.http}/silence'); await null; for (;;);", "--timeout=500ms", policy=allowing(origin.http))
    assert (result.status, result.json["outcome"]) == (124, "timed_out")
    assert 500 <= result.json["usage"]["wallMs"] <= 500 + SLACK


def test_cpu_limit(postern):
    result = postern("for (;;);", "--cpu=300ms")
    assert (result.status, result.json["outcome"]) == (124, "timed_out")
    assert "--cpu" in result.json["error"]["message"] and result.seconds < 2


@pytest.mark.parametrize("waiting", ["setTimeout(() => console.log('done'), 300)", "console.log(await fetch('http://ORIGIN/silence').catch((error) => error.cause.code))"])
def test_a_guest_that_was_stopped_goes_on(tmp_path, origin, waiting):
    """SIGSTOP interrupts poll(); after SIGCONT the kernel makes the guest call restart_syscall."""
    run = Live(tmp_path, "console.log('up'); " + waiting.replace("ORIGIN", origin.http), policy=allowing(origin.http, headers_timeout="600ms"))
    assert run.line() == "up"
    for name in (b"--postern-worker", b"postern-broker"):
        for pid in our_processes():
            if name in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGSTOP)
                while "T (stopped)" not in pathlib.Path(f"/proc/{pid}/status").read_text():
                    pass
                os.kill(pid, signal.SIGCONT)
    status, out, err = run.end()
    assert (status, len(out) > 0) == (0, True), err


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_supervisor_ended_by_a_signal(tmp_path, origin, signal_number):
    run = Live(tmp_path, f"console.log('up'); await fetch('http://{origin.http}/silence');", policy=allowing(origin.http))
    assert run.line() == "up"
    run.process.send_signal(signal_number)
    ended_at = time.monotonic() + 2 if signal_number == signal.SIGKILL else None
    status = run.process.wait(10)
    assert status == (-9 if signal_number == signal.SIGKILL else 128 + signal_number)
    while ended_at and our_processes() and time.monotonic() < ended_at:
        pass
    assert our_processes() == []




LOOKUP = """
import dns from 'node:dns';
const out = [], failed = (e) => [e.code, e.syscall, e.message];
for (const name of process.argv.slice(2)) {
  out.push(await dns.promises.lookup(name, { all: true }).catch(failed));
  out.push(await new Promise((done) => dns.resolve4(name, (e, found) => done(e ? failed(e) : found))));
}
out.push(await dns.promises.resolve('127.0.0.1', 'MX').catch((e) => e.code), await dns.promises.resolve6('127.0.0.1').catch((e) => e.code), await dns.promises.lookup('').catch((e) => e.code));
__return(out);
"""


def look_up(postern, policy, *names):
    return postern(LOOKUP, args=names, policy=policy).value


def test_names_are_looked_up_for_node_dns(postern, origin, tmp_path):
    """Those of hosts that the guest may ask for something; blocked addresses are left out; each look-up is in the audit log."""
    policy = dns(origin, {"allow": "https://mixed.test:9", "addresses": ["127.0.0.0/8"], "methods": ["PUT"]}, "nx.test", "fail.test", "private.test")
    policy["audit"] = {"file": str(tmp_path / "audit.jsonl")}
    value = look_up(postern, policy, "mixed.test", "nx.test", "fail.test", "private.test", "other.test", "a/b", "1.2.3.4")
    assert value[0] == [{"address": "127.0.0.1", "family": 4}] and value[1] == ["127.0.0.1"]
    assert value[2][:2] == ["ENOTFOUND", "getaddrinfo"] and "nx.test does not exist" in value[2][2]
    assert value[3][:2] == ["ENOTFOUND", "queryA"]
    assert value[4][0] == "ENOTFOUND" and "SERVFAIL" in value[4][2]
    assert value[6][0] == "EACCES" and "of private.test is blocked (private" in value[6][2]
    assert value[8][0] == "EACCES" and "network access to other.test is denied: no rule allows it; add --allow-net=other.test" in value[8][2]
    assert value[10][0] == "ENOTFOUND" and value[12] == [{"address": "1.2.3.4", "family": 4}] and value[13] == ["1.2.3.4"]
    assert value[14:] == ["ERR_NOT_AVAILABLE", "ENODATA", "ERR_INVALID_ARG_VALUE"]
    assert "other.test" not in origin.dns_queries
    events = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    decisions = [(e["method"], e["url"], e["decision"]) for e in events if e["event"] == "decision"]
    assert decisions[:2] == [("LOOKUP", "dns://mixed.test", "allow")] * 2 and ("LOOKUP", "dns://other.test", "deny") in decisions
    assert len([e for e in events if e["event"] == "end" and e.get("status") == 200]) == 2


def test_look_ups_without_permission_adapter_or_resolver(postern, origin):
    denied = {"version": 1, "network": {"permission": "deny"}}
    assert look_up(postern, denied, "a.test")[0][0] == "EACCES"
    none = dns(origin, "a.test")
    none["network"]["adapter"] = "none"
    assert look_up(postern, none, "a.test")[0][0] == "ENETUNREACH"
    remote = dns(origin, "a.test")
    remote["network"]["adapter"] = {"proxy": "socks5h://127.0.0.1:1", "resolve": "remote"}
    code, _, message = look_up(postern, remote, "a.test")[0]
    assert code == "ENOTFOUND" and "by the proxy (resolve: remote), and by nothing here; connect by name" in message
    silent = dns(origin, "a.test", server=origin.silent_dns, resolve_timeout="300ms")
    assert look_up(postern, silent, "a.test")[0][0] == "EAI_AGAIN"
    limited = dns(origin, {"allow": "mixed.test", "addresses": ["127.0.0.0/8"]}, requests=1)
    assert [v[0] for v in look_up(postern, limited, "mixed.test")[:2]] == [{"address": "127.0.0.1", "family": 4}, "ERR_LIMIT"]
