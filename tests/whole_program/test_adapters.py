"""Adapters: record and replay, and proxies (tinyproxy, microsocks, TLS in front of tinyproxy)."""

import asyncio
import contextlib
import json
import socket
import ssl
import subprocess
import threading

import pytest
from conftest import allowing, until_it_listens
from ports import free_port

WORK = """
const o = process.argv[2], all = [];
const t = async (path, init) => {
  try {
    const r = await fetch(o + path, init);
    return [r.status, r.statusText, [...r.headers].filter(([n]) => n !== 'date'), [...new Uint8Array(await r.arrayBuffer())].slice(0, 50), r.url];
  } catch (e) { return [e.name, e.message, e.cause?.code]; }
};
for (const path of ['/ok', '/ok', '/headers', '/none', '/coded?how=gzip', '/bytes?n=70000', '/short-body', '/bad-status', '/forged',
                    '/redirect?to=' + o + '/ok', '/redirect-loop']) all.push([path, await t(path)]);
all.push(await t('/echo', { method: 'POST', body: 'text' }));
all.push(await t('/echo', { method: 'POST', body: new Uint8Array([0, 255, 128]) }));
all.push(await t('/echo', { method: 'PUT', body: new ReadableStream({ start(c) { c.enqueue(new Uint8Array([1, 2])); c.enqueue(new Uint8Array([3])); c.close(); } }), duplex: 'half' }));
all.push(await t('/ok', { method: 'HEAD' }));
all.push(await fetch('http://denied.example/').catch((e) => e.message));
__return(all);
"""


def test_recording_then_replaying_is_the_same(postern, origin, tmp_path):
    har, url = tmp_path / "run.har", f"http://{origin.http}"
    live = postern(WORK, f"--record={har}", f"--allow-net={origin.http}", args=[url])
    seen = len(origin.requests)
    replayed = postern(WORK, f"--adapter=replay:{har}", f"--allow-net={origin.http}", args=[url])
    assert replayed.value == live.value
    assert len(origin.requests) == seen  # offline
    assert live.value[0][1][0] == 200 and live.value[-1].startswith("fetch failed: network access to denied.example:80")
    recording = json.loads(har.read_text())
    entry = recording["log"]["entries"][0]
    assert (entry["request"]["url"], entry["response"]["status"], entry["response"]["content"]["text"]) == (f"{url}/ok", 200, "fine")
    assert har.stat().st_mode & 0o777 == 0o600
    coded = [e["request"]["url"] for e in recording["log"]["entries"] for f in e["response"]["headers"] if f["name"] == "content-encoding"]
    assert coded == [f"{url}/coded?how=gzip"]  # which codes though it was asked not to


def test_replay_in_turn_then_the_last_again(postern, tmp_path):
    def entry(text):
        return {"request": {"method": "GET", "url": "https://a.test/"}, "response": {"status": 200, "headers": [], "content": {"text": text}}}

    (tmp_path / "r.har").write_text(json.dumps({"log": {"entries": [entry("one"), entry("two")]}}))
    code = "const t = () => fetch('https://a.test/').then((r) => r.text()); __return([await t(), await t(), await t()]);"
    assert postern(code, f"--adapter=replay:{tmp_path}/r.har", "--allow-net").value == ["one", "two", "two"]


def test_replay_obeys_the_rules_and_names_the_nearest(postern, tmp_path):
    entries = [{"request": {"method": m, "url": u}, "response": {"status": 200, "headers": [], "content": {}}}
               for m, u in (("GET", "https://api.test/users/1"), ("POST", "https://api.test/users"))]
    (tmp_path / "r.har").write_text(json.dumps({"log": {"entries": entries}}))
    code = """const t = (u, i) => fetch(u, i).then((r) => r.status, (e) => [e.cause.code, e.message]);
      __return([await t('https://api.test/users/2'), await t('https://api.test/users', { method: 'POST', body: 'x' }), await t('https://b.test/')]);"""
    near, body, denied = postern(code, f"--adapter=replay:{tmp_path}/r.har", "--allow-net=api.test").value
    assert near == ["ERR_REPLAY_MISS", "fetch failed: the recording has no GET https://api.test/users/2; the nearest one is GET https://api.test/users/1"]
    assert body[0] == "ERR_REPLAY_MISS" and "with another body only" in body[1]
    assert denied[0] == "ERR_NETWORK_DENIED"


