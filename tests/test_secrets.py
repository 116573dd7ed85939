"""Secrets: a guest uses one and tries to learn it. The origin echoes, codes, splits and redirects."""

import base64
import json
import urllib.parse

import pytest
from conftest import allowing

SECRET = 'hunter2/+ "x"&ü'
PLACEHOLDER = "postern-secret-API_KEY-"

# Everything that a response can tell a guest, as one text.
LEARN = """
const out = [];
const t = async (url, init) => {
  try {
    const r = await fetch(url, init);
    const bytes = new Uint8Array(await r.arrayBuffer());
    out.push(r.status + ' ' + r.statusText, r.url, ...[...r.headers].map((f) => f.join(': ')), new TextDecoder('latin1').decode(bytes), new TextDecoder().decode(bytes));
  } catch (e) { out.push(String(e.message), String(e.cause?.code)); }
};
"""


def spellings(secret):
    raw = secret.encode()
    return {raw.decode("latin-1"), secret, raw.hex(), urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret), json.dumps(secret)[1:-1],
            base64.b64encode(raw).decode()[:-4], base64.b64encode(b"Bearer " + raw).decode()[12:-4], "hunter2"}


@pytest.fixture
def policy(origin, certificates, tmp_path):
    """A policy with one secret and one rule that names it; `rule` adds to the rule."""
    (tmp_path / "secret").write_text(SECRET + "\n")

    def make(*more, **rule):
        port = origin.tls["good"]
        p = allowing({"allow": f"https://good.test:{port}", "addresses": ["127.0.0.0/8"], "secrets": ["API_KEY"], **rule}, *more)
        p["secrets"] = {"API_KEY": {"file": str(tmp_path / "secret")}}
        p["network"]["dns"] = {"hosts": {"good.test": "127.0.0.1", "other.test": "127.0.0.1"}}
        p["network"]["tls"] = {"ca_file": str(certificates[1])}
        return p

    return make


@pytest.fixture
def learned(postern, origin):
    """learned(code, policy): all that the guest saw, after a check that the secret is in none of it."""

    def run(code, policy, *options):
        result = postern(LEARN + code + "; __return(out);", *options, args=[f"https://good.test:{origin.tls['good']}"], policy=policy)
        text = "\n".join(result.value)
        for spelling in spellings(SECRET):
            assert spelling not in text, spelling
        return text

    return run


AUTHORIZED = "{ headers: { authorization: 'Bearer ' + process.env.API_KEY } }"


def test_the_guest_has_a_placeholder_and_the_origin_the_value(learned, origin, policy):
    text = learned(f"out.push(process.env.API_KEY); await t(process.argv[2] + '/headers', {AUTHORIZED})", policy())
    assert text.startswith(PLACEHOLDER) and f"authorization: Bearer {PLACEHOLDER}" in text
    assert origin.requests[0][2]["authorization"].encode("latin-1").decode() == "Bearer " + SECRET


@pytest.mark.parametrize("how", ["raw", "split", "header", "name", "status", "base64", "hex", "percent", "form", "json", "gzip"])
def test_an_echo_tells_nothing(learned, origin, policy, how):
    text = learned(f"await t(process.argv[2] + '/reflect?as={how}', {AUTHORIZED})", policy())
    assert len(origin.requests) == 1 and SECRET.encode().decode("latin-1") in origin.requests[0][2]["authorization"]
    if how == "gzip":
        assert "ERR_SECRET_CODING" in text
    elif how != "name":
        assert PLACEHOLDER in text, text


def test_basic_authorization(learned, origin, policy):
    learned("await t(process.argv[2] + '/headers', { headers: { authorization: 'Basic ' + btoa('user:' + process.env.API_KEY) } })", policy())
    sent = origin.requests[0][2]["authorization"]
    assert base64.b64decode(sent.split(" ")[1]).decode() == "user:" + SECRET


