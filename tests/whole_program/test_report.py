"""`postern report`: the page of a recording and of an audit log, looked at by a real browser; and pages of what hostile guests and origins
leave in them."""

import html
import json
import re
import shutil
import subprocess

import pytest
from conftest import POSTERN

BROWSER = "chromium-headless-shell"
PWNED = "<img src=x onerror=\"document.title='pwned'\"></script><script>document.title='pwned'</script><!--"


def report(*words, **options):
    return subprocess.run([POSTERN, "report", *words], capture_output=True, text=True, timeout=60, **options)


def browse(page, fragment="", *flags):
    """The document as a browser leaves it."""
    assert shutil.which(BROWSER), "./dev installs it"
    done = subprocess.run([BROWSER, "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--window-size=1280,720", *flags, "--dump-dom", f"file://{page}#{fragment}"],
                          capture_output=True, text=True, timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def rows(document):
    """The text of each row's cells."""
    body = document.split('id="rows"')[1].split('id="nothing"')[0]
    return [[html.unescape(re.sub("<[^>]*>", "", cell)) for cell in re.findall(r'role="cell"[^>]*>(.*?)</span>', row)] for row in body.split('class="row"')[1:]]


def facts(document):
    return dict(re.findall(r"<dt[^>]*>([^<]*)</dt><dd[^>]*>([^<]*)</dd>", document.split('id="summary"')[1].split("</dl>")[0]))


@pytest.fixture
def run(postern, origin, tmp_path):
    """A log and a recording of a run with three requests: one allowed, one denied, one that fails."""
    code = "for (const u of process.argv.slice(2)) try { await (await fetch(u)).text() } catch {}"
    log, har = tmp_path / "run.jsonl", tmp_path / "run.har"
    urls = [f"http://{origin.http}/ok", "http://refused.example/", f"http://{origin.silent}/"]
    policy = f'version: 1\nnetwork: {{permission: allow, rules: [{{allow: "{origin.http}"}}, {{allow: "{origin.silent}"}}], limits: {{headers_timeout: 200ms}}}}'
    postern(code, f"--audit-log={log}", f"--record={har}", policy=policy, args=urls)
    return log, har, urls


@pytest.mark.parametrize("which", [0, 1])
def test_the_page_shows_each_request(run, tmp_path, which):
    page = tmp_path / "page.html"
    assert report(run[which], "-o", page).returncode == 0
    document = browse(page)
    shown = rows(document)
    assert [r[:3] for r in shown] == [["allow", "GET", run[2][0]], ["deny", "GET", run[2][1]], ["allow", "GET", run[2][2]]]
    assert [r[3] for r in shown] == ["200", "ERR_NETWORK_DENIED", "ERR_RESPONSE_TIMEOUT"]
    found = facts(document)
    assert (found["requests"], found["allowed"], found["denied"], found["failed"]) == ("3", "2", "1", "1")
    # A waterfall: what waited for its answer has a bar for it.
    assert 'class="wait"' in document and float(shown[2][5]) >= 200


def test_search_filter_and_detail(run, tmp_path):
    page = tmp_path / "page.html"
    report(run[0], f"--output={page}")
    assert [r[2] for r in rows(browse(page, "show=denied"))] == [run[2][1]]
    assert [r[2] for r in rows(browse(page, "show=failed"))] == [run[2][2]]
    assert [r[2] for r in rows(browse(page, "q=refused"))] == [run[2][1]]
    nothing = browse(page, "q=no-such-thing")
    assert rows(nothing) == [] and 'id="nothing" hidden' not in nothing
    document = browse(page, "open=2")
    detail = document.split('id="detail"')[1]
    assert "no rule allows it; add --allow-net=refused.example:80" in detail


def test_light_and_dark(run, tmp_path):
    page = tmp_path / "page.html"
    report(run[0], f"--output={page}")
    shots = {}
    for theme in ("light", "dark"):
        shots[theme] = tmp_path / f"{theme}.png"
        subprocess.run([BROWSER, "--no-sandbox", "--disable-gpu", "--window-size=800,400", f"--screenshot={shots[theme]}", f"file://{page}#theme={theme}"], check=True, capture_output=True, timeout=120)
    assert shots["light"].read_bytes()[:8] == shots["dark"].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert average(shots["light"]) > 200 > 80 > average(shots["dark"])


def average(png):
    """How bright a picture is, of 255: its scan lines undone as far as that takes."""
    import struct
    import zlib

    data, at, chunks = png.read_bytes(), 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", data[at + 8 : at + 18])
        if kind == b"IDAT":
            chunks += data[at + 8 : at + 8 + size]
        at += 12 + size
    assert depth == 8 and colour in (2, 6)
    bpp = 3 if colour == 2 else 4
    raw, stride = zlib.decompress(chunks), width * bpp
    before, total = bytearray(stride), 0
    for y in range(height):
        kind, line = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1 : (y + 1) * (stride + 1)])
        for i in range(stride):
            left, up, corner = line[i - bpp] if i >= bpp else 0, before[i], before[i - bpp] if i >= bpp else 0
            if kind == 1:
                line[i] = (line[i] + left) & 255
            elif kind == 2:
                line[i] = (line[i] + up) & 255
            elif kind == 3:
                line[i] = (line[i] + (left + up) // 2) & 255
            elif kind == 4:
                p = left + up - corner
                line[i] = (line[i] + min((left, up, corner), key=lambda v: abs(p - v))) & 255
        total += sum(line[0::bpp]) + sum(line[1::bpp]) + sum(line[2::bpp])
        before = line
    return total / (width * height * 3)


def hostile_log():
    url = f"http://x.test/{PWNED}"
    decision = {"time": "2026-01-01T00:00:00Z", "event": "decision", "run": PWNED, "request": 1, "method": PWNED, "url": url, "decision": "allow", "rule": {"text": PWNED, "at": PWNED}, "reason": PWNED}
    end = {"time": "2026-01-01T00:00:01Z", "event": "end", "run": PWNED, "request": 1, "method": PWNED, "url": url, "status": PWNED, "address": PWNED, "http": PWNED, "bytesIn": "many", "timings": {"total": 5, "queue": PWNED}, "error": {"code": PWNED, "message": PWNED}}
    return json.dumps(decision) + "\n" + json.dumps(end) + "\n"


def hostile_har():
    headers = [{"name": PWNED, "value": PWNED}]
    entry = {"startedDateTime": PWNED, "time": -1e308, "request": {"method": PWNED, "url": f"javascript:{PWNED}", "headers": headers, "postData": {"text": PWNED}},
             "response": {"status": 200, "headers": headers, "content": {"text": PWNED, "size": 1}}, "timings": {"wait": 1e308, "dns": PWNED}, "_postern": {"failure": {"code": PWNED, "details": PWNED}}}  # fmt: skip
    return json.dumps({"log": {"entries": [entry]}})


@pytest.mark.parametrize("text, name", [(hostile_log(), "log.jsonl"), (hostile_har(), "x.har"), (hostile_log(), "<img src=x onerror=alert(1)>.jsonl")])
def test_hostile_urls_and_bodies_stay_text(tmp_path, text, name):
    file, page = tmp_path / name, tmp_path / "page.html"
    file.write_text(text)
    done = report(file, "-o", page)
    assert done.returncode == 0, done.stderr
    source = page.read_text()
    assert source.count("<script") == 2 and "<img" not in source and "Content-Security-Policy" in source
    document = browse(page, "open=1")
    assert "<title>pwned" not in document
    assert len(rows(document)) == 1
    assert "<img" not in document.split('id="rows"')[1].split("<script")[0]
    assert html.escape(PWNED, quote=False) in document.split('id="detail"')[1]


def test_the_policy_of_the_page_allows_its_own_script_alone(run, tmp_path):
    page = tmp_path / "page.html"
    report(run[0], "-o", page)
    text = page.read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    # Another script in it does not run: even one that somebody gets into the file.
    page.write_text(text.replace("</body>", "<script>document.title = 'pwned'</script></body>"))
    document = browse(page)
    assert "<title>pwned" not in document and len(rows(document)) == 3


def test_a_long_log_is_drawn_as_far_as_it_is_seen(tmp_path):
    lines = []
    for i in range(20_000):
        at = f"2026-01-01T00:{i // 600 % 60:02}:{i // 10 % 60:02}.{i % 10}Z"
        lines.append(json.dumps({"time": at, "event": "decision", "run": f"r{i % 3}", "request": i, "method": "GET", "url": f"http://a.test/{i}", "decision": "allow"}))
        lines.append(json.dumps({"time": at, "event": "end", "run": f"r{i % 3}", "request": i, "method": "GET", "url": f"http://a.test/{i}", "status": 200, "timings": {"total": 1}}))
    file, page = tmp_path / "long.jsonl", tmp_path / "page.html"
    file.write_text("\n".join(lines))
    assert report(file, "-o", page).returncode == 0
    document = browse(page)
    assert facts(document)["requests"] == "20,000" and facts(document)["runs"] == "3"
    assert 10 < len(rows(document)) < 200
    assert [r[2] for r in rows(browse(page, "q=test/19999"))] == ["http://a.test/19999"]


@pytest.mark.parametrize(
    "text, said",
    [
        ("", None),
        ("nonsense\n{}\n", "line 1 is no JSON"),
        ("{}\n[1]\n", "line 2 is no JSON object"),
        ('{"log": 1}', "no log.entries"),
        ('{"a": 1}', "it is neither a HAR file (--record), which has log.entries, nor an audit log (--audit-log)"),
        ('{"a": 1}\n{"event": ""}\n', "it is neither a HAR file"),
        ('{\n  "a": 1\n}\n', "line 1 is no JSON"),
        ('{"log": {"entries": [1]}}', "entry 1 is no object"),
        ('{"event": "decision", "run": {"a": 1}, "request": [], "url": 7}\n', None),
        ('{"event": "end"}\n{"cut sho', None),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_what_is_no_log_and_no_recording(tmp_path, text, said):
    file, page = tmp_path / "x", tmp_path / "page.html"
    file.write_text(text)
    done = report(file, "-o", page)
    if said is None:
        assert done.returncode == 0 and page.exists(), done.stderr
    else:
        assert done.returncode == 3 and said in done.stderr and not page.exists()


def test_wrong_usage(tmp_path):
    (tmp_path / "log").write_text("")
    assert report("/no/such/log", "-o", "-").returncode == 3
    assert report(tmp_path, "-o", "-").returncode == 3
    assert report(tmp_path / "log").returncode == 2
    assert report(tmp_path / "log", "-o", "/no/such/place").returncode == 4
    assert report(tmp_path / "log", "-o", "-").stdout.startswith("<!doctype html>")
