"""A replay never lies: what a recording does not have is an error that says so, and what was recorded is replayed."""

import hashlib
import json
import os
import re
import select
import subprocess

import pytest
from conftest import POSTERN, allowing

ASK = """
const ask = async (url, init) => {
  try { const r = await fetch(url, init); return [r.status, await r.text()]; } catch (e) { return [e.cause?.code ?? e.code, e.message]; }
};
"""

UPLOADS = ASK + """
const o = process.argv[2], all = [];
const form = (file) => {
  const data = new FormData();
  data.append('name', 'café');
  data.append('file', new File([new Uint8Array([0, 13, 10, 255])], file, { type: 'image/png' }));
  return data;
};
const stream = (...pieces) => new ReadableStream({ start(c) { for (const piece of pieces) c.enqueue(new TextEncoder().encode(piece)); c.close(); } });
const send = async (body, more) => all.push(await ask(o + '/echo', { method: 'POST', body, ...more }));
await send(form('a.png'));
await send(new FormData());
await send(new URLSearchParams({ a: '1 2', b: 'é&' }));
await send(stream('one', 'two'), { duplex: 'half' });
await send(new Uint8Array([0, 255, 128]));
await send('');
await send(undefined);
await send(new Blob(['{}'], { type: 'application/json' }));
all.push(await ask(o + '/ok', { method: 'HEAD' }), await ask(o + '/redirect?to=' + o + '/ok'), await ask(o + '/none'), await ask(o + '/close'));
__return(all);
"""


def har_of(tmp_path, *entries, name="r.har"):
    (tmp_path / name).write_text(json.dumps({"log": {"version": "1.2", "entries": list(entries)}}))
    return f"--adapter=replay:{tmp_path}/{name}"


def entry(url, content, method="GET", status=200, headers=(), request=(), **response):
    return {"request": {"method": method, "url": url, "headers": [], **dict(request)},
            "response": {"status": status, "headers": [{"name": n, "value": v} for n, v in headers], "content": content, **response}}  # fmt: skip


def test_uploads_are_replayed(postern, origin, tmp_path):
    har, url = tmp_path / "run.har", f"http://{origin.http}"
    live = postern(UPLOADS, f"--record={har}", f"--allow-net={origin.http}", args=[url])
    assert [status for status, _ in live.value[:8]] == [200] * 8, live.value
    seen = len(origin.requests)
    replayed = postern(UPLOADS, f"--adapter=replay:{har}", f"--allow-net={origin.http}", args=[url])
    assert replayed.value == live.value and len(origin.requests) == seen
    other = postern(UPLOADS.replace("'a.png'", "'b.png'"), f"--adapter=replay:{har}", f"--allow-net={origin.http}", args=[url])
    assert other.value[0] == ["ERR_REPLAY_MISS", f"fetch failed: the recording has POST {url}/echo with another body only"]
    assert other.value[1:] == live.value[1:]


def test_a_body_that_was_left_midway_is_replayed_as_far_as_it_came(postern, origin, tmp_path):
    har, url = tmp_path / "run.har", f"http://{origin.http}/endless-body"
    code = """
      const r = await fetch(process.argv[2]);
      const reader = r.body.getReader(), first = (await reader.read()).value;
      if (process.argv[3] !== 'on') { await reader.cancel(); __return([r.status, first.length > 0]); }
      else __return(await (async () => { for (;;) if ((await reader.read()).done) return 'done'; })().catch((e) => e.cause?.code ?? e.code));"""
    options = (f"--adapter=replay:{har}", f"--allow-net={origin.http}")
    live = postern(code, f"--record={har}", f"--allow-net={origin.http}", args=[url])
    assert live.value == [200, True]
    assert postern(code, *options, args=[url]).value == live.value
    assert postern(code, *options, args=[url, "on"]).value == "ERR_ABORTED"


