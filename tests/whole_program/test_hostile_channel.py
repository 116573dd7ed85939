"""What a guest may put on its channel instead of HTTP/2: by machine code in a guest's place (tests/hostile/), and by the test on
a real broker that serves another guest meanwhile. Only the hostile guest's channel ends; the broker keeps its memory."""

import json
import os
import select
import struct
import subprocess

import h2.connection
import h2.events
import pytest
from conftest import BUILD, RELEASE, unless_sanitized
from raw_guest import Broker, RawGuest
from test_cage import TREE, remains

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
MIB = 1 << 20


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    return struct.pack(">I", len(payload) if length is None else length)[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name, value):
    """An HPACK field, never indexed, without Huffman coding."""
    def text(t):
        if len(t) < 127:
            return bytes([len(t)]) + t
        rest, out = len(t) - 127, [127]
        while rest >= 128:
            out.append(rest % 128 + 128)
            rest //= 128
        return bytes(out + [rest]) + t

    return b"\x10" + text(name) + text(value)


def fields(*pairs):
    return b"".join(literal(n.encode(), v.encode("latin-1")) for n, v in pairs)


GET = fields((":method", "GET"), (":scheme", "http"), (":authority", "refused.test"), (":path", "/"))
START = PREFACE + frame(SETTINGS)
END_STREAM, END_HEADERS, PADDED = 1, 4, 8


def get(stream, block=GET, flags=END_STREAM | END_HEADERS):
    return frame(HEADERS, flags, stream, block)


# name -> what is sent, once; the channel must end.
MALFORMED = {
    "not http/2 at all": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 4,
    "zeros": bytes(4096),
    "ones": b"\xff" * 4096,
    "preface, then noise": PREFACE + bytes(range(256)) * 16,
    "no settings first": PREFACE + get(1),
    "a frame of 16 MiB": START + frame(DATA, 0, 1, b"x" * 4096, length=0xFFFFFF),
    "a frame over the limit": START + frame(DATA, 0, 1, b"x" * (128 * 1024 + 1)),
    "settings of an odd length": START + frame(SETTINGS, 0, 0, b"12345"),
    "settings on a stream": START + frame(SETTINGS, 0, 1, bytes(6)),
    "settings ack with payload": START + frame(SETTINGS, 1, 0, bytes(6)),
    "initial window over 2^31": START + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0xFFFFFFFF)),
    "max frame size of 1": START + frame(SETTINGS, 0, 0, struct.pack(">HI", 5, 1)),
    "enable push of 2": START + frame(SETTINGS, 0, 0, struct.pack(">HI", 2, 2)),
    "ping of 7 bytes": START + frame(PING, 0, 0, b"1234567"),
    "ping on a stream": START + frame(PING, 0, 1, b"12345678"),
    "window update of 0 bytes": START + frame(WINDOW, 0, 0, bytes(4)),
    "window update of 3 octets": START + frame(WINDOW, 0, 0, b"abc"),
    "window overflow": START + 3 * frame(WINDOW, 0, 0, struct.pack(">I", 0x7FFFFFFF)),
    "window update on an idle stream": START + frame(WINDOW, 0, 9, struct.pack(">I", 1)),
    "data on stream 0": START + frame(DATA, 0, 0, b"x"),
    "data on an idle stream": START + frame(DATA, 0, 9, b"x"),
    "data beyond its padding": START + get(1, flags=END_HEADERS) + frame(DATA, PADDED, 1, b"\xff" + b"x"),
    "headers on stream 0": START + get(0),
    "headers on an even stream": START + get(2),
    "headers within headers": START + frame(HEADERS, END_STREAM, 1, GET) + get(3),
    "continuation alone": START + frame(CONTINUATION, 0, 1, GET),
    "continuation of another stream": START + frame(HEADERS, 0, 1, GET) + frame(CONTINUATION, END_HEADERS, 3, GET),
    "ping within headers": START + frame(HEADERS, 0, 1, GET) + frame(PING, 0, 0, bytes(8)),
    "broken hpack": START + get(1, b"\xff\xff\xff\xff\xff\xff\xff\xff"),
    "hpack index beyond the table": START + get(1, b"\xbf\x80\x80\x80\x01"),
    "hpack table larger than allowed": START + get(1, b"\x3f\xe1\x7f" + GET),
    "hpack string beyond the block": START + get(1, b"\x10\x7f\xff\xff\xff\x7f"),
    "a push promise": START + frame(PUSH, END_HEADERS, 1, struct.pack(">I", 2) + GET),
    "reset of an idle stream": START + frame(RST, 0, 9, bytes(4)),
    "reset of stream 0": START + frame(RST, 0, 0, bytes(4)),
    "reset of 3 octets": START + get(1) + frame(RST, 0, 1, b"abc"),
    "goaway on a stream": START + frame(GOAWAY, 0, 1, bytes(8)),
    "priority of 4 octets": START + frame(PRIORITY, 0, 1, bytes(4)),
    "a second preface": START + PREFACE,
    "endless continuation": START + frame(HEADERS, 0, 1, GET) + frame(CONTINUATION, 0, 1, b"") * 100_000,
    "endless header block": START + frame(HEADERS, 0, 1, GET) + frame(CONTINUATION, 0, 1, fields(("x", "y" * 16_000))) * 1000,
}

