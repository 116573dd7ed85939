"""What a guest notices of a hostile neighbour on the same broker: the p99 of its requests while the other floods its channel, as a
ratio to the p99 while the other process writes as much to a pipe that somebody else drains (the machine has two cores, and a process that
writes without end takes one in either case).

    ./dev bench neighbours [REQUESTS [CHANNELS]]"""

import os
import pathlib
import signal
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests"))
import conftest  # noqa: E402,F401: which says where the others are
from raw_guest import Broker, RawGuest  # noqa: E402
from test_hostile_channel import FLOODS, PREFACE, first_and_rest, frame, get, RST  # noqa: E402

REQUESTS = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
CHANNELS = int(sys.argv[2]) if len(sys.argv) > 2 else 3  # that the flooding guest has, one after the other: some floods end a channel
PIECE = 65_536


def resets():
    return b"", b"".join(get(s) + frame(RST, 0, s, b"\0\0\0\x08") for s in range(1, 2001, 2))


def p99(guest):
    times = []
    for _ in range(REQUESTS):
        begun = time.perf_counter()
        fields, _ = guest.request([(":method", "GET"), (":scheme", "http"), (":authority", "refused.test"), (":path", "/")])
        times.append(time.perf_counter() - begun)
        assert fields[":status"] == "502" or fields["proxy-status"]
    return statistics.quantiles(times, n=100)[98]


def pour(fds, start, data):
    """In a process of its own: writes to one descriptor after the other, each until it takes no more."""
    pid = os.fork()
    if pid:
        return pid
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for fd in fds:
        try:
            os.write(fd, start)
            while True:
                os.write(fd, data)
        except BrokenPipeError:
            continue
    while True:
        signal.pause()


def end(*pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def drained(data):
    """The flood into a pipe whose other end a third process reads."""
    r, w = os.pipe()
    reader = os.fork()
    if reader == 0:
        os.close(w)
        while os.read(r, PIECE):
            pass
        os._exit(0)
    os.close(r)
    writer = pour([w], b"", data)
    os.close(w)
    return writer, reader


def measure(start, data):
    broker = Broker()
    try:
        with RawGuest("other.test", broker=broker) as victim:
            p99(victim)
            writer, reader = drained(data)
            alone = p99(victim)
            end(writer, reader)
            hostile = [RawGuest("refused.test", broker=broker, concurrent=8) for _ in range(CHANNELS)]
            for guest in hostile:
                guest.__enter__()
            pid = pour([guest.out for guest in hostile], start[len(PREFACE):], data)
            beside = p99(victim)
            end(pid)
            for guest in hostile:
                os.close(guest.out)
                os.close(guest.inp)
        return alone, beside
    finally:
        broker.close()


def main():
    floods = {name: first_and_rest(flood) for name, flood in FLOODS.items()}
    floods["rapid resets"] = resets()
    for name, (start, again) in floods.items():
        data = again * max(1, PIECE // len(again))
        pairs = [measure(start, data) for _ in range(3)]
        alone, beside = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
        print(f"{name:20} p99 {alone * 1e6:8.0f} us, beside the flood {beside * 1e6:8.0f} us, ratio {beside / alone:.2f}  (at most 2)", flush=True)


main()