@pytest.mark.parametrize("text,why", [("", "no valid JSON"), ("{}", "it has no log.entries"), ('{"log":{"entries":[{}]}}', "entry 1"), (None, "No such file")])
def test_a_bad_recording_is_refused(postern, tmp_path, text, why):
    path = tmp_path / "bad.har"
    if text is not None:
        path.write_text(text)
    result = postern("await fetch('http://a.test/')", f"--adapter=replay:{path}", "--allow-net", json_result=False)
    assert result.status == 3 and str(path) in result.err and why in result.err, result.err


def test_a_recording_is_whole_after_a_run_that_was_killed(postern, origin, tmp_path):
    har = tmp_path / "run.har"
    code = f"await fetch('http://{origin.http}/ok'); while (true) {{}}"
    assert postern(code, f"--record={har}", f"--allow-net={origin.http}", "--timeout=1s").status == 124
    assert len(json.loads(har.read_text())["log"]["entries"]) == 1


# ---- proxies




@pytest.fixture
def tinyproxy(tmp_path):
    """tinyproxy(*lines): a running one; .port and .log()"""
    started = []

    def start(*extra):
        port = free_port()
        config = tmp_path / "tinyproxy.conf"
        config.write_text("\n".join([f"Port {port}", "Listen 127.0.0.1", "Timeout 60", f'LogFile "{tmp_path}/tinyproxy.log"', "LogLevel Connect",
                                     "MaxClients 50", *extra]) + "\n")
        process = subprocess.Popen(["tinyproxy", "-d", "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        started.append(process)
        until_it_listens(port, process)
        process.port, process.log = port, lambda: (tmp_path / "tinyproxy.log").read_text()
        return process

    yield start
    for process in started:
        process.terminate()
        process.wait(10)



def through(url, origin, certificates, host="good.test", **adapter):
    policy = allowing({"allow": host, "addresses": ["127.0.0.0/8"]})
    policy["network"].update({"adapter": {"proxy": url, **adapter}, "dns": {"hosts": {host: "127.0.0.1"}}, "tls": {"ca_file": str(certificates[1])}})
    return policy


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_http_proxy_tunnels_to_the_checked_address(fetch, origin, certificates, tinyproxy, scheme):
    proxy = tinyproxy()
    port = origin.tls["good"] if scheme == "https" else origin.http.split(":")[1]
    result = fetch(f"{scheme}://good.test:{port}/headers", through(f"http://127.0.0.1:{proxy.port}", origin, certificates))
    assert f"host: good.test:{port}" in result["body"], result
    assert f"CONNECT 127.0.0.1:{port}" in proxy.log() and "good.test" not in proxy.log()


BAD_PROXIES = {
    "closes": b"", "garbage": b"SSH-2.0-x\r\n", "switches": b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "endless": b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
    "huge": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 400_000 + b"\r\n\r\n", "moved": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "half": b"HTTP/1.1 200 O",
}  # fmt: skip


@pytest.mark.parametrize("url", ["http://good.test", "https://good.test"])
@pytest.mark.parametrize("answer", BAD_PROXIES)
def test_a_proxy_s_failure_is_not_the_origin_s(fetch, origin, certificates, answer, url):
    def serve(listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                connection.sendall(BAD_PROXIES[answer])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        result = fetch(f"{url}:1/", through(f"http://127.0.0.1:{listener.getsockname()[1]}", origin, certificates))
        listener.shutdown(socket.SHUT_RDWR)
    assert result["code"] == "ERR_PROXY" and "the proxy did not connect to good.test:1" in result["message"], result


def test_http_proxy_with_credentials(fetch, origin, certificates, tinyproxy):
    proxy = tinyproxy("BasicAuth user pa-ss")
    url = f"http://good.test:{origin.http.split(':')[1]}/ok"
    assert fetch(url, through(f"http://user:pa-ss@127.0.0.1:{proxy.port}", origin, certificates))["body"] == "fine"
    wrong = fetch(url, through(f"http://user:wrong@127.0.0.1:{proxy.port}", origin, certificates))
    assert wrong["code"] in ("ERR_PROXY_AUTHENTICATION", "ERR_PROXY"), wrong


def test_socks_proxy(fetch, origin, certificates, microsocks):
    proxy = microsocks("-u", "user", "-P", "pass")
    url = f"https://good.test:{origin.tls['good']}/ok"
    assert fetch(url, through(f"socks5h://user:pass@127.0.0.1:{proxy.port}", origin, certificates))["body"] == "fine"
    wrong = fetch(url, through(f"socks5h://user:no@127.0.0.1:{proxy.port}", origin, certificates))
    assert wrong["code"] in ("ERR_PROXY_AUTHENTICATION", "ERR_PROXY"), wrong


def test_a_name_is_checked_before_the_proxy_hears_of_it(fetch, origin, certificates, tinyproxy):
    proxy = tinyproxy()
    policy = through(f"http://127.0.0.1:{proxy.port}", origin, certificates)
    policy["network"]["rules"] = [{"allow": "good.test"}]
    assert fetch("http://good.test/", policy)["code"] == "ERR_ADDRESS_BLOCKED"
    assert "Request (" not in proxy.log()


def test_resolve_remote_hands_the_name_over(fetch, origin, certificates, tinyproxy):
    proxy = tinyproxy()
    policy = through(f"http://127.0.0.1:{proxy.port}", origin, certificates, host="localhost.test", resolve="remote")
    del policy["network"]["dns"]
    port = origin.tls["good"]
    result = fetch(f"https://localhost.test:{port}/ok", policy)
    assert f"CONNECT localhost.test:{port}" in proxy.log() and result["code"] == "ERR_PROXY"


# As they come: CONNECT to 443 alone.
STRICT = "ConnectPort 443"


@pytest.mark.parametrize("credentials", ["", "user:pa-ss@"])
@pytest.mark.parametrize("host,resolve", [("localhost", {"resolve": "remote"}), ("127.0.0.1", {"resolve": "remote"}), ("127.0.0.1", {})])
def test_plain_http_goes_to_the_proxy_in_absolute_form(fetch, origin, certificates, tinyproxy, host, resolve, credentials):
    proxy = tinyproxy(STRICT, *(["BasicAuth user pa-ss"] if credentials else []))
    port = origin.http.split(":")[1]
    policy = allowing(host)
    policy["network"]["adapter"] = {"proxy": f"http://{credentials}127.0.0.1:{proxy.port}", **resolve}
    result = fetch(f"http://{host}:{port}/headers?a", policy, {"headers": {"X-Own": "1", "proxy-authorization": "mine"}})
    assert f"host: {host}:{port}" in result["body"] and "x-own: 1" in result["body"], result
    assert "proxy-" not in result["body"] and "pa-ss" not in result["body"]
    assert origin.requests[-1][1] == "/headers?a" and f"GET http://{host}:{port}/headers?a" in proxy.log()
    sent = fetch(f"http://{host}:{port}/echo", policy, {"method": "POST", "body": "x" * 100_000})
    assert len(sent["body"]) == 100_000


def test_the_proxy_s_credentials_do_not_reach_an_origin(fetch, origin):
    """Whatever the proxy does with them: here the origin is the proxy, and answers 407 as one would."""
    policy = allowing("a.test")
    policy["network"]["adapter"] = {"proxy": f"http://user:pa-ss@{origin.http}", "resolve": "remote"}

    async def do_407(reader, writer, method, headers, query):
        return await origin._answer(writer, b"who?", "407 Proxy Authentication Required", ['Proxy-Authenticate: Basic realm="p"'])

    origin.do_ = origin.do_ok = origin.do_404 = do_407
    result = fetch("http://a.test/", policy)
    assert result["code"] == "ERR_PROXY_AUTHENTICATION", result
    method, target, headers = origin.requests[0]
    assert target == "http://a.test/" and headers["host"] == "a.test" and headers["proxy-authorization"].startswith("Basic ")


def test_a_407_of_an_origin_is_its_response(fetch, origin):
    async def do_407(reader, writer, *_):
        return await origin._answer(writer, b"who?", "407 Proxy Authentication Required", ['Proxy-Authenticate: Basic realm="p"'])

    origin.do_asks = do_407
    assert fetch(f"http://{origin.http}/asks", allowing(origin.http))["status"] == 407


def test_a_name_that_is_checked_needs_a_tunnel(fetch, origin, certificates, tinyproxy):
    """In absolute form the proxy would look the name up again, or the origin not hear of it."""
    proxy = tinyproxy(STRICT)
    port = origin.http.split(":")[1]
    result = fetch(f"http://good.test:{port}/ok", through(f"http://127.0.0.1:{proxy.port}", origin, certificates))
    assert result["code"] == "ERR_PROXY" and "resolve: remote" in result["message"], result
    assert f"CONNECT 127.0.0.1:{port}" in proxy.log() and "good.test" not in proxy.log() and origin.requests == []


def test_the_origin_behind_the_proxy_is_down(fetch, origin, certificates, tinyproxy, microsocks):
    port = origin.refused.split(":")[1]
    for url in (f"http://127.0.0.1:{tinyproxy().port}", f"socks5h://127.0.0.1:{microsocks().port}"):
        assert fetch(f"http://good.test:{port}/", through(url, origin, certificates))["code"] in ("ERR_PROXY", "ERR_CONNECTION_REFUSED")


def test_the_next_address_is_tried_through_a_proxy(fetch, origin, certificates, tinyproxy, microsocks):
    port = origin.http.split(":")[1]
    for url in (f"http://127.0.0.1:{tinyproxy().port}", f"socks5h://127.0.0.1:{microsocks().port}"):
        policy = through(url, origin, certificates)
        policy["network"]["dns"]["hosts"]["good.test"] = ["127.0.0.9", "127.0.0.1"]  # nobody listens at the first
        assert fetch(f"http://good.test:{port}/ok", policy).get("body") == "fine"


def test_the_proxy_is_down(fetch, origin, certificates):
    result = fetch("http://good.test/", through(f"http://{origin.refused}", origin, certificates))
    assert result["code"] == "ERR_CONNECTION_REFUSED" and "the proxy" in result["message"]


def test_the_proxy_says_nothing(fetch, origin, certificates):
    policy = through(f"http://{origin.silent}", origin, certificates)
    policy["network"]["limits"] = {"connect_timeout": "400ms"}
    result = fetch("http://good.test/", policy)
    assert result["code"] == "ERR_CONNECTION_TIMEOUT" and result["ms"] < 650


class TlsRelay(threading.Thread):
    """TLS in front of a plain proxy: what an https proxy is."""

    def __init__(self, certificate, to):
        super().__init__(daemon=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        self.to, self.loop, self.ready = to, asyncio.new_event_loop(), threading.Event()

    def run(self):
        async def relay(reader, writer):
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.to)

            async def pump(a, b):
                try:
                    while data := await a.read(65536):
                        b.write(data)
                        await b.drain()
                except (OSError, ssl.SSLError):
                    pass
                b.close()

            await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))

        async def main():
            server = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=self.context)
            self.port = server.sockets[0].getsockname()[1]
            self.ready.set()
            await asyncio.Event().wait()

        self.loop.create_task(main())
        self.loop.run_forever()


def test_https_proxy(fetch, origin, certificates, tinyproxy):
    relay = TlsRelay(certificates[0]["wrongname"], tinyproxy().port)
    relay.start()
    assert relay.ready.wait(10)
    for name, code in (("other.test", None), ("bad.test", "ERR_TLS_CERTIFICATE")):
        policy = through(f"https://{name}:{relay.port}", origin, certificates)
        policy["network"]["dns"]["hosts"][name] = "127.0.0.1"
        result = fetch(f"https://good.test:{origin.tls['good']}/ok", policy)
        assert result.get("code") == code, result
    relay.loop.call_soon_threadsafe(relay.loop.stop)