# name -> (what is sent over and over, by a guest that never reads; None where the channel may live on).
FLOODS = {
    "pings": START + frame(PING, 0, 0, b"12345678"),
    "settings": START + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65_535)),
    "window updates": START + get(1, flags=END_HEADERS) + frame(WINDOW, 0, 1, struct.pack(">I", 1)),
    "priorities": START + frame(PRIORITY, 0, 1, struct.pack(">IB", 0, 1)),
    "unknown frames": START + frame(200, 255, 1, b"x" * 100),
    "empty data": START + get(1, flags=END_HEADERS) + frame(DATA, 0, 1),
    "padding": START + get(1, flags=END_HEADERS) + frame(DATA, PADDED, 1, b"\xff" + bytes(255)),
    "goaways": START + frame(GOAWAY, 0, 0, bytes(8) + b"x" * 1000),
}


def first_and_rest(flood):
    """The flood's beginning, and the one frame that is repeated."""
    at = len(START)
    frames = []
    while at < len(flood):
        length = int.from_bytes(flood[at:at + 3], "big")
        frames.append(flood[at:at + 9 + length])
        at += 9 + length
    return START + b"".join(frames[:-1]), frames[-1]


@pytest.fixture
def speak(tmp_path):
    """speak(bytes, times): what a hostile guest under a real supervisor heard from its broker."""

    def run(data, times=1, *options):
        file = tmp_path / "attempt"
        file.write_text(f"speak\n{data.hex()}\n{times}")
        done = subprocess.run([TREE / "bin/postern", "run", "--json", "--allow-net", "--timeout=20s", *options, file], capture_output=True, text=True, timeout=40)
        assert remains() == []
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize("name", MALFORMED)
def test_a_guest_s_noise_ends_its_channel(speak, name):
    """The broker hangs up, at once and without any harm; the run then ends by itself."""
    result = speak(MALFORMED[name])
    assert result["outcome"] == "succeeded" and result["value"].startswith("hung up: "), result


def test_a_half_written_frame_is_nothing(speak):
    """A guest that stops in the middle of anything waits alone."""
    whole = START + get(1)
    for cut in (1, 10, len(PREFACE), len(PREFACE) + 5, len(START) + 3, len(START) + 9, len(whole) - 1):
        result = speak(whole[:cut])
        assert result["value"].startswith("silent: "), (cut, result)


def test_it_is_answered_when_it_is_well_formed(speak):
    """The control of all the above: the same frames without a flaw are answered with a denial."""
    result = speak(START + get(1), 1, "--deny-net=refused.test")
    client = h2.connection.H2Connection()
    client.initiate_connection()
    client.send_headers(1, [(":method", "GET"), (":scheme", "http"), (":authority", "refused.test"), (":path", "/")], end_stream=True)
    heard = client.receive_data(bytes.fromhex(result["value"].removeprefix("silent: ")))
    response = next(dict(e.headers) for e in heard if isinstance(e, h2.events.ResponseReceived))
    assert b"ERR_NETWORK_DENIED" in response[b"proxy-status"] and (result["usage"]["requests"], result["usage"]["denied"]) == (1, 1)


