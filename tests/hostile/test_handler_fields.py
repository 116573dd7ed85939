"""What a handler's guest answers with more fields than a response may have: the guest is told, its client gets 500, the others their answers."""

import concurrent.futures

import pytest
from conftest import our_processes
from test_handler import Handler

MODULE = """
const fields = (n, size) => Object.fromEntries(Array.from({ length: n }, (_, i) => [`x-${i}`, 'y'.repeat(size)]));
let waiting = [];
export default { async fetch(request) {
  const [what, n, size] = new URL(request.url).pathname.slice(1).split('/');
  if (what === 'wait') { await new Promise((resolve) => waiting.push(resolve)); return new Response('waited'); }
  if (what === 'go') { for (const resolve of waiting.splice(0)) resolve(); return new Response(); }
  if (what === 'stream') return new Response(new Blob(['streamed']).stream(), { headers: fields(Number(n), Number(size)) });
  return new Response('answered', { headers: fields(Number(n), Number(size)) });
} };
"""

# (kind, how many fields, bytes of each) of responses that are too large
TOO_LARGE = [("give", 1, 2_000_000), ("give", 32, 65_536), ("give", 20_000, 100), ("give", 40_000, 0), ("stream", 4, 500_000), ("give", 1, 131_072), ("give", 1, 65_537), ("give", 2, 65_536)]
FITS = [("give", 1, 60_000), ("give", 90, 1_000), ("stream", 2, 50_000)]


@pytest.fixture
def handler(tmp_path):
    module = tmp_path / "handler.mjs"
    module.write_text(MODULE)
    with Handler(tmp_path, "--handler-timeout=20s", "--guests=1", module=module) as h:
        yield h
    assert our_processes() == []


def test_the_response_alone_fails(handler):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        waits = [pool.submit(handler.get, "/wait") for _ in range(3)]
        for kind, n, size in TOO_LARGE:
            answer = handler.get(f"/{kind}/{n}/{size}")
            assert (answer.status, answer.body) == (500, b""), (kind, n, size)
        for kind, n, size in FITS:
            answer = handler.get(f"/{kind}/{n}/{size}")
            assert answer.status == 200 and answer.body in (b"answered", b"streamed"), (kind, n, size)
        handler.get("/go")
        assert {w.result().body for w in waits} == {b"waited"}
    assert "they have at most 131072" in handler.said()
    assert "one has at most 61440" in handler.said()


def test_a_request_alone_fails(postern, origin):
    """The same of a fetch: the others on its channel go on."""
    result = postern("""
      const url = process.argv[2], said = [];
      const slow = fetch(url.replace('/ok', '/delay?ms=1500')).then((r) => r.status);
      for (const [n, size] of [[1, 2_000_000], [1, 100_000], [1, 65_537], [20_000, 100], [3, 60_000], [1, 60_000]]) {
        const headers = Array.from({ length: n }, (_, i) => [`x-${i}`, '~'.repeat(size)]);
        said.push(await fetch(url, { headers }).then((r) => r.status, (e) => e.cause.code));
      }
      __return([said, await slow]);""", f"--allow-net={origin.http}", args=[f"http://{origin.http}/ok"])
    assert result.value[0][:5] == ["ERR_LIMIT"] * 5 and result.value[1] == 200, result.out