def test_ranges_codings_and_trace_are_not_asked_for(learned, origin, policy):
    learned("""
      for (let i = 0; i < 4; i++) await t(process.argv[2] + '/headers', { headers: { range: `bytes=${i}-${i}`, 'if-range': 'x', 'accept-encoding': 'gzip' } });
      await t(process.argv[2] + '/headers', { method: 'TRACE' }).catch(() => {});""", policy())
    assert len(origin.requests) == 4
    assert all("range" not in h and "if-range" not in h and h["accept-encoding"] == "identity" for _, _, h in origin.requests)


def test_a_length_tells_nothing(learned, policy):
    text = learned(f"await t(process.argv[2] + '/reflect', {AUTHORIZED})", policy())
    assert "content-length" not in text


def test_redirects_and_other_origins(learned, origin, policy):
    """The value goes to its rule's host alone, and comes back as the placeholder in a Location."""
    other = f"http://{origin.http}"
    text = learned(f"await t(process.argv[2] + '/reflect?as=location&to={other}/headers', {AUTHORIZED}); await t('{other}/headers', {AUTHORIZED})",
                   policy(f"http://{origin.http}"))
    assert PLACEHOLDER in text
    for _, target, headers in origin.requests[1:]:
        assert SECRET not in str(headers) and "hunter2" not in target + str(headers)


def test_another_rule_for_the_same_host_tells_nothing_either(learned, origin, policy):
    """What one rule stored at the origin cannot be read back under a rule without secrets."""
    rule = policy({"allow": f"https://good.test:{origin.tls['good']}", "methods": ["GET"], "paths": ["/headers", "/reflect"], "addresses": ["127.0.0.0/8"],
                   "headers": {"authorization": "Bearer fixed"}})
    text = learned("await t(process.argv[2] + '/headers')", rule)
    assert "Bearer fixed" in text
    learned(f"await t(process.argv[2] + '/echo', {{ method: 'POST', body: {json.dumps(SECRET)} }})", rule)


def test_query_and_body_only_where_the_rule_says_so(learned, origin, policy):
    code = """
      const p = process.env.API_KEY;
      await t(process.argv[2] + '/echo?key=' + p, { method: 'POST', body: 'key=' + p });"""
    learned(code, policy())
    assert PLACEHOLDER in origin.requests[0][1]
    learned(code, policy(secrets_in=["query", "body"]))
    assert "key=hunter2%2F%2B%20%22x%22%26%C3%BC" in origin.requests[1][1]


def test_a_body_carries_the_value_across_chunks(postern, origin, policy):
    """Written byte by byte, as JSON; the echo comes back with the placeholder."""
    code = """
      const text = JSON.stringify({ before: '.'.repeat(300), key: process.env.API_KEY, after: 1 });
      const body = new ReadableStream({ async pull(c) { for (const b of new TextEncoder().encode(text)) c.enqueue(new Uint8Array([b])); c.close(); } });
      const r = await fetch(process.argv[2] + '/echo', { method: 'POST', duplex: 'half', headers: { 'content-type': 'application/json' }, body });
      __return([text, await r.text()]);"""
    seen = []
    body = origin._body

    async def keep(reader, headers):
        seen.append(await body(reader, headers))
        return seen[-1]

    origin._body = keep
    sent, back = postern(code, args=[f"https://good.test:{origin.tls['good']}"], policy=policy(secrets_in=["body"])).value
    assert json.loads(seen[0])["key"] == SECRET
    assert sent == back


def test_a_rule_can_set_the_header_itself(learned, origin, policy):
    rule = policy(headers={"authorization": "Bearer ${secret:API_KEY}"})
    del rule["network"]["rules"][0]["secrets"]
    learned("await t(process.argv[2] + '/reflect')", rule)
    assert "hunter2" in origin.requests[0][2]["authorization"]