def test_what_came_of_a_body_is_read_before_its_failure(postern, origin, tmp_path):
    """However late it is read: by a stream, where all of it is asked for the failure alone; live and replayed."""
    har, url = tmp_path / "run.har", f"http://{origin.http}/short-body"
    code = """
      const url = process.argv[2], all = [];
      const failed = (e) => e.cause?.posternCode ?? e.code;
      const { body } = await fetch(url);
      await new Promise((done) => setTimeout(done, 200));  // by now all of it has arrived, its end too
      const reader = body.getReader();
      all.push(new TextDecoder().decode((await reader.read()).value), await reader.read().catch(failed), await reader.closed.catch(failed));
      const whole = await fetch(url);
      await new Promise((done) => setTimeout(done, 200));
      all.push(await whole.text().catch(failed));
      const left = await fetch(url);  // never read: nothing to wait for
      globalThis.left = left;
      __return(all);"""
    live = postern(code, f"--record={har}", f"--allow-net={origin.http}", args=[url])
    assert live.value == ["half", *["ERR_RESPONSE_INCOMPLETE"] * 3]
    assert postern(code, f"--adapter=replay:{har}", f"--allow-net={origin.http}", args=[url]).value == live.value


def test_what_is_too_large_is_not_kept_and_said_to_be(postern, origin, tmp_path):
    """Both ways; the report shows the true size."""
    har, url, size = tmp_path / "run.har", f"http://{origin.http}", (16 << 20) + 1
    code = ASK + f"""
      const o = process.argv[2], large = new Uint8Array({size});
      const short = ([status, text]) => [status, status === 200 ? text.length : text];
      const down = await ask(o + '/bytes?n={size}'), up = await ask(o + '/echo', {{ method: 'POST', body: large }});
      __return([...short(down), ...short(up), ...await ask(o + '/ok')]);"""
    live = postern(code, f"--record={har}", f"--allow-net={origin.http}", args=[url])
    assert live.value == [200, size, 200, size, 200, "fine"]
    down, up, _ = json.loads(har.read_text())["log"]["entries"]
    assert (down["response"]["bodySize"], down["response"]["content"]["size"], up["request"]["bodySize"]) == (size, size, size)
    assert "text" not in down["response"]["content"] and "text" not in up["request"]["postData"]
    assert down["_postern"] == {"responseBodyOmitted": True} and up["_postern"] == {"requestBodyOmitted": True, "responseBodyOmitted": True}
    replayed = postern(code, f"--adapter=replay:{har}", f"--allow-net={origin.http}", args=[url]).value
    assert replayed[:2] == ["ERR_REPLAY_MISS", f"fetch failed: the recording's entry 1 (GET {url}/bytes?n={size}): its body is not in the recording, "
                            f"only its size of {size} bytes (larger than a recorded body may be; left out)"]  # fmt: skip
    assert replayed[2] == "ERR_REPLAY_MISS" and f"entry 2 (POST {url}/echo): its request's body was too large to be kept" in replayed[3]
    assert replayed[4:] == [200, "fine"]
    page = subprocess.run([POSTERN, "report", har, "-o", "-"], capture_output=True, text=True, timeout=60)
    shown = json.loads(re.search(r'id="data"[^>]*>(.*?)</script>', page.stdout, re.DOTALL)[1])["requests"]
    assert (shown[0]["in"], shown[1]["out"]) == (size, size)
    assert shown[0]["body"] == shown[1]["upload"] == f"(not in the recording, {size} bytes: larger than a recorded body may be; left out)"


