"""A little internet in two network namespaces: a host, in which postern runs, and a world with made-up public addresses, a
real DNS server of the project's own, HTTP servers, and a log of every connection to an address that is forbidden.

    with World() as world:
        world.run("eval", …)   # postern, on the host
        world.connections()    # [(address, port, what was asked for)]
"""

import json
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
PUBLIC, OTHER, RESOLVER = "198.41.200.1", "198.41.200.2", "198.41.200.53"
PUBLIC6 = "2a0f:ffff::1"
# On the world's side, as neighbours of a careless host would have them.
FORBIDDEN = ["10.66.0.1", "172.16.66.1", "192.168.66.1", "100.64.66.1", "169.254.169.254", "198.18.66.1", "203.0.113.66", "192.0.2.66",
             "fd00:66::1", "2001:db8:66::1"]


class World:
    def __init__(self, zone=None):
        """`zone`: name -> list of answers, given in turn (the last again and again); an answer is a list of addresses."""
        self.zone = zone or {}

    def __enter__(self):
        self.host, self.there = self._namespace(), self._namespace()
        there, host = self.there.pid, self.host.pid
        self._in(host, f"""
            ip link set lo up
            ip link add veth0 type veth peer name veth1 netns {there}
            ip addr add 198.41.199.1/24 dev veth0
            ip -6 addr add 2a0f:fffe::1/64 dev veth0 nodad
            ip link set veth0 up""")
        addresses = "\n".join(f"ip addr add {a}/{128 if ':' in a else 32} dev lo" for a in [PUBLIC, OTHER, RESOLVER, PUBLIC6, *FORBIDDEN])
        self._in(there, f"""
            ip link set lo up
            ip addr add 198.41.199.2/24 dev veth1
            ip -6 addr add 2a0f:fffe::2/64 dev veth1 nodad
            ip link set veth1 up
            {addresses}""")
        self._in(host, "ip route add default via 198.41.199.2\nip -6 route add default via 2a0f:fffe::2")
        self._servers = [self._serve(there, "world"), self._serve(host, "host")]
        return self

    def __exit__(self, *_):
        for process in [*self._servers, self.host, self.there]:
            process.stdin.close()
            process.wait(10)
            process.stdout.close()

    def _namespace(self):
        words = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
        process = subprocess.Popen([*words, "sh", "-c", "echo ready; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        return process

    def enter(self, pid):
        words = ["nsenter", f"--target={pid}", "--net"]
        return words if os.geteuid() == 0 else [*words, "--user", "--preserve-credentials"]

    def _in(self, pid, script):
        subprocess.run([*self.enter(pid), "sh", "-e", "-c", script], check=True, capture_output=True, text=True)

    def _serve(self, pid, side):
        process = subprocess.Popen([*self.enter(pid), sys.executable, str(HERE / "world_servers.py"), side, json.dumps(self.zone)],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"
        return process

    def run(self, *words, timeout=120, **options):
        from conftest import POSTERN
        return subprocess.run([*self.enter(self.host.pid), POSTERN, *words], capture_output=True, text=True, timeout=timeout, **options)

    def _ask(self, question):
        answers = []
        for server in self._servers:
            server.stdin.write(question + "\n")
            server.stdin.flush()
            answers += json.loads(server.stdout.readline())
        return answers

    def connections(self):
        """All connections up to now, from both sides: [address, port, what was asked for]."""
        return self._ask("connections")

    def forbidden(self):
        return [c for c in self.connections() if c[0] not in (PUBLIC, OTHER, PUBLIC6)]

    def queries(self):
        return self._ask("queries")
