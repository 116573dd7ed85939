"""What hostile clients send to the two doors of a server, the run API and a handler: requests whose end or meaning two programs might read
differently (RFC 9112 section 6, request smuggling), and elements of a request that have no end.

The next hole of a kind is one line in CORPUS or ENDLESS."""

import contextlib
import re
import socket

import pytest
from conftest import our_processes, unless_sanitized
from server import Server, until
from test_handler import Handler, read_all

PATH = {"api": b"/v1/health", "handler": b"/echo"}
# What a request that is in order is answered with: POST is no method of /v1/health.
TAKEN = {"api": 405, "handler": 200}
NEXT = b"GET PATH HTTP/1.1\r\nHost: next\r\nConnection: close\r\n\r\n"
HOST = b"POST PATH HTTP/1.1\r\nHost: h\r\n"


def post(fields, body=b"", line=b"POST PATH HTTP/1.1", host=b"Host: h\r\n"):
    return line + b"\r\n" + host + fields + b"\r\n" + body


def coded(coding, body=b"0\r\n\r\n", more=b""):
    return post(b"Transfer-Encoding: " + coding + b"\r\n" + more, body)


def sized(length, body=b"hello"):
    return post(b"Content-Length: " + length + b"\r\n", body)


# name -> (a request, its status; None: it is taken, and the next request of the connection is answered as well).
CORPUS = {
    # ---- Transfer-Encoding (RFC 9112 section 6.1)
    "chunked": (coded(b"chunked", b"5\r\nhello\r\n0\r\n\r\n"), None),
    "chunked in capitals": (coded(b"CHUNKED", b"5\r\nhello\r\n0\r\n\r\n"), None),
    "chunked with blanks around": (coded(b" \t chunked \t", b"0\r\n\r\n"), None),
    "xchunked": (coded(b"xchunked"), 400),
    "chunkedx": (coded(b"chunkedx"), 400),
    "chunked, identity": (coded(b"chunked, identity"), 400),
    "identity": (coded(b"identity"), 400),
    "identity and a length": (coded(b"identity", b"hello", b"Content-Length: 5\r\n"), 400),
    "gzip": (coded(b"gzip"), 400),
    "gzip, chunked": (coded(b"gzip, chunked"), 501),
    "identity, chunked": (coded(b"identity, chunked"), 501),
    "chunked, gzip": (coded(b"chunked, gzip"), 400),
    "quoted": (coded(b'"chunked"'), 400),
    "apostrophes": (coded(b"'chunked'"), 400),
    "twice in a list": (coded(b"chunked, chunked"), 400),
    "twice in two fields": (coded(b"chunked", more=b"Transfer-Encoding: chunked\r\n"), 400),
    "two fields that differ": (coded(b"chunked", more=b"Transfer-Encoding: identity\r\n"), 400),
    "two fields that differ, turned": (coded(b"identity", more=b"Transfer-Encoding: chunked\r\n"), 400),
    "a second field under another case": (coded(b"chunked", more=b"TRANSFER-ENCODING: x\r\n"), 400),
    "nothing": (coded(b""), 400),
    "an empty first": (coded(b", chunked"), 400),
    "an empty last": (coded(b"chunked,"), 400),
    "a parameter": (coded(b"chunked;q=1"), 400),
    "a semicolon": (coded(b"chunked;"), 400),
    "a vertical tab before it": (coded(b"\x0bchunked"), 400),
    "a form feed after it": (coded(b"chunked\x0c"), 400),
    "a NUL in it": (coded(b"chunked\0"), 400),
    "a no-break space": (coded(b"\xa0chunked"), 400),
    "folded": (coded(b"\r\n chunked"), 400),
    "with Content-Length after": (coded(b"chunked", more=b"Content-Length: 5\r\n"), 400),
    "with Content-Length before": (post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 400),
    "with Content-Length 0": (coded(b"chunked", more=b"Content-Length: 0\r\n"), 400),
    "xchunked with Content-Length": (coded(b"xchunked", more=b"Content-Length: 0\r\n"), 400),
    "HTTP/1.0 and chunked": (post(b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", line=b"POST PATH HTTP/1.0"), 400),
    "HTTP/1.0, chunked and keep-alive": (post(b"Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n", b"0\r\n\r\n", line=b"POST PATH HTTP/1.0"), 400),
    "a blank before the colon": (post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"), 400),
    "a tab before the colon": (post(b"Transfer-Encoding\t: chunked\r\n", b"0\r\n\r\n"), 400),
    "a blank before the name": (post(b" Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 400),
    "a CR before the name": (post(b"\rTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 400),
    "no colon": (post(b"Transfer-Encoding chunked\r\n", b"0\r\n\r\n"), 400),
    "a NUL in the name": (post(b"Transfer\0-Encoding: chunked\r\n", b"0\r\n\r\n"), 400),
    "GET with it": (post(b"Transfer-Encoding: chunked, x\r\n", b"0\r\n\r\n", line=b"GET PATH HTTP/1.1"), 400),
    # ---- Content-Length (section 6.3; RFC 9110 section 8.6)
    "a length": (sized(b"5"), None),
    "zeros before it": (sized(b"0005"), None),
    "a plus": (sized(b"+5"), 400),
    "a minus": (sized(b"-5"), 400),
    "a minus and nothing": (sized(b"-0"), 400),
    "hexadecimal": (sized(b"0x5"), 400),
    "a letter after it": (sized(b"5a"), 400),
    "a fraction": (sized(b"5.0"), 400),
    "an exponent": (sized(b"5e0"), 400),
    "a blank in it": (sized(b"5 5"), 400),
    "an underscore": (sized(b"0_5"), 400),
    "no length": (sized(b""), 400),
    "listed, the same": (sized(b"5, 5"), 400),
    "listed, two": (sized(b"5, 6"), 400),
    "listed, with nothing": (sized(b"5,"), 400),
    "doubled, the same": (post(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello"), 400),
    "doubled, two": (post(b"Content-Length: 5\r\nContent-Length: 0\r\n", b"hello"), 400),
    "more than 64 bits": (sized(b"18446744073709551621"), 400),
    "more than 128 bits": (sized(b"9" * 60), 400),
    "63 bits": (sized(b"9223372036854775808"), 413),
    "64 bits": (sized(b"18446744073709551615"), 413),
    "quotes": (sized(b'"5"'), 400),
    "other digits": (sized("٥".encode()), 400),
    "a folded length": (sized(b"\r\n 5"), 400),
    "a blank before the colon of a length": (post(b"Content-Length : 5\r\n", b"hello"), 400),
    # ---- chunks (section 7.1)
    "an extension": (coded(b"chunked", b'5;a=b;c="d e"\r\nhello\r\n0;x\r\n\r\n'), None),
    "a trailer": (coded(b"chunked", b"0\r\nX-Late: 1\r\n\r\n"), None),
    "zeros before a size": (coded(b"chunked", b"0000000000000005\r\nhello\r\n0\r\n\r\n"), None),
    "a size with a plus": (coded(b"chunked", b"+5\r\nhello\r\n0\r\n\r\n"), 400),
    "a size with a minus": (coded(b"chunked", b"-5\r\nhello\r\n0\r\n\r\n"), 400),
    "a size with 0x": (coded(b"chunked", b"0x5\r\nhello\r\n0\r\n\r\n"), 400),
    "a size with a blank before it": (coded(b"chunked", b" 5\r\nhello\r\n0\r\n\r\n"), 400),
    "a size with a blank after it": (coded(b"chunked", b"5 \r\nhello\r\n0\r\n\r\n"), 400),
    "a size with an underscore": (coded(b"chunked", b"0_5\r\nhello\r\n0\r\n\r\n"), 400),
    "no size": (coded(b"chunked", b"\r\nhello\r\n0\r\n\r\n"), 400),
    "an extension alone": (coded(b"chunked", b";a\r\n0\r\n\r\n"), 400),
    "a size that overflows": (coded(b"chunked", b"10000000000000005\r\nhello\r\n0\r\n\r\n"), 400),
    "a size that overflows 32 bits twice": (coded(b"chunked", b"00000001000000000000000000000005\r\nhello\r\n0\r\n\r\n"), 400),
    "a chunk that is longer": (coded(b"chunked", b"4\r\nhello\r\n0\r\n\r\n"), 400),
    "a chunk that is shorter": (coded(b"chunked", b"6\r\nhello\r\n0\r\n\r\n"), 400),
    "a chunk without its end": (coded(b"chunked", b"5\r\nhello0\r\n\r\n"), 400),
    "a chunk that ends in LF": (coded(b"chunked", b"5\r\nhello\n0\r\n\r\n"), 400),
    "a size that ends in LF": (coded(b"chunked", b"5\nhello\r\n0\r\n\r\n"), 400),
    "a size that ends in CR": (coded(b"chunked", b"5\rXhello\r\n0\r\n\r\n"), 400),
    "an extension that hides a line": (coded(b"chunked", b"5;a\nhello\r\n0\r\n\r\n"), 400),
    "an extension with a CR": (coded(b"chunked", b"5;a\rb\r\nhello\r\n0\r\n\r\n"), 400),
    "a last chunk that ends in LF": (coded(b"chunked", b"0\n\r\n"), 400),
    "a trailer with a blank before its colon": (coded(b"chunked", b"0\r\nX : 1\r\n\r\n"), 400),
    "a trailer that is none": (coded(b"chunked", b"0\r\nGET / HTTP/1.1\r\n\r\n"), 400),
    # ---- Host (section 3.2)
    "no Host": (post(b"", host=b""), 400),
    "two Hosts": (post(b"Host: g\r\n"), 400),
    "two Hosts that are the same": (post(b"Host: h\r\n"), 400),
    "two Hosts in one": (post(b"", host=b"Host: h, g\r\n"), 400),
    "a Host with a user": (post(b"", host=b"Host: u@h\r\n"), 400),
    "a Host with a path": (post(b"", host=b"Host: h/p\r\n"), 400),
    "a Host with a fragment": (post(b"", host=b"Host: h#p\r\n"), 400),
    "a Host with a blank": (post(b"", host=b"Host: h g\r\n"), 400),
    "a Host with a blank before the colon": (post(b"", host=b"Host : h\r\n"), 400),
    "HTTP/1.0 with two Hosts": (post(b"Host: g\r\n", line=b"POST PATH HTTP/1.0"), 400),
    "a URL and no Host": (post(b"", line=b"POST http://hPATH HTTP/1.1", host=b""), 400),
    "a URL and another Host": (post(b"Content-Length: 0\r\n", line=b"POST http://gPATH HTTP/1.1"), None),
    # ---- lines (sections 2.2, 3, 5)
    "an empty line before": (b"\r\n" + post(b"Content-Length: 0\r\n"), None),
    "LF before": (b"\n" + post(b""), 400),
    "lines that end in LF": (b"POST PATH HTTP/1.1\nHost: h\n\n", 400),
    "one line that ends in LF": (post(b"X: 1\nContent-Length: 5\r\n", b"hello"), 400),
    "a head that ends in LF": (b"POST PATH HTTP/1.1\r\nHost: h\r\n\n", 400),
    "a CR in a value": (post(b"X: 1\rContent-Length: 5\r\n"), 400),
    "a NUL in a value": (post(b"X: a\0b\r\n"), 400),
    "a DEL in a value": (post(b"X: a\x7fb\r\n"), 400),
    "a folded value": (post(b"X: a\r\n b\r\n"), 400),
    "a folded first field": (b"POST PATH HTTP/1.1\r\n Host: h\r\n\r\n", 400),
    "a field without a name": (post(b": a\r\n"), 400),
    "a name with a blank": (post(b"X Y: a\r\n"), 400),
    "a name in brackets": (post(b"(X): a\r\n"), 400),
    "a name that is no ASCII": (post("Transfer-Encodıng: chunked\r\n".encode()), 400),
    "two blanks in the line": (b"POST  PATH HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "a tab in the line": (b"POST\tPATH HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "a blank in the target": (b"POST PATH x HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "a blank after the version": (b"POST PATH HTTP/1.1 \r\nHost: h\r\n\r\n", 400),
    "a fragment in the target": (b"POST PATH#x HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "no version": (b"POST PATH\r\nHost: h\r\n\r\n", 400),
    "a version in small letters": (b"POST PATH http/1.1\r\nHost: h\r\n\r\n", 400),
    "HTTP/1.10": (b"POST PATH HTTP/1.10\r\nHost: h\r\n\r\n", 400),
    "HTTP/2.0": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "a method in brackets": (b"(POST) PATH HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "a target that is no path": (b"POST hello HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "a URL of another scheme": (b"POST ftp://hPATH HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "a URL without a host": (b"POST http://PATH HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "an authority for a target": (b"POST h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "an asterisk for a target": (b"POST * HTTP/1.1\r\nHost: h\r\n\r\n", 400),
}  # fmt: skip


@pytest.fixture(scope="module", params=["api", "handler"])
def door(request, tmp_path_factory):
    """(which door, talk): `talk(data)` gives what comes back for raw bytes, until the server closes."""
    directory = tmp_path_factory.mktemp(request.param)

    def connect():
        if request.param == "handler":
            host, port = server.address().rsplit(":", 1)
            return socket.create_connection((host, int(port)), timeout=30)
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(30)
        s.connect(server.socket)
        return s

    def talk(data):
        with connect() as s:
            with contextlib.suppress(OSError):  # it may be refused meanwhile
                s.sendall(data.replace(b"PATH", PATH[request.param]))
            return read_all(s)

    with (Handler if request.param == "handler" else Server)(directory) as server:
        server.connect = connect
        yield request.param, talk, server
    assert our_processes() == []


@pytest.mark.parametrize("name", CORPUS)
def test_where_a_request_ends_is_said_once_or_it_is_refused(door, name):
    which, talk, _ = door
    request, status = CORPUS[name]
    got = talk(request + NEXT)
    statuses = [int(s) for s in re.findall(rb"HTTP/1\.1 (\d+) ", got)]
    if status is None:
        assert statuses == [TAKEN[which], 200], got
    else:
        assert statuses == [status], got
        assert b"Connection: close\r\n" in got
        if status == 400:
            assert b"this is no HTTP/1.1 request" in got or b"Host is no host" in got, got
    assert talk(NEXT).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("name", [name for name, (_, status) in CORPUS.items() if status == 400])
def test_it_is_refused_byte_by_byte_as_well(door, name):
    """A check that looks at what happened to arrive together would be passed so."""
    which, _, server = door
    got = b""
    with server.connect() as s:
        with contextlib.suppress(OSError):  # it is refused before its end
            for byte in (CORPUS[name][0] + NEXT).replace(b"PATH", PATH[which]):
                s.sendall(bytes([byte]))
        with contextlib.suppress(ConnectionResetError):
            got = read_all(s)
    assert len(re.findall(rb"HTTP/1\.1 \d+ ", got)) <= 1 and b" 200 " not in got, got


def test_a_client_that_closes_its_half_is_answered(door):
    which, _, server = door
    slow = {"api": run(b"await new Promise((done) => setTimeout(done, 1500)); __return(7)"), "handler": b"POST /upload-slowly HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n7"}
    for request in (NEXT.replace(b"PATH", PATH[which]), slow[which]):
        with server.connect() as s:
            s.sendall(request)
            s.shutdown(socket.SHUT_WR)
            got = read_all(s)
        statuses = re.findall(rb"HTTP/1\.1 (\d+) ", got)
        assert statuses[-1] == b"200" and set(statuses[:-1]) <= {b"100"}, got
        assert b"Connection: close\r\n" in got


def run(code, accept=b"application/json"):
    body = b'{"code": "%s"}' % code
    return b"POST /v1/runs HTTP/1.1\r\nHost: h\r\nAccept: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nAuthorization: Bearer a-token-of-twenty-bytes\r\n\r\n" % (accept, len(body)) + body


@pytest.mark.parametrize("accept", [b"application/json", b"text/event-stream"])
@pytest.mark.parametrize("way", ["tcp", "unix"])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_run_ends_with_its_client_that_had_closed_its_half(tmp_path, accept, way, at_once):
    (tmp_path / "tokens").write_text("a a-token-of-twenty-bytes\n")
    with Server(tmp_path, "--listen=0", f"--token-file={tmp_path}/tokens", "--timeout=60s") as server:
        running = lambda: server.ask("GET", "/v1/ready").json["running"]  # noqa: E731
        host, port = server.address().rsplit(":", 1)
        with socket.create_connection((host, int(port))) if way == "tcp" else socket.socket(socket.AF_UNIX) as s:
            if way == "unix":
                s.connect(server.socket)
            s.sendall(run(b"await new Promise(() => setInterval(() => {}, 1000))", accept))
            until(lambda: running() == 1, "it does not run")
            if not at_once:
                s.shutdown(socket.SHUT_WR)
                assert b"HTTP/1.1 " in s.recv(65536)  # which says that it is served on
                assert running() == 1
        until(lambda: running() == 0, "it runs on")


# name -> (what it begins with, what then comes without end, the status where there is one).
ENDLESS = {
    "a chunk extension": (coded(b"chunked", b"1;"), b"a" * 65536, 400),
    "many chunk extensions": (coded(b"chunked", b""), b"1;" + b"a" * 200 + b"\r\nx\r\n", 400),
    "a chunk's size": (coded(b"chunked", b""), b"0" * 65536, 400),
    "a trailer": (coded(b"chunked", b"0\r\nX: "), b"a" * 65536, 431),
    "many trailers": (coded(b"chunked", b"0\r\n"), b"X: " + b"a" * 200 + b"\r\n", 431),
    "a header field": (b"POST PATH HTTP/1.1\r\nHost: h\r\nX: ", b"a" * 65536, 431),
    "many header fields": (b"POST PATH HTTP/1.1\r\nHost: h\r\n", b"X: a\r\n" * 100, 431),
    "a name of a field": (b"POST PATH HTTP/1.1\r\nHost: h\r\n", b"a" * 65536, 431),
    "a target": (b"POST /", b"a" * 65536, 431),
    "a method": (b"", b"A" * 65536, 431),
    "empty lines": (b"", b"\r\n" * 32768, 400),
    "requests that are refused": (coded(b"xchunked"), coded(b"xchunked") * 100, 400),
}


def resident(server):
    with open(f"/proc/{server.process.pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


@unless_sanitized
@pytest.mark.parametrize("name", ENDLESS)
def test_what_has_no_end_is_refused_and_leaves_nothing(door, name):
    which, talk, server = door
    first, again, status = ENDLESS[name]
    before = resident(server)
    with server.connect() as s:
        sent = 0
        with contextlib.suppress(OSError):
            s.sendall(first.replace(b"PATH", PATH[which]))
            while sent < 64 << 20:  # until the server closes
                s.sendall(again)
                sent += len(again)
        got = b""
        with contextlib.suppress(OSError):
            got = read_all(s)
    assert got == b"" or got.startswith(b"HTTP/1.1 %d " % status), got
    assert resident(server) - before < 16 << 20
    assert talk(NEXT).startswith(b"HTTP/1.1 200 ")


@unless_sanitized
def test_connections_that_were_refused_or_have_nothing_to_say_keep_no_memory(door):
    which, talk, server = door
    talk(NEXT)
    before = resident(server)
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            s = stack.enter_context(server.connect())
            # A head as large as it may be, and then nothing.
            s.sendall((b"GET PATH HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 16_000 + b"\r\n\r\n").replace(b"PATH", PATH[which]))
            assert s.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert resident(server) - before < 200 * 16_000