def test_a_run_with_streams_is_replayed_but_for_them(postern, origin, tmp_path):
    har, url = tmp_path / "run.har", f"http://{origin.http}"
    code = f"""
      import {{ connect }} from 'postern:sockets';
      const socket = connect('{origin.plain}');
      const greeting = async () => new TextDecoder().decode((await socket.readable.getReader().read()).value).slice(0, 3);
      const opened = await socket.opened.then(greeting, (e) => e.cause?.code ?? e.code);
      await socket.close().catch(() => {{}});
      const ws = await new Promise((done) => {{ const s = new WebSocket('ws://{origin.http}/ok'); s.onerror = (e) => done(e.error.cause?.code ?? e.error.code); }});
      __return([opened, ws, await (await fetch('{url}/ok')).text()]);"""
    allowed = allowing(f"tcp://{origin.plain}", url, f"ws://{origin.http}")
    assert postern(code, f"--record={har}", policy=allowed).value == ["220", "ERR_WEBSOCKET", "fine"]
    stream = json.loads(har.read_text())["log"]["entries"][0]
    assert stream["request"]["url"] == f"tcp://{origin.plain}" and stream["response"]["content"]["size"] > 3 and "text" not in stream["response"]["content"]
    assert postern(code, f"--adapter=replay:{har}", policy=allowed).value == ["ERR_REPLAY_MISS", "ERR_REPLAY_MISS", "fine"]


def test_the_recording_of_a_replay_is_the_same(postern, tmp_path):
    code = ASK + "__return(await ask('https://a.test/'));"
    first = har_of(tmp_path, entry("https://a.test/", {"text": "fine"}))
    assert postern(code, first, f"--record={tmp_path}/again.har", "--allow-net").value == [200, "fine"]
    assert postern(code, f"--adapter=replay:{tmp_path}/again.har", "--allow-net").value == [200, "fine"]


def test_a_page_s_recording_runs_but_for_what_it_lacks(postern, tmp_path):
    """As Chrome exports it: a page, an image without its body, a blocked request, a WebSocket, an upload."""
    replay = har_of(
        tmp_path,
        entry("https://a.test/#top", {"size": 4, "mimeType": "text/html", "text": "page", "compression": -20}, headers=[("content-encoding", "br"), ("content-length", "24"), ("set-cookie", "a=1\nb=2")], bodySize=24),
        entry("https://a.test/logo.png", {"size": 5120, "mimeType": "image/png"}, bodySize=5120),
        entry("https://ads.test/", {"size": 0, "mimeType": "x-unknown"}, status=0, _error="net::ERR_BLOCKED_BY_CLIENT"),
        entry("wss://a.test/live", {"size": 0, "mimeType": "x-unknown"}, status=101),
        entry("data:text/plain,x", {"size": 1, "mimeType": "text/plain", "text": "x"}),
        entry("https://a.test/form", {"size": 4, "text": "sent"}, "POST", request=[("postData", {"mimeType": "application/x-www-form-urlencoded", "params": [{"name": "q", "value": "a b"}]})]),
        entry("https://a.test/file", {"size": 4, "text": "sent"}, "POST", request=[("bodySize", 9)]),
    )  # fmt: skip
    code = ASK + """
      const cookies = (await fetch('https://a.test/')).headers.getSetCookie();
      const form = { method: 'POST', body: new URLSearchParams({ q: 'a b' }) };
      __return([cookies, await ask('https://a.test/'), await ask('https://a.test/logo.png'), await ask('https://ads.test/'), await ask('https://a.test/form', form),
                await ask('https://a.test/file', { method: 'POST', body: 'some' })]);"""
    cookies, page, logo, blocked, form, file = postern(code, replay, "--allow-net").value
    assert cookies == ["a=1", "b=2"] and page == [200, "page"] and form == [200, "sent"]
    assert logo == ["ERR_REPLAY_MISS", "fetch failed: the recording's entry 2 (GET https://a.test/logo.png): its body is not in the recording, only its size of 5120 bytes"]
    assert blocked == ["ERR_REPLAY_FAILED", "fetch failed: the recorded request failed: net::ERR_BLOCKED_BY_CLIENT"]
    assert file[0] == "ERR_REPLAY_MISS" and "entry 7 (POST https://a.test/file): its request's body is not in the recording" in file[1]


