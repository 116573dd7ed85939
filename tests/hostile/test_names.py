"""Names: many of them, answers of any size, and a resolv.conf that changes under a server."""

import http.client
import json
import os
import socket
import struct
import subprocess
import threading

import pytest
from conftest import POSTERN, allowing
from ports import free_port


class Resolver:
    """A DNS server on a loopback address of its own, port 53 where the test wants that: answers each A with `answers(name)`."""

    def __init__(self, answers, address="127.0.0.1", port=None):
        self.queries = []
        self._answers = answers
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, port or free_port()))
        self.text = "%s:%d" % self._socket.getsockname()
        self._listener = socket.create_server(self._socket.getsockname())  # for answers that no datagram takes
        self._threads = [threading.Thread(target=self._serve), threading.Thread(target=self._serve_tcp)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self._socket.getsockname())
        socket.create_connection(self._listener.getsockname()).close()
        for thread in self._threads:
            thread.join()
        self._socket.close()
        self._listener.close()

    def _serve(self):
        while True:
            data, peer = self._socket.recvfrom(4096)
            if not data:
                return
            self._socket.sendto(self._answer(data), peer)

    def _serve_tcp(self):
        while True:
            with self._listener.accept()[0] as connection, connection.makefile("rb") as file:
                if not (size := file.read(2)):
                    return
                while size:
                    answer = self._answer(file.read(struct.unpack("!H", size)[0]))
                    connection.sendall(struct.pack("!H", len(answer)) + answer)
                    size = file.read(2)

    def _answer(self, data):
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]].decode())
            at += data[at] + 1
        kind = struct.unpack("!H", data[at + 1:at + 3])[0]
        name = ".".join(labels)
        if kind == 1:
            self.queries.append(name)
        addresses = self._answers(name) if kind == 1 else []
        records = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 300, 4) + socket.inet_aton(a) for a in addresses)
        return data[:2] + struct.pack("!HHHHH", 0x8180, 1, len(addresses), 0, 0) + data[12:at + 5] + records


LOOK_UP = "import { promises as dns } from 'node:dns'; const look = (name) => dns.resolve4(name).then((a) => a.length, (e) => e.code); "


def test_a_full_cache_makes_room_for_new_names(postern):
    """The last of 1 100 names is asked for once, however often it is looked up."""
    with Resolver(lambda name: ["198.41.0.4"]) as resolver:
        policy = allowing("*.test", rate=None)
        policy["network"].pop("limits", None)
        policy["network"]["dns"] = {"servers": [resolver.text]}
        code = LOOK_UP + """
          for (let i = 0; i < 1100; i += 50) await Promise.all(Array.from({ length: 50 }, (_, k) => look(`n${i + k}.test`)));
          for (let i = 0; i < 5; i++) await look('last.test');
          __return(await look('last.test'));"""
        assert postern(code, policy=policy).value == 1
        assert resolver.queries.count("last.test") == 1


def test_an_answer_of_many_addresses_is_cut(postern):
    with Resolver(lambda name: [f"198.41.{i >> 8}.{i & 255}" for i in range(200)]) as resolver:
        policy = allowing("*.test")
        policy["network"]["dns"] = {"servers": [resolver.text]}
        assert postern(LOOK_UP + "__return(await look('many.test'));", policy=policy).value == 64


@pytest.mark.skipif(os.geteuid() != 0, reason="binds port 53 and mounts a file over resolv.conf")
def test_a_server_reads_resolv_conf_again(tmp_path):
    class Connection(http.client.HTTPConnection):
        def connect(self):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(str(tmp_path / "s"))

    address = f"127.{os.getpid() >> 16 & 63}.{os.getpid() >> 8 & 255}.{os.getpid() & 255 or 1}"
    with Resolver(lambda name: ["198.41.0.4"], address, 53) as resolver:
        (tmp_path / "resolv.conf").write_text("nameserver 127.255.255.254\n")
        policy = allowing("a.test", resolve_timeout="2s")
        (tmp_path / "p.yaml").write_text(json.dumps(policy))
        server = subprocess.Popen(["unshare", "--mount", "sh", "-c", 'mount --bind "$1" /etc/resolv.conf && exec "$2" serve --socket="$3" --policy="$4"', "sh",
                                   str(tmp_path / "resolv.conf"), POSTERN, str(tmp_path / "s"), str(tmp_path / "p.yaml")], stderr=subprocess.PIPE, text=True)
        try:
            while "ready at" not in (line := server.stderr.readline()):
                assert line, "the server has ended"

            def look():
                connection = Connection("localhost")
                connection.request("POST", "/v1/runs", json.dumps({"code": LOOK_UP + "__return(await look('a.test'));"}), {"Content-Type": "application/json"})
                return json.loads(connection.getresponse().read())["value"]

            assert look() != 1 and resolver.queries == []
            (tmp_path / "resolv.conf").write_text(f"nameserver {address}\n")
            assert look() == 1 and resolver.queries == ["a.test"]
        finally:
            server.terminate()
            server.communicate(timeout=20)