def test_logs_and_recordings_have_the_placeholder(learned, origin, policy, tmp_path):
    learned(f"""
      await t(process.argv[2] + '/reflect?as=json&k=' + process.env.API_KEY, {AUTHORIZED});
      await t(process.argv[2] + '/reflect?as=header', {AUTHORIZED});
      await t(process.argv[2] + '/echo', {{ method: 'POST', body: process.env.API_KEY }});""",
            policy(secrets_in=["headers", "query", "body"]), f"--record={tmp_path}/r.har", f"--audit-log={tmp_path}/a.jsonl")
    for name in ("r.har", "a.jsonl"):
        text = (tmp_path / name).read_text()
        assert PLACEHOLDER in text
        for spelling in spellings(SECRET):
            assert spelling not in text, (name, spelling)


def test_event_streams_flow(postern, origin, policy):
    """What is held back comes after a fixed pause, though the stream stays open."""
    code = """
      const r = await fetch(process.argv[2] + '/events');
      const reader = r.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = '';
      const begun = performance.now();
      while (!text.endsWith('\\n\\n')) text += (await reader.read()).value;
      const ms = performance.now() - begun;
      await reader.cancel();
      __return([text, ms]);"""
    text, ms = postern(code, args=[f"https://good.test:{origin.tls['good']}"], policy=policy()).value
    assert text == "data: one\n\n" and ms < 1000


def test_the_held_tail_tells_nothing(postern, origin, policy):
    """A guest that guesses the secret's beginning sees as many bytes at once whether its guess is right or wrong."""
    async def do_guess(reader, writer, method, headers, query):
        await origin._send(writer, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"." * 2000 + query["guess"].encode()
        await origin._send(writer, b"%x\r\n%s\r\n" % (len(piece), piece))
        await reader.read()

    origin.do_guess = do_guess
    code = """
      const seen = [];
      for (const guess of ['hunter2', 'zzzzzzz', 'hunter2%2F%2B', 'zzzzzzz%2F%2B']) {
        const r = await fetch(process.argv[2] + '/guess?guess=' + guess);
        const reader = r.body.getReader();
        seen.push((await reader.read()).value.length);
        await reader.cancel();
      }
      __return(seen);"""
    right, wrong, longer, other = postern(code, args=[f"https://good.test:{origin.tls['good']}"], policy=policy()).value
    assert right == wrong and longer == other


def test_the_secret_is_nowhere_in_the_guest(postern, origin, policy):
    """Neither its environment nor its arguments, and no file that it can read."""
    result = postern("""
      const seen = [JSON.stringify(process.env), process.argv.join()];
      for (const path of ['/proc/self/environ', '/proc/1/environ']) seen.push(await import('file://' + path, { with: { type: 'json' } }).then(() => 'read', (e) => e.message));
      __return(seen.join());""", policy=policy())
    assert "hunter2" not in result.value and PLACEHOLDER in result.value


@pytest.mark.parametrize("value,why", [(None, "is not set here"), ("short", "has 5 bytes"), ("with\nnewline-in-it", "no header field can carry"), ("x" * 5000, "has 5000 bytes")])
def test_bad_secrets_are_refused(postern, monkeypatch, value, why):
    monkeypatch.delenv("API_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("API_KEY", value)
    result = postern("1", "--secret=API_KEY", json_result=False)
    assert result.status == 3 and why in result.err, result.err


def test_the_flag(postern, origin, certificates, monkeypatch):
    monkeypatch.setenv("API_KEY", "from-the-environment")
    host = f"https://good.test:{origin.tls['good']}"
    base = {"version": 1, "network": {"dns": {"hosts": {"good.test": "127.0.0.1"}}, "tls": {"ca_file": str(certificates[1])},
                                      "rules": [{"allow": host, "methods": ["OPTIONS"], "addresses": ["127.0.0.0/8"]}]}}
    result = postern(f"__return(await fetch('{host}/headers', {AUTHORIZED}).then((r) => r.text(), (e) => e.message))",
                     f"--secret=API_KEY@{host}", policy=base)
    assert "is blocked (loopback)" in result.value  # the flag's rule opens no address
    for bad, why in (("1X", "no name of a variable"), ("API_KEY@http://a.test", "needs https://"), ("API_KEY@*", "needs https://")):
        refused = postern("1", f"--secret={bad}", json_result=False)
        assert refused.status == 2 and why in refused.err
