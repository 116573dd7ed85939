"""What kill -9 of a server leaves, and for how long: with runs and requests under way, from the signal until the last of its processes is gone,
until each client has heard of it, and until another server at the same place serves.

    ./dev bench killed [TIMES]"""

import http.client
import json
import os
import pathlib
import signal
import statistics
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests"))
from conftest import our_processes  # noqa: E402
from server import Server  # noqa: E402

CLIENTS = 8


def once(directory):
    survived, heard = None, []
    with Server(directory, f"--runs={CLIENTS}") as server:
        asked = threading.Barrier(CLIENTS + 1)

        def client():
            with server.connection() as c:
                body = json.dumps({"code": "console.log('up'); for (;;);"})
                c.request("POST", "/v1/runs", body, {"content-type": "application/json", "accept": "text/event-stream"})
                answer = c.getresponse()
                while b"event: stdout" not in (line := answer.readline()):
                    assert line
                asked.wait()
                try:
                    while answer.readline():
                        pass
                except (http.client.HTTPException, ConnectionError):
                    pass
                heard.append(time.perf_counter())

        threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
        for t in threads:
            t.start()
        asked.wait()
        assert len(our_processes()) > CLIENTS
        killed = time.perf_counter()
        os.kill(server.process.pid, signal.SIGKILL)
        while our_processes():
            os.sched_yield()
        survived = time.perf_counter() - killed
        for t in threads:
            t.join(10)
        assert len(heard) == CLIENTS
    begun = time.perf_counter()
    with Server(directory) as server:
        assert server.run({"code": "__return(1)"}).json["value"] == 1
        served = time.perf_counter() - begun
    return survived * 1000, (max(heard) - killed) * 1000, served * 1000


def main():
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    figures = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as directory:
            figures.append(once(pathlib.Path(directory)))
    for name, wanted, values in zip(("the last process is gone", "the last client has heard", "another server has answered a run"), (" (at most 100)", "", ""), zip(*figures), strict=True):
        print(f"{name:36} median {statistics.median(values):6.1f} ms, most {max(values):6.1f} ms{wanted}")


main()
