"""Responses and requests that do not fit on a guest's channel: they fail alone, and all else goes on. The next one is a row here."""

import json

import pytest
from conftest import allowing

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
RESPONSES = {
    "a long status text": b"HTTP/1.1 200 " + b"\xff" * 30_000 + b"\r\nContent-Length: 0\r\n\r\n",
    "a longer one": b"HTTP/1.1 200 " + b"x" * 62_000 + b"\r\nContent-Length: 0\r\n\r\n",
    "a long field": HEAD + b"X-A: " + b"y" * 70_000 + b"\r\n\r\n",
    "a long name": HEAD + b"X-" + b"y" * 70_000 + b": 1\r\n\r\n",
    "two fields": HEAD + (b"X-A: " + b"y" * 40_000 + b"\r\n") * 3 + b"\r\n",
    "many fields": HEAD + b"".join(b"X-%d: %0102d\r\n" % (i, i) for i in range(1000)) + b"\r\n",
}


@pytest.mark.parametrize("kind", RESPONSES)
def test_a_response_too_large_fails_alone(postern, origin, kind):
    """Three of them, beside a request that is answered after all of them are."""
    async def do_large(reader, writer, *_):
        await origin._send(writer, RESPONSES[kind])
        return False

    origin.do_large = do_large
    code = """
      const [url] = process.argv.slice(2);
      const slow = fetch(url + '/delay?ms=300').then((r) => r.text());
      const codes = [];
      for (let i = 0; i < 4; i++) codes.push(await fetch(url + '/large').then((r) => r.status, (e) => e.cause.code));
      __return([codes, await slow, await (await fetch(url + '/ok')).text()]);"""
    policy = allowing(origin.http, header_bytes="64KiB", header_count=1024)
    assert postern(code, args=[f"http://{origin.http}"], policy=policy).value == [["ERR_LIMIT"] * 4, "late", "fine"]


REQUESTS = {"a long field": [["x-a", 70_000]], "a long name": [["x" * 70_000, 1]], "many": [[f"x-{i}", 20_000] for i in range(10)]}


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_request_too_large_fails_alone(postern, origin, kind):
    code = """
      const [url, fields] = [process.argv[2], JSON.parse(process.argv[3])];
      const slow = fetch(url + '/delay?ms=300').then((r) => r.text());
      const headers = fields.map(([name, size]) => [name, 'y'.repeat(size)]);
      const codes = [];
      for (let i = 0; i < 4; i++) codes.push(await fetch(url + '/headers', { headers }).then((r) => r.status, (e) => e.cause.code));
      __return([codes, await slow, await (await fetch(url + '/ok')).text()]);"""
    result = postern(code, args=[f"http://{origin.http}", json.dumps(REQUESTS[kind])], policy=allowing(origin.http))
    assert result.value == [["ERR_LIMIT"] * 4, "late", "fine"]


@pytest.mark.parametrize("headers", [[{"name": "X-A", "value": "y" * 3_000_000}], [{"name": f"X-{i}", "value": "1"} for i in range(20_000)]])
def test_a_recording_s_response_too_large(postern, tmp_path, headers):
    def entry(url, headers):
        return {"request": {"method": "GET", "url": url}, "response": {"status": 200, "headers": headers, "content": {"text": "fine"}}}

    entries = [entry("https://a.test/large", headers), entry("https://a.test/ok", [])]
    (tmp_path / "r.har").write_text(json.dumps({"log": {"entries": entries}}))
    code = """
      const large = await fetch('https://a.test/large').then((r) => r.status, (e) => e.cause.code);
      __return([large, await (await fetch('https://a.test/ok')).text()]);"""
    result = postern(code, f"--adapter=replay:{tmp_path}/r.har", "--allow-net=a.test")
    assert result.value == ["ERR_LIMIT", "fine"] and result.seconds < 5
