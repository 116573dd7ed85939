"""What a server tells Prometheus, and the probes: each metric moves when what it counts happens, and is in docs/metrics.md."""

import json
import re
import urllib.error
import urllib.request

import pytest
from conftest import ROOT, our_processes
from server import Server, until
from test_handler import Handler

DOCUMENT = (ROOT / "docs" / "metrics.md").read_text()


def metrics(text):
    """{'name{label="value"}': number}, once the format holds."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            assert re.fullmatch(r"# (HELP|TYPE) [a-z_]+ .+", line), line
        else:
            name, value = re.fullmatch(r'([a-z_]+(?:\{[a-z_]+="[^"]*"(?:,[a-z_]+="[^"]*")*\})?) (\S+)', line).groups()
            found[name] = float(value)
    return found


def scrape(server):
    with urllib.request.urlopen(f"http://{admin(server)}/metrics", timeout=10) as answer:
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        return metrics(answer.read().decode())


def admin(server):
    status = next(line for line in server.status if line.startswith("STATUS="))
    return status.split("(admin) ")[1].split()[0]


def names(found):
    return {re.sub(r"_(bucket|sum|count)$", "", name.split("{")[0]) if "seconds" in name else name.split("{")[0] for name in found}


@pytest.fixture
def server(tmp_path, origin):
    with Server(tmp_path, "--admin-listen=0", f"--allow-net={origin.http}", "--runs=1", "--queue=1", "--queue-timeout=200ms") as s:
        yield s
    assert our_processes() == []


def test_runs_are_counted_by_outcome(server):
    server.outcome({"code": "1"})
    server.run({"code": "throw 1"})
    server.run({"code": "for (;;);", "limits": {"wall": "50ms"}})
    found = scrape(server)
    assert [found[f'postern_runs_total{{outcome="{o}"}}'] for o in ("succeeded", "failed", "timed_out")] == [1, 1, 1]
    assert found["postern_run_seconds_count"] == found["postern_run_wait_seconds_count"] == found["postern_spawn_seconds_count"] == 3
    assert 0.05 <= found["postern_run_seconds_sum"] < 30
    assert found["postern_run_places"] == 1 and found["postern_zygotes"] >= 1


def test_fetches_are_counted_by_decision_error_and_bytes(server, origin):
    code = f"""
    await (await fetch('http://{origin.http}/echo', {{ method: 'POST', body: 'x'.repeat(1000) }})).text();
    for (let i = 0; i < 2; i++) await fetch('http://refused.example/').catch(() => {{}});"""
    server.outcome({"code": code})
    found = scrape(server)
    assert found['postern_fetches_total{decision="allowed"}'] == 1 and found['postern_fetches_total{decision="denied"}'] == 2
    assert found['postern_fetch_errors_total{code="ERR_NETWORK_DENIED"}'] == 2
    assert found['postern_fetch_bytes_total{direction="sent"}'] == 1000 and found['postern_fetch_bytes_total{direction="received"}'] >= 1000


def test_what_waits_and_what_is_refused(server):
    with server.connection() as first, server.connection() as second:
        body = json.dumps({"code": "await new Promise((r) => setTimeout(r, 1e6))"})
        for c in (first, second):
            c.request("POST", "/v1/runs", body, {"content-type": "application/json"})
        until(lambda: scrape(server)['postern_runs{state="waiting"}'] == 1, "nothing waits")
        found = scrape(server)
        assert found['postern_runs{state="running"}'] == 1 and found["postern_saturation_ratio"] == 2
        assert server.run({"code": "1"}).status == 429
        assert second.getresponse().status == 503
    found = scrape(server)
    assert found['postern_runs_refused_total{reason="queue_full"}'] == 1 and found['postern_runs_refused_total{reason="queue_timeout"}'] == 1


def test_layers_are_those_of_doctor(server):
    doctor = server.ask("GET", "/v1/doctor").json
    found = scrape(server)
    for part, layers in doctor["parts"].items():
        for layer in layers["on"]:
            assert found[f'postern_layer_on{{layer="{layer.split(":")[0]}",process="{part}"}}'] == 1
        for layer in layers["missing"]:
            assert found[f'postern_layer_on{{layer="{layer.split(":")[0]}",process="{part}"}}'] == 0


def test_a_handler_is_counted(tmp_path, origin):
    with Handler(tmp_path, "--admin-listen=0", f"--allow-net={origin.http}", "--guests=1", "--guest-requests=4") as h:
        for path in ("/hello", "/throw", f"/fetch?url=http://{origin.http}/ok", "/exit", "/hello"):
            h.get(path)
        until(lambda: scrape(h).get('postern_fetches_total{decision="allowed"}') == 1, lambda: str(scrape(h)))
        found = scrape(h)
        assert found['postern_handler_requests_total{status="200"}'] == 3
        assert found['postern_handler_requests_total{status="500"}'] == found['postern_handler_requests_total{status="502"}'] == 1
        assert found["postern_handler_request_seconds_count"] == 5 and found["postern_handler_guests"] >= 1
        until(lambda: scrape(h).get('postern_handler_guests_ended_total{outcome="failed"}', 0) + scrape(h).get('postern_handler_guests_ended_total{outcome="succeeded"}', 0) >= 1, "no guest ended")
    assert our_processes() == []


def test_a_guest_that_goes_on_is_counted_while_it_does(tmp_path, origin):
    with Handler(tmp_path, "--admin-listen=0", f"--allow-net={origin.http}", "--guests=1") as h:
        h.get(f"/fetch?url=http://{origin.http}/ok")
        until(lambda: scrape(h).get('postern_fetches_total{decision="allowed"}') == 1, "its fetch is not counted")
        assert scrape(h).get('postern_handler_guests_ended_total{outcome="succeeded"}', 0) == 0
        h.get(f"/fetch?url=http://{origin.http}/ok")
        until(lambda: scrape(h).get('postern_fetches_total{decision="allowed"}') == 2, "its second fetch is not counted")


def test_every_metric_is_documented_and_every_documented_one_is_there(server, tmp_path, origin):
    server.run({"code": f"await fetch('http://{origin.http}/ok'); await fetch('http://refused.example/').catch(() => {{}})"})
    found = names(scrape(server))
    documented = set(re.findall(r"^\| `([a-z_]+)`", DOCUMENT, re.M))
    assert found <= documented
    text = (ROOT / "server" / "metrics" / "metrics.cc").read_text()
    assert documented == set(re.findall(r'"((?:postern|process)_[a-z_]+)"', text))


def test_the_dashboard_asks_for_metrics_that_there_are():
    dashboard = json.loads((ROOT / "packaging" / "grafana" / "postern.json").read_text())
    documented = set(re.findall(r"^\| `([a-z_]+)`", DOCUMENT, re.M))
    asked = set()
    for panel in dashboard["panels"]:
        assert panel["title"] and (panel["type"] == "row" or panel["targets"])
        for target in panel.get("targets", ()):
            asked |= {re.sub(r"_(bucket|sum|count)$", "", m) if "seconds" in m else m for m in re.findall(r"(?:postern|process)_[a-z_]+", target["expr"])}
    assert asked <= documented and len(asked) >= 12
    places = [tuple(p["gridPos"].values()) for p in dashboard["panels"]]
    assert len(set(places)) == len(places)


def test_probes_need_no_token_and_nothing_else_is_there(server):
    for path, body in (("/v1/health", "ok"), ("/v1/ready", "ready")):
        with urllib.request.urlopen(f"http://{admin(server)}{path}", timeout=10) as answer:
            assert json.load(answer)["status"] == body
    for path in ("/v1/runs", "/v1/doctor", "/", "/metrics/x"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(f"http://{admin(server)}{path}", b"{}"), timeout=10)
        assert refused.value.code == 404


def test_over_tcp_metrics_need_a_token(tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text("me a-token-of-24-characters\n")
    with Server(tmp_path, "--listen=0", f"--token-file={tokens}") as s:
        assert s.ask("GET", "/metrics", tcp=True).status == 401
        answer = s.ask("GET", "/metrics", headers={"authorization": "Bearer a-token-of-24-characters"}, tcp=True)
        assert answer.status == 200 and b"postern_run_places" in answer.body


# ---- trace context

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SHOW = "const text = await (await fetch(process.env.URL, { headers: { traceparent: '00-11111111111111111111111111111111-2222222222222222-00', tracestate: 'guest=1' } })).text(); __return(Object.fromEntries(text.split('\\n').map((line) => line.split(': '))))"


def traced(origin, trace="true"):
    return f'version: 1\nnetwork: {{permission: allow, rules: [{{allow: "{origin.http}", trace: {trace}}}]}}\n'


def test_a_trace_goes_on_where_the_policy_says_so(tmp_path, origin):
    policy = tmp_path / "policy.yaml"
    policy.write_text(traced(origin))
    with Server(tmp_path, f"--policy={policy}") as s:
        body = {"code": SHOW, "env": {"URL": f"http://{origin.http}/headers"}}
        seen = s.run(body, {"traceparent": PARENT}).json["value"]
        assert seen["traceparent"].startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-") and seen["traceparent"].endswith("-01")
        assert seen["traceparent"][36:52] not in ("00f067aa0ba902b7", "2222222222222222") and "tracestate" not in seen
        # Without one, what the guest says is its own.
        assert s.run(body).json["value"]["traceparent"].startswith("00-1111")
        assert s.run(body, {"traceparent": "nonsense"}).json["value"]["traceparent"].startswith("00-1111")
        policy.write_text(traced(origin, "false"))
    with Server(tmp_path, f"--policy={policy}") as s:
        assert s.run(body, {"traceparent": PARENT}).json["value"]["traceparent"].startswith("00-1111")


def test_a_run_of_the_command_belongs_to_its_variable(postern, origin, monkeypatch):
    monkeypatch.setenv("TRACEPARENT", PARENT)
    result = postern(SHOW, f"--env=URL=http://{origin.http}/headers", policy=traced(origin))
    assert result.value["traceparent"].startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")
