"""What a run costs that a warm server is asked for, beside one without a server, in turn, in one run: the whole process of the thin client, and
the API on a kept connection.

    ./dev bench serve"""

import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests"))
import conftest  # noqa: E402,F401: which says where the others are
from server import POSTERN, Server, ask  # noqa: E402


def timed(*words):
    begun = time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begun) * 1000


def main():
    with tempfile.TemporaryDirectory() as directory, Server(pathlib.Path(directory), "--spares=8") as server:
        client, alone = [], []
        hello = pathlib.Path(directory) / "hello.mjs"
        hello.write_text("console.log('hello world')")
        for _ in range(150):
            client.append(timed(POSTERN, "run", f"--server=unix:{server.socket}", hello))
            alone.append(timed(POSTERN, "run", hello))
        a, b = statistics.median(client), statistics.median(alone)
        print(f"hello world, whole process         with a server {a:6.1f} ms (below 8), without {b:6.1f} ms, ratio {a / b:.2f}")
        with server.connection() as c:
            times = []
            for _ in range(1000):
                begun = time.perf_counter()
                ask(c, "POST", "/v1/runs", {"code": "__return(1)"})
                times.append((time.perf_counter() - begun) * 1000)
        print(f"a run over the API, one at a time  p50 {statistics.median(times):6.2f} ms, p99 {statistics.quantiles(times, n=100)[98]:6.2f} ms (with the client's own time)")
        count = [0] * 4

        def load(i):
            with server.connection() as c:
                while time.perf_counter() < end:
                    assert ask(c, "POST", "/v1/runs", {"code": "__return(1)"}).status == 200
                    count[i] += 1

        end = time.perf_counter() + 3
        threads = [threading.Thread(target=load, args=(i,)) for i in range(len(count))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        print(f"runs a second, four clients        {sum(count) / 3:6.0f}")


main()
