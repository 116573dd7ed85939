"""Secrets: a guest uses one and tries to learn it. The origin echoes, codes, splits and redirects."""

import asyncio
import base64
import json
import textwrap
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


@pytest.mark.parametrize("record", ["data: one\n\n", '{"n":1}\n', '["one"]\r\n'])
def test_records_flow(postern, origin, policy, record):
    """Events and lines of JSON come at once, though the stream stays open."""
    async def do_record(reader, writer, method, headers, query):
        await origin._send(writer, b"HTTP/1.1 200 OK\r\n\r\n" + record.encode())
        await reader.read()

    origin.do_record = do_record
    code = """
      const r = await fetch(process.argv[2] + '/record');
      const reader = r.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = '';
      while (text.length < process.argv[3].length) text += (await reader.read()).value;
      await reader.cancel();
      __return(text);"""
    assert postern(code, args=[f"https://good.test:{origin.tls['good']}", record], policy=policy()).value == record


def sizes_of_pieces(postern, origin, policy, query):
    """How long the pieces are in which a guest gets a body that its origin does not end."""
    code = """
      const r = await fetch(process.argv[2] + '/guess?' + process.argv[3]);
      const reader = r.body.getReader();
      const sizes = [];
      while (sizes.reduce((a, b) => a + b, 0) < 8192) sizes.push((await reader.read()).value.length);
      await reader.cancel();
      __return(sizes);"""
    async def do_guess(reader, writer, method, headers, query):
        await origin._send(writer, b"HTTP/1.1 200 OK\r\n\r\n" + b"." * 2000 + query["guess"].encode() + b"." * 9000)
        await reader.read()

    origin.do_guess = do_guess
    return postern(code, args=[f"https://good.test:{origin.tls['good']}", query], policy=policy()).value


def test_the_held_tail_tells_nothing(postern, origin, policy):
    """A guest that guesses the secret's beginning sees the same pieces whether its guess is right or wrong."""
    for right, wrong in (("hunter2", "zzzzzzz"), ("hunter2%2F%2B", "zzzzzzz%2F%2B")):
        assert sizes_of_pieces(postern, origin, policy, "guess=" + right) == sizes_of_pieces(postern, origin, policy, "guess=" + wrong)


def test_pieces_do_not_tell_how_long_a_secret_is(postern, origin, policy, tmp_path):
    seen = []
    for secret in ("0123456789abcdef", "0123456789abcdef" * 20):
        seen.append(sizes_of_pieces(postern, origin, lambda: with_secret(policy, tmp_path, secret), "guess=" + secret))
    assert seen[0] == seen[1]


def with_secret(policy, tmp_path, value, **rule):
    made = policy(**rule)
    (tmp_path / "secret").write_text(value)
    return made


# Released by the clock, as it once was: a guest that reads late, and an origin that pauses within a value.


def test_a_guest_that_reads_late_learns_nothing(postern, origin, policy, tmp_path):
    """Its window is full in the middle of a value, and the transfer stands still."""
    code = """
      const r = await fetch(process.argv[2] + '/echo', { method: 'POST', body: (process.env.API_KEY + '\\n').repeat(130000) });
      await new Promise((done) => setTimeout(done, 450));
      const text = await r.text();
      __return([text.length, text.split('\\n').filter((line) => line !== process.env.API_KEY).join().slice(0, 200)]);"""
    policy = with_secret(policy, tmp_path, "0123456789abcdefghij", secrets_in=["body"])
    for _ in range(3):
        length, other = postern(code, args=[f"https://good.test:{origin.tls['good']}"], policy=policy).value
        assert other == "" and length == 130000 * (len(PLACEHOLDER) + 1)