def test_a_redirect_is_followed_without_its_body(postern, tmp_path):
    replay = har_of(tmp_path, entry("https://a.test/", {"size": 162, "mimeType": "text/html"}, status=301, headers=[("Location", "/x")]), entry("https://a.test/x", {"text": "fine"}))
    code = ASK + "__return([await ask('https://a.test/'), await ask('https://a.test/', { redirect: 'manual' })]);"
    followed, by_hand = postern(code, replay, "--allow-net").value
    assert followed == [200, "fine"]
    assert by_hand[0] == "ERR_REPLAY_MISS" and "162 bytes" in by_hand[1], by_hand


def test_bodies_beside_the_recording(postern, tmp_path):
    """As Playwright keeps them, by their SHA-1; nothing else is opened, whatever the recording names."""

    def beside(bytes_, kind="txt"):
        name = f"{hashlib.sha1(bytes_).hexdigest()}.{kind}"
        (tmp_path / name).write_bytes(bytes_)
        return name

    (tmp_path / "secret.txt").write_text("secret")
    linked, absent = f"{'a' * 40}.txt", f"{'b' * 40}.txt"
    os.symlink("secret.txt", tmp_path / linked)
    sent = beside(b"a\xffb", "dat")
    names = [beside(b"fine"), "secret.txt", "../secret.txt", linked, absent, f"../{tmp_path.name}/{beside(b'other')}"]
    entries = [entry(f"https://a.test/{i}", {"size": -1, "mimeType": "text/plain", "_file": name}) for i, name in enumerate(names)]
    upload = entry("https://a.test/", {"size": 4, "text": "sent"}, "POST", request=[("bodySize", 3), ("postData", {"mimeType": "x/y", "text": "", "_file": sent})])
    code = ASK + f"""
      const all = [await ask('https://a.test/', {{ method: 'POST', body: new Uint8Array([97, 255, 98]) }})];
      for (let i = 0; i < {len(names)}; i++) all.push(await ask('https://a.test/' + i));
      __return(all);"""
    first, fine, *others = postern(code, har_of(tmp_path, *entries, upload), "--allow-net").value
    assert first == [200, "sent"] and fine == [200, "fine"]
    for (status, message), name in zip(others, names[1:], strict=True):
        assert status == "ERR_REPLAY_MISS" and f'its body is in the file "{name}", which cannot be read' in message and "content: 'embed'" in message


@pytest.mark.parametrize("broken,why", [("{}", "entry 2: it has no request"), ('{"request":{"method":"GET"}}', "entry 2: its request has no method or no url")])
def test_an_entry_without_its_request_is_named(postern, tmp_path, broken, why):
    whole = json.dumps(entry("https://a.test/", {"text": "fine"}))
    (tmp_path / "r.har").write_text('{"log":{"entries":[%s,%s]}}' % (whole, broken))
    result = postern("await fetch('https://a.test/')", f"--adapter=replay:{tmp_path}/r.har", "--allow-net", json_result=False)
    assert result.status == 3 and f"{tmp_path}/r.har: {why}" in result.err, result.err


def test_a_guest_waits_until_its_recording_is_read(tmp_path):
    """Found with one of 280 MB: the guest took the broker that read it for lost, after two seconds."""
    os.mkfifo(tmp_path / "r.har")
    (tmp_path / "job.mjs").write_text("console.log(await (await fetch('https://a.test/')).text());")
    recording = os.open(tmp_path / "r.har", os.O_RDWR)
    words = [POSTERN, "run", f"--adapter=replay:{tmp_path}/r.har", "--allow-net", str(tmp_path / "job.mjs")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        assert not select.select([run.stdout], [], [], 3)[0], run.stdout.read()
        os.write(recording, json.dumps({"log": {"entries": [entry("https://a.test/", {"text": "fine"})]}}).encode())
        os.close(recording)
        assert run.stdout.read() == "fine\n" and run.wait(20) == 0


def test_a_recording_that_is_too_large(postern, tmp_path):
    with open(tmp_path / "r.har", "wb") as file:
        file.truncate((1 << 30) + 1)
    result = postern("await fetch('https://a.test/')", f"--adapter=replay:{tmp_path}/r.har", "--allow-net", json_result=False)
    assert result.status == 3 and "r.har is larger than" in result.err, result.err