CONFUSED = {
    "no method": [(":scheme", "http"), (":authority", "a.test"), (":path", "/")],
    "two methods": [(":method", "GET"), (":method", "POST"), (":scheme", "http"), (":authority", "a.test"), (":path", "/")],
    "two authorities": [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":authority", "127.0.0.1"), (":path", "/")],
    "pseudo-header after a field": [(":method", "GET"), ("x", "y"), (":scheme", "http"), (":authority", "a.test"), (":path", "/")],
    "unknown pseudo-header": [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/"), (":host", "127.0.0.1")],
    "a response's status": [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/"), (":status", "200")],
    "empty path": [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "")],
    "upper-case name": [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/"), ("Upper", "x")],
    "connection field": [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/"), ("connection", "upgrade")],
    "te of no trailers": [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/"), ("te", "gzip")],
    "line break in a value": [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/"), ("x", "a\r\nhost: b")],
    "zero in a path": [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/\0")],
    "connect with a path": [(":method", "CONNECT"), (":scheme", "http"), (":authority", "a.test:80"), (":path", "/")],
    "connect without authority": [(":method", "CONNECT")],
    "another protocol": [(":method", "CONNECT"), (":protocol", "connect-udp"), (":scheme", "https"), (":authority", "a.test"), (":path", "/")],
    "protocol without connect": [(":method", "GET"), (":protocol", "websocket"), (":scheme", "https"), (":authority", "a.test"), (":path", "/")],
}


@pytest.mark.parametrize("name", CONFUSED)
def test_confused_pseudo_headers_reach_nothing(origin, name):
    """A stream error or a denial; the channel goes on, and nothing is asked of anybody."""
    with RawGuest(f"http://{origin.http}", "a.test") as guest:
        answer = guest.request(CONFUSED[name])
        if answer != "channel closed":
            refused = isinstance(answer, str) or answer[0][":status"].startswith(("4", "5"))
            assert refused, answer
            good = guest.request([(":method", "GET"), (":scheme", "http"), (":authority", origin.http), (":path", "/ok")])
            assert good[1] == b"fine", good
        assert guest.lives()
    assert [r[1] for r in origin.requests] in ([], ["/ok"])


@pytest.mark.parametrize("where", ["127.0.0.1:22", "169.254.169.254:80", "[::1]:80", "localhost:80", "metadata.test:80", "0.0.0.0:80", "refused.test:1"])
def test_connect_to_forbidden_places(origin, where):
    for target in ([(":method", "CONNECT"), (":authority", where)],
                   [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", where), (":path", "/")]):
        with RawGuest("tcp://allowed.test:1", f"http://{origin.http}") as guest:
            got, _ = guest.request(target)
            assert "ERR_NETWORK_DENIED" in got["proxy-status"]


def pour(guest, data, limit):
    """Writes `data` over and over, `limit` bytes or until the channel ends or takes no more. -> (bytes, "ended" | "full" | "all")"""
    os.set_blocking(guest.out, False)
    left, written = b"", 0
    while written < limit:
        left = left or data
        try:
            n = os.write(guest.out, left)
        except BrokenPipeError:
            return written, "ended"
        except BlockingIOError:
            if not select.select([], [guest.out], [], 0.5)[1]:
                return written, "full"
            continue
        written += n
        left = left[n:]
    return written, "all"


def honest(guest, origin):
    return guest.request([(":method", "GET"), (":scheme", "http"), (":authority", origin.http), (":path", "/ok")])[1] == b"fine"


# What a broker may need for one guest, beside what it has when idle: `concurrent` streams with a full window each way (1 MiB of
# upload, 256 KiB of download), and what the session, the pipes and malloc keep.
def bound(concurrent):
    if BUILD != RELEASE:
        return float("inf")  # the sanitizers keep what was freed
    return concurrent * (MIB + MIB // 4) + 8 * MIB


@pytest.mark.parametrize("name", FLOODS)
def test_floods_end_alone_or_do_nothing(origin, name):
    start, again = first_and_rest(FLOODS[name])
    broker = Broker()
    try:
        with RawGuest("refused.test", broker=broker, concurrent=8) as guest:
            idle = broker.memory()
            guest.write(start[len(PREFACE):])  # the guest's own preface is sent already
            flood = again * (65_536 // len(again))
            _, how = pour(guest, flood, 24 * MIB)
            assert broker.memory() - idle < bound(8)
            with RawGuest(f"http://{origin.http}", broker=broker) as other:
                assert honest(other, origin)
                if how == "all":  # read slowly from now on: there is another
                    pour(guest, flood, 2 * MIB)
                assert broker.memory() - idle < bound(8)
                assert honest(other, origin) and broker.lives()
            if name in ("pings", "settings"):
                assert how in ("ended", "full")  # its answers are read by nobody
        assert broker.await_end(guest)
    finally:
        broker.close()


@pytest.mark.parametrize("kind", ["cancelled at once", "beyond the limit", "never read"])
def test_streams_without_end(origin, kind):
    """Rapid resets, more streams than allowed, and answers that nobody reads."""
    broker = Broker()
    try:
        with RawGuest(f"http://{origin.http}", broker=broker, concurrent=8) as guest:
            idle = broker.memory()
            block = fields((":method", "GET"), (":scheme", "http"), (":authority", "refused.test" if kind != "beyond the limit" else origin.http), (":path", "/silence"))
            outcome = "all"
            for first in range(1, 60_001, 2000):
                batch = b"".join(get(s, block) + (frame(RST, 0, s, struct.pack(">I", 8)) if kind == "cancelled at once" else b"") for s in range(first, first + 2000, 2))
                _, outcome = pour(guest, batch, len(batch))
                if outcome != "all":
                    break
            assert broker.memory() - idle < bound(8)
            with RawGuest(f"http://{origin.http}", broker=broker) as other:
                assert honest(other, origin) and broker.lives()
        for _ in range(2):
            assert broker.await_end(guest)
    finally:
        broker.close()


@unless_sanitized
def test_memory_is_bounded_and_returned(origin):
    """Eight uploads that the origin does not read and eight downloads that the guest does not: all that may be held."""
    broker = Broker()
    try:
        with RawGuest(f"http://{origin.http}", broker=broker) as other:
            assert honest(other, origin)
            idle = broker.memory()
            with RawGuest(f"http://{origin.http}", broker=broker, concurrent=16) as guest:
                for stream in range(1, 33, 2):
                    upload = stream < 17
                    path = "/never-reads" if upload else "/endless-body"
                    guest.write(get(stream, fields((":method", "POST" if upload else "GET"), (":scheme", "http"), (":authority", origin.http), (":path", path)),
                                    END_HEADERS | (0 if upload else END_STREAM)))
                body = b"".join(frame(DATA, 0, stream, bytes(16_000)) for stream in range(1, 17, 2))
                written, _ = pour(guest, body * 4, 64 * MIB)
                assert honest(other, origin)
                held = broker.memory() - idle
                assert held < bound(16), held
            assert broker.await_end(guest)
            assert honest(other, origin)
            assert broker.memory() - idle < 8 * MIB
    finally:
        broker.close()


def test_who_never_reads_holds_up_nobody(origin):
    broker = Broker()
    try:
        with RawGuest(f"http://{origin.http}", broker=broker) as other, RawGuest(f"http://{origin.http}", broker=broker) as guest:
            for stream in range(1, 65, 2):
                guest.write(get(stream, fields((":method", "GET"), (":scheme", "http"), (":authority", origin.http), (":path", "/endless-body"))))
            for _ in range(50):
                assert honest(other, origin)
    finally:
        broker.close()