@pytest.mark.parametrize("wrap", ["", "\n", "=\r\n"])
def test_an_origin_that_pauses_within_a_value_tells_nothing(postern, origin, policy, tmp_path, wrap):
    secret = "0123456789abcdefghij"

    async def do_pausing(reader, writer, method, headers, query):
        await origin._send(writer, b"HTTP/1.1 200 OK\r\n\r\nbegin ")
        for at in range(0, len(secret), 5):
            await origin._send(writer, (secret[at:at + 5] + wrap).encode())
            await asyncio.sleep(0.25)
        return False

    origin.do_pausing = do_pausing
    code = "const r = await fetch(process.argv[2] + '/pausing'); const t = []; for await (const p of r.body.pipeThrough(new TextDecoderStream())) t.push(p); __return(t.join(''));"
    har = tmp_path / "r.har"
    result = postern(code, f"--record={har}", args=[f"https://good.test:{origin.tls['good']}"], policy=with_secret(policy, tmp_path, secret))
    assert set(result.value.removeprefix("begin ").replace("=", "").split()) == {PLACEHOLDER}
    assert "01234" not in har.read_text() and PLACEHOLDER in har.read_text()


def escaped(form):
    return lambda value: "".join(form % ord(c) for c in value)


def wrapped(columns, line_end, code=lambda value: value):
    return lambda value: line_end.join(textwrap.wrap(code(value), columns, break_on_hyphens=False))


def base64_of(value):
    return base64.b64encode(value.encode()).decode()


