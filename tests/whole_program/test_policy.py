"""Policy files as a user meets them: check, explain, the schema, and rules in force against a real origin."""

import json
import re
import subprocess

import pytest
import yaml
from conftest import POSTERN, ROOT, allowing
from jsonschema import Draft202012Validator

SCHEMA = Draft202012Validator(json.loads((ROOT / "docs" / "policy.schema.json").read_text()))


def command(*words, **options):
    return subprocess.run([POSTERN, *map(str, words)], capture_output=True, text=True, timeout=30, **options)


def malformed():
    """[(message, yaml)] of the parser's own table."""
    text = (ROOT / "policy" / "file" / "testdata" / "malformed.txt").read_text()
    return [tuple(part.split("\n", 1)) for part in re.split(r"^=== ", text, flags=re.M)[1:]]


def test_check_refuses_each_malformed_policy(tmp_path):
    for i, (_, text) in enumerate(malformed()):
        (tmp_path / f"{i}.yaml").write_text(text)
    names = [f"{i}.yaml" for i in range(len(malformed()))]
    done = command("check", *names, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    lines = done.stderr.splitlines()
    assert len(lines) == len(names) >= 200
    for i, (message, _) in enumerate(malformed()):
        assert lines[i].startswith("postern: " + message.replace("p.yaml", f"{i}.yaml", 1))


def test_run_refuses_a_malformed_policy(tmp_path):
    policy = tmp_path / "p.yaml"
    for message, text in malformed()[::25]:
        policy.write_text(text)
        done = command("eval", f"--policy={policy}", "1")
        assert (done.returncode, done.stdout) == (3, "")
        assert message.replace("p.yaml", str(policy), 1) in done.stderr


def documented():
    """Every policy that docs/policy.md shows."""
    return re.findall(r"```yaml\n(version: 1.*?)```", (ROOT / "docs" / "policy.md").read_text(), re.S)


VALID = [
    "version: 1",
    "version: 1\nnetwork: {}",
    "version: 1\nnetwork: {permission: allow, mode: report, adapter: none}",
    "version: 1\nnetwork: {adapter: {proxy: 'socks5h://u:p@127.0.0.1', resolve: remote}}",
    "version: 1\nnetwork: {adapter: {replay: ./a.har}, rules: []}",
    "version: 1\nnetwork: {permission: allow, rules: [{allow: '*'}, {deny: 10.0.0.0/8}, {allow: '[fd00::/8]:443'}, {allow: 'tcp://db.test:5432'}]}",
    "version: 1\nnetwork: {permission: allow, rules: [{allow: 'https://a.test/v1/**', methods: [GET], headers: {x-a: b}, addresses: [10.0.0.0/8]}]}",
    "version: 1\nnetwork: {limits: {rate: 100/s, queue: 5, concurrent: 8, connect_timeout: 1.5s, response_bytes: 10}}",
    "version: 1\nnetwork: {dns: {servers: [1.1.1.1], hosts: {a.test: [1.1.1.1, '::1'], b.test: 1.1.1.1}}}",
    "version: 1\nsecrets: {K: {env: A}, L: {file: /run/k}}\nnetwork: {permission: allow, rules: [{allow: 'https://a.test', secrets: [K], secrets_in: [query, body]}]}",
    "version: 1\naudit: {file: ./a.jsonl, required: true, query: redact}\nmounts: [{host: ., guest: /data}]\nenv: {A: b}\nlimits: {wall: 1s}",
]


@pytest.mark.parametrize("text", VALID)
def test_schema_and_parser_accept(tmp_path, text):
    (tmp_path / "p.yaml").write_text(text)
    done = command("check", "p.yaml", cwd=tmp_path)
    told = [line for line in done.stderr.splitlines() if " here, which " not in line]  # what it names is not there
    assert (done.returncode, told) == (0, [])
    SCHEMA.validate(yaml.load(text, yaml.BaseLoader))


def test_what_the_manual_shows_is_valid(tmp_path):
    assert documented()
    for text in documented():
        (tmp_path / "p.yaml").write_text(text)
        for name in ("ca.pem", "client.pem"):
            (tmp_path / name).write_text("-----BEGIN CERTIFICATE-----\n")
        (tmp_path / "client.key").write_text("-----BEGIN PRIVATE KEY-----\n")
        done = command("check", "p.yaml", cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), text
        SCHEMA.validate(yaml.load(text, yaml.BaseLoader))


def test_the_schema_knows_the_parsers_structure():
    """What the parser refuses for its shape, the schema refuses as well."""
    shape = re.compile(r"unknown key|must be (a mapping|a list|one of)|must begin with|is no (duration|size|rate|whole number)|needs? ")
    refused = 0
    for message, text in malformed():
        if not shape.search(message) or "stands twice" in message:
            continue
        try:
            value = yaml.load(text, yaml.BaseLoader)
        except yaml.YAMLError:
            continue
        if "needs https" in message or "needs a port" in message or "needs a scheme" in message:
            continue  # about a value's meaning
        assert not SCHEMA.is_valid(value), text
        refused += 1
    assert refused > 100


def test_schema_and_manual_know_every_limit():
    names = set(re.findall(r'\{"(\w+)", &NetworkLimits', (ROOT / "policy" / "limits.cc").read_text()))
    assert names == set(SCHEMA.schema["properties"]["network"]["properties"]["limits"]["properties"])
    manual = (ROOT / "docs" / "policy.md").read_text()
    assert {n for n in names if f"`{n}`" not in manual} == set()


EXPLAINED = """version: 1
network:
  permission: allow
  rules:
    - allow: https://api.example.com
      methods: [GET]
      paths: [/v1/**]
    - deny: https://api.example.com/v1/admin/**
    - allow: db.internal:8080
      addresses: [10.1.2.0/24]
"""


@pytest.mark.parametrize("method,url,status,parts", [
    ("GET", "https://API.example.com:443/v1/users", 0, {"decision": "allow", "rule": "https://api.example.com (p.yaml:5:7)", "adapter": "direct"}),
    ("GET", "http://db.internal:8080/", 0, {"addresses": "public ones, and those in 10.1.2.0/24, as looked up when the request is made"}),
    ("LOOKUP", "dns://db.internal", 0, {"request": "LOOKUP dns://db.internal", "rule": "db.internal:8080 (p.yaml:9:7)"}),
    ("LOOKUP", "dns://other.example", 1, {"change": 'add the rule {allow: "other.example"}, or --allow-net=other.example'}),
    ("POST", "https://api.example.com/v1/users", 1, {"change": 'add POST to the methods of the rule "https://api.example.com" (p.yaml:5:7)'}),
    ("GET", "https://api.example.com/v2", 1, {"change": 'add "/v2" to the paths of the rule "https://api.example.com" (p.yaml:5:7)'}),
    ("GET", "https://api.example.com/v1/x/..%2fadmin/k", 1, {"rule": "https://api.example.com/v1/admin/** (p.yaml:8:7)"}),
    ("GET", "http://10.1.2.3:8080/", 1, {"decision": "deny"}),
    ("GET", "https://other.example/a?b=c", 1,
     {"change": 'add the rule {allow: "https://other.example", methods: [GET], paths: ["/a"]}, or --allow-net=other.example:443'}),
])
def test_explain(tmp_path, method, url, status, parts):
    (tmp_path / "p.yaml").write_text(EXPLAINED)
    done = command("explain", "--json", "p.yaml", method, url, cwd=tmp_path)
    assert done.returncode == status, done.stderr
    said = json.loads(done.stdout)
    assert {k: said.get(k) for k in parts} == parts


@pytest.mark.parametrize("address, status", [("169.254.169.254", 1), ("127.1", 1), ("[::1]", 1), ("[::ffff:10.0.0.1]", 1), ("1.1.1.1", 0)])
def test_explain_judges_an_address_that_is_written_out(tmp_path, address, status):
    """With the exit status that a script asks for."""
    (tmp_path / "p.yaml").write_text("version: 1\nnetwork: {permission: allow, rules: [{allow: '*'}]}")
    done = command("explain", "--json", "p.yaml", "GET", f"http://{address}/", cwd=tmp_path)
    said = json.loads(done.stdout)
    assert (done.returncode, said["decision"]) == (status, "deny" if status else "allow")
    assert not status or "ERR_ADDRESS_BLOCKED" in said["reason"]


@pytest.mark.parametrize("rules, url, part, said", [
    ("permission: deny, rules: [{allow: '*'}]", "https://a.test/", "change", "set permission: allow"),
    ("permission: allow, rules: [{allow: 'https://a.test', secrets: [K]}, {allow: 'a.test'}]", "wss://a.test/", "reason", "ERR_SECRET_STREAM"),
])
def test_explain_says_what_the_run_would(tmp_path, rules, url, part, said):
    (tmp_path / "p.yaml").write_text("version: 1\nsecrets: {K: {env: K}}\nnetwork: {" + rules + "}")
    done = command("explain", "--json", "p.yaml", "GET", url, cwd=tmp_path)
    assert done.returncode == 1 and json.loads(done.stdout)[part].endswith(said)


@pytest.mark.parametrize("words,status,message", [
    (["p.yaml", "GET", "nonsense"], 2, "not a valid URL"),
    (["p.yaml", "G E T", "https://a.test/"], 2, "no HTTP method"),
    (["p.yaml", "GET", "https://u:p@a.test/"], 2, "user info"),
    (["none.yaml", "GET", "https://a.test/"], 3, "cannot read the policy none.yaml"),
])
def test_explain_refuses(tmp_path, words, status, message):
    (tmp_path / "p.yaml").write_text(EXPLAINED)
    done = command("explain", *words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr


def test_methods_and_paths_in_force(postern, origin):
    policy = allowing({"allow": f"http://{origin.http}", "methods": ["GET", "PUT"], "paths": ["/echo", "/ok"]},
                      {"deny": f"http://{origin.http}", "methods": ["PUT"], "paths": ["/ok"]})
    result = postern("""
      const [origin] = process.argv.slice(2);
      const code = (p) => p.then((r) => r.status, (e) => e.cause.code);
      __return([
        await code(fetch(`${origin}/ok`)), await code(fetch(`${origin}/ok`, { method: 'PUT' })),
        await code(fetch(`${origin}/echo`, { method: 'PUT', body: 'x' })), await code(fetch(`${origin}/echo`, { method: 'POST', body: 'x' })),
        await code(fetch(`${origin}/headers`)), await code(fetch(`${origin}/ok/..%2fheaders`)),
        await code(fetch(`${origin}/ok`, { headers: { 'X-HTTP-Method-Override': 'DELETE' } })),
      ]);""", args=[f"http://{origin.http}"], policy=policy)
    denied = "ERR_NETWORK_DENIED"
    assert result.value == [200, denied, 200, denied, denied, denied, denied]
    assert [r[:2] for r in origin.requests] == [("GET", "/ok"), ("PUT", "/echo")]


def test_a_rule_sets_headers(fetch, origin):
    policy = allowing({"allow": f"http://{origin.http}", "headers": {"X-Team": "blue", "Authorization": "Bearer fixed"}})
    body = fetch(f"http://{origin.http}/headers", policy, {"headers": {"authorization": "mine", "x-own": "1"}})["body"]
    assert "authorization: Bearer fixed" in body and "x-team: blue" in body and "x-own: 1" in body and "mine" not in body


def test_flags_and_file_merge(postern, origin):
    """Flags add rules and win over settings; a deny of either wins."""
    policy = allowing(origin.silent)
    policy["network"]["adapter"] = "none"
    code = "const t = (u) => fetch(u).then((r) => r.status, (e) => e.cause.code); __return([await t(process.argv[2]), await t(process.argv[3])]);"
    urls = [f"http://{origin.http}/ok", f"http://{origin.silent}/"]
    assert postern(code, f"--allow-net={origin.http}", args=urls, policy=policy).value == ["ERR_NO_NETWORK_ADAPTER"] * 2
    options = [f"--allow-net={origin.http}", "--adapter=direct", f"--deny-net={origin.silent}"]
    assert postern(code, *options, args=urls, policy=policy).value == [200, "ERR_NETWORK_DENIED"]
    policy["network"]["rules"].append({"deny": origin.http})
    assert postern(code, *options, args=urls, policy=policy).value == ["ERR_NETWORK_DENIED"] * 2


def test_a_large_policy_reaches_the_broker(fetch, origin):
    rules = [{"allow": f"https://host{i}.example.com", "methods": ["GET", "POST"], "paths": [f"/v{i}/**"]} for i in range(3000)]
    assert fetch(f"http://{origin.http}/ok", allowing(*rules, {"allow": f"http://{origin.http}"}))["body"] == "fine"


def test_network_report_flag(postern, origin):
    policy = {"version": 1, "network": {"rules": []}}
    result = postern(f"await fetch('http://{origin.http}/ok').catch(() => {{}})", "--network-report", policy=policy, json_result=False)
    assert result.status == 0
    assert yaml.safe_load(result.err)["network"]["rules"] == [{"allow": f"http://{origin.http}", "methods": ["GET"], "paths": ["/ok"]}]


def test_a_long_report_is_printed_whole(postern):
    """Longer than one message to the supervisor is; nothing listens, so that it is quick."""
    policy = {"version": 1, "network": {"rules": [], "adapter": "none"}}
    code = "for (let i = 0; i < 120; i++) await fetch('http://h' + i % 3 + '.test/' + 'p'.repeat(2000) + i).catch(() => {});"
    result = postern(code, "--network-report", policy=policy, json_result=False)
    assert result.status == 0
    rules = yaml.safe_load(result.err)["network"]["rules"]
    assert [len(rule["paths"]) for rule in rules] == [40, 40, 40] and "omitted" not in result.err


LIMITED = "const t = (u, i) => fetch(u, i).then((r) => r.text()).then((b) => b.length, (e) => [e.cause.code, e.message]);"


def test_rate(postern, origin):
    result = postern(LIMITED + "const all = []; for (let i = 0; i < 4; i++) all.push(await t(process.argv[2])); __return(all);",
                     args=[f"http://{origin.http}/ok"], policy=allowing(origin.http, rate="3/h"))
    assert result.value[:3] == [4, 4, 4]
    assert result.value[3][0] == "ERR_RATE_LIMIT" and "may be made in 1" in result.value[3][1]


def test_total_bytes(postern, origin):
    result = postern(LIMITED + "const all = []; for (let i = 0; i < 3; i++) all.push(await t(process.argv[2])); __return(all);",
                     args=[f"http://{origin.http}/bytes?n=600"], policy=allowing(origin.http, total_bytes="1kB"))
    assert result.value[0] == 600
    assert [r[0] for r in result.value[1:]] == ["ERR_LIMIT"] * 2 and "total_bytes" in result.value[1][1]


def test_queue_then_refuse(postern, origin):
    result = postern(LIMITED + """
      const all = await Promise.all(Array.from({ length: 8 }, () => t(process.argv[2])));
      __return(all);""", args=[f"http://{origin.http}/delay?ms=100"], policy=allowing(origin.http, concurrent=2, queue=3))
    assert [r for r in result.value if r == 4] == [4] * 5
    assert all(r[0] == "ERR_LIMIT" and "queue" in r[1] for r in result.value if r != 4)


def test_queue_timeout(postern, origin):
    result = postern(LIMITED + "__return(await Promise.all([t(process.argv[2]), t(process.argv[2])]));",
                     args=[f"http://{origin.http}/delay?ms=900"], policy=allowing(origin.http, concurrent=1, queue_timeout="200ms"))
    assert result.value[0] == 4 and result.value[1][0] == "ERR_LIMIT" and "queue_timeout" in result.value[1][1]