# How an origin may write what it was given; policy/secrets/secret_filter_test.cc has more.
FORMS = {
    "as it is": str, "upper": str.upper, "lower": str.lower, "cut by one": lambda v: v[:-1], "cut by half": lambda v: v[:len(v) // 2], "its end": lambda v: v[3:],
    "mime": wrapped(19, "\r\n", base64_of), "base64 twice": lambda v: base64_of(base64_of("Bearer " + v)),
    "quoted-printable": wrapped(20, "=\r\n"), "wrapped": wrapped(17, "\n"), "hex with blanks": escaped("%02x "), "u escapes": escaped("\\u%04x"), "entities": escaped("&#%d;"),
    "percent twice": escaped("%%25%02x"), "json in a url": escaped("%%5Cu%04x"), "buffer": escaped("%d,"),
}


@pytest.mark.parametrize("form", FORMS)
def test_no_form_of_a_value_passes(postern, origin, policy, tmp_path, form):
    """As a body, a field and a status text; whole, and in the recording and the log."""
    secret = "sK_live_51H8xYzQpLmN0oRtUvWw"

    async def do_form(reader, writer, method, headers, query):
        text = FORMS[form](headers["authorization"].split(" ")[1])
        line = text.replace("\r", "").replace("\n", " ")
        return await origin._answer(writer, ("<" + text + ">").encode(), status="200 " + line, fields=["X-Echo: " + line])

    origin.do_form = do_form
    code = LEARN + f"await t(process.argv[2] + '/form', {AUTHORIZED}); __return(out.join('\\n'));"
    result = postern(code, f"--record={tmp_path}/r.har", f"--audit-log={tmp_path}/a.jsonl", args=[f"https://good.test:{origin.tls['good']}"],
                     policy=with_secret(policy, tmp_path, secret))
    coded = FORMS[form](secret)
    for text in (result.value, (tmp_path / "r.har").read_text(), (tmp_path / "a.jsonl").read_text()):
        step = max(8, len(coded) // 3)
        for at in range(0, len(coded) - step):
            assert coded[at:at + step] not in text, (form, coded[at:at + step], text)
    assert PLACEHOLDER in result.value


ASKS_FOR_OTHER_FORMS = ["range", "if-range", "request-range", "x-ms-range", "Range-Unit", "Accept-Charset", "accept_charset", "a-im", "want-digest", "Want-Content-Digest",
                        "want-repr-digest", "TimeSeekRange.dlna.org", "negotiate", "x-amz-checksum-mode", "accept-signature", "available-dictionary"]
VENDORS = ["x-amz-date", "x-ms-version", "openai-organization", "anthropic-version", "x-goog-user-project", "prefer", "if-match", "if-none-match", "accept", "content-range", "idempotency-key"]


def test_other_forms_are_not_asked_for_and_vendors_fields_pass(learned, origin, policy):
    names = ASKS_FOR_OTHER_FORMS + VENDORS
    learned(f"await t(process.argv[2] + '/headers', {{ headers: {json.dumps({name: 'x' for name in names})} }})", policy())
    sent = origin.requests[0][2]
    assert [name for name in ASKS_FOR_OTHER_FORMS if name.lower() in sent] == []
    assert [name for name in VENDORS if name not in sent] == []


@pytest.mark.parametrize("status,fields", [
    ("206 Partial Content", []), ("226 IM Used", []), ("200 OK", ["Content-Range: bytes 0-5/10"]), ("416 Range Not Satisfiable", ["Content-Range: bytes */18"]),
    ("200 OK", ["Content-Type: multipart/byteranges; boundary=x"]), ("200 OK", ["Content-Type: text/plain; charset=utf-16"]),
    ("200 OK", ['Content-Type: text/plain; a=b; Charset = "UTF-7"']), ("200 OK", ["Content-Type: text/plain; charset=utf-8", "Content-Type: text/plain; charset=IBM037"]),
    ("200 OK", ["Content-Encoding: br"]),
])
def test_what_cannot_be_filtered_is_refused(learned, origin, policy, status, fields):
    async def do_other(reader, writer, *_):
        return await origin._answer(writer, b"some text", status=status, fields=fields)

    origin.do_other = do_other
    text = learned("await t(process.argv[2] + '/other')", policy())
    assert "ERR_SECRET_CODING" in text and "some text" not in text


@pytest.mark.parametrize("type", ["text/plain", "text/plain; charset=utf-8", 'text/html; charset="ISO-8859-1"', "text/html;charset=US-ASCII", "application/json"])
def test_usual_charsets_pass(learned, origin, policy, type):
    async def do_usual(reader, writer, *_):
        return await origin._answer(writer, b"some text", fields=["Content-Type: " + type])

    origin.do_usual = do_usual
    assert "some text" in learned("await t(process.argv[2] + '/usual')", policy())


def test_hashes_of_what_is_filtered_do_not_reach_the_guest(learned, origin, policy):
    hashes = ["ETag", "Digest", "Content-Digest", "Repr-Digest", "Content-MD5", "X-Goog-Hash", "x-amz-checksum-sha256", "x-ms-content-crc64", "X-Original-Content-Length", "Signature"]

    async def do_hashed(reader, writer, *_):
        return await origin._answer(writer, b"some text", fields=[name + ": abc" for name in hashes] + ["X-Request-Id: 7"])

    origin.do_hashed = do_hashed
    text = learned("await t(process.argv[2] + '/hashed')", policy()).lower()
    assert "x-request-id: 7" in text
    assert [name for name in hashes if name.lower() + ": " in text] == []


@pytest.mark.parametrize("how", ["header_bytes", "response_bytes", "total_bytes", "upload"])
def test_no_limit_tells_how_long_a_secret_is(postern, origin, policy, tmp_path, how):
    """The same limit is met, or not, by secrets of any length."""
    async def do_header(reader, writer, method, headers, query):
        return await origin._answer(writer, b"", fields=["X-Echo: " + headers["authorization"]])

    origin.do_header = do_header
    code = """
      const read = async (r) => [...r.headers].join().length + (await r.text()).length;
      const go = (path, init) => fetch(process.argv[2] + path, init).then(read).catch((e) => e.cause?.code ?? String(e));
      const [headers, body] = [{ authorization: process.env.API_KEY.repeat(%d) }, process.env.API_KEY.repeat(5)];
      __return([%s]);""" % (50 if how == "header_bytes" else 5, {"header_bytes": "await go('/header', { headers })", "response_bytes": "await go('/headers', { headers })",
                             "total_bytes": "await go('/headers', { headers })", "upload": "await go('/echo', { method: 'POST', body }), await go('/echo', { method: 'POST', body })"}[how])
    for limit in range(1024, 1600, 64) if how == "header_bytes" else range(80, 560, 40):
        seen = []
        for secret in ("0123456789abcdef", "0123456789abcdef" * 5):
            made = with_secret(policy, tmp_path, secret, secrets_in=["headers", "body"])
            made["network"]["limits"] = {"total_bytes" if how == "upload" else how: limit}
            seen.append(postern(code, args=[f"https://good.test:{origin.tls['good']}"], policy=made).json)
        assert seen[0]["value"] == seen[1]["value"], limit
        for name in () if "ERR_LIMIT" in seen[0]["value"] else ("bytesIn", "bytesOut"):
            assert seen[0]["usage"][name] == seen[1]["usage"][name], (limit, name)


def test_guesses_in_any_form_tell_nothing(postern, origin, policy, tmp_path):
    """A guest that knows how a value begins, and has an origin repeat its guesses at the next characters, in base64 and base64 of that."""
    code = """
      const url = process.argv[2], known = 'sk-proj-', letters = 'abcdefghijklmnopqrstuvwxyz0123456789';
      const seen = new Set();
      const twice = (text) => btoa(btoa(text));
      for (const code of [(t) => t, btoa, (t) => btoa('x' + t), (t) => btoa('xy' + t), twice, (t) => twice('x' + t), (t) => twice('xy' + t), (t) => btoa('x' + btoa(t))]) {
        for (const drop of [0, 3, 6, 7]) {
          const guesses = [...letters].map((letter) => code(known.slice(drop) + letter));
          const lines = (await (await fetch(url + '/echo', { method: 'POST', body: guesses.map((g) => g + '\\n').join('\\n') })).text()).split('\\n\\n');
          seen.add(lines.map((line, i) => line.trim() === guesses[i]).every((same, _, all) => same === all[0]));
        }
      }
      __return([...seen]);"""
    policy = with_secret(policy, tmp_path, "sk-proj-q7w2m9x4k1z8")
    assert postern(code, args=[f"https://good.test:{origin.tls['good']}"], policy=policy).value == [True]


@pytest.mark.parametrize("cookie, query, code", [
    ("K=1", "", "ERR_SECRET_NAME"), ("a=1; K=1", "", "ERR_SECRET_NAME"), ("a=1;K", "", "ERR_SECRET_NAME"), ("a=1, K =1", "", "ERR_SECRET_NAME"), ("xK=1", "", "ERR_SECRET_NAME"),
    ("", "?K=1", "ERR_SECRET_NAME"), ("", "?a=1&K", "ERR_SECRET_NAME"), ("", "?a=1;K=2", "ERR_SECRET_NAME"),
    ("a=K", "", 200), ("a=1; b=K; c", "?q=K&r=1", 200), ("", "?q=xK", 200),
])
def test_a_secret_is_no_name(learned, origin, policy, cookie, query, code):
    """Origins sort by names, and what has the same name is one: the order of guesses would tell the secret."""
    asked = learned(f"""await fetch(process.argv[2] + '/echo' + {query!r}.replace('K', process.env.API_KEY), {{ headers: {{ cookie: {cookie!r}.replace('K', process.env.API_KEY) }} }})
      .then((r) => r.status, (e) => e.cause.code).then((v) => out.push(String(v)));""", policy(secrets_in=["headers", "query"]))
    assert str(code) in asked


def test_a_head_with_secrets_tells_no_length(postern, origin, policy, tmp_path):
    """Eight placeholders go, of whatever length their values are; nine are refused at once."""
    code = """
      const go = (n, more = 0) => fetch(process.argv[2] + '/ok?x=' + 'y'.repeat(more), { headers: { 'x-a': process.env.API_KEY.repeat(n) } }).then((r) => r.status, (e) => e.cause.code);
      __return([await go(8), await go(9), await go(1500), await go(1, 40000), await go(0, 40000)]);"""
    for secret in ("0123456789abcdef", "0123456789abcdef" * 200):
        made = with_secret(policy, tmp_path, secret, secrets_in=["headers", "query"])
        assert postern(code, args=[f"https://good.test:{origin.tls['good']}"], policy=made).value == [200, "ERR_LIMIT", "ERR_LIMIT", "ERR_LIMIT", 200]


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
