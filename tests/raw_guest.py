"""A guest's side of a net broker's channel, played by the test: HTTP/2 frames with anything in them, to a real confined broker.

    with RawGuest(rules) as guest:
        guest.request([(":method", "GET"), …], b"body")   # -> fields and body of the response, or the error that ended it
"""

import array
import json
import os
import re
import socket
import struct

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from conftest import BUILD, ROOT

KREADY, KBIND, KPING, KPONG = 1, 6, 9, 10


def default_limits():
    """The limits' defaults, from their header."""
    text = (ROOT / "policy" / "limits.h").read_text()
    found = re.findall(r"int64_t (\w+) = ([0-9'LB< ]+);", text)
    return {name: eval(value.replace("'", "").replace("LL", "")) for name, value in found}


def policy(*rules, **limits):
    """The policy in the form in which a broker gets it."""
    empty = {"methods": [], "paths": [], "addresses": [], "headers": [], "secrets": [], "in": [True, False, False], "certificate": "", "key": "", "pins": []}
    return {"permission": True, "report": False, "adapter": 1, "adapter_target": "", "resolve_remote": False, "servers": [], "hosts": {}, "denied": [],
            "secrets": {}, "audit_required": False, "audit_redact_query": False, "limits": {**default_limits(), **limits},
            "rules": [{"allow": True, "text": r, "origin": "test", **empty} for r in rules]}


class RawGuest:
    def __init__(self, *rules, **limits):
        self.policy = policy(*rules, **limits)

    def __enter__(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control = ours
        program = str(BUILD / "broker" / "postern-broker")
        high = os.dup(theirs.fileno())  # never 3 itself: a descriptor duplicated onto itself would stay close-on-exec
        self.broker = os.posix_spawn(program, [program, "net"], {}, file_actions=[(os.POSIX_SPAWN_DUP2, high, 3)])
        os.close(high)
        theirs.close()
        kind, = struct.unpack_from("<I", ours.recv(1 << 17))
        assert kind == KREADY
        from_guest, self.out = os.pipe()
        self.inp, to_guest = os.pipe()
        memory = os.memfd_create("policy")
        os.write(memory, json.dumps(self.policy).encode())
        os.lseek(memory, 0, os.SEEK_SET)
        fds = array.array("i", [from_guest, to_guest, memory])
        ours.sendmsg([struct.pack("<IIQqq", KBIND, 4, 1, 0, 0) + b"test"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        for fd in fds:
            os.close(fd)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=True, validate_outbound_headers=False, normalize_outbound_headers=False, validate_inbound_headers=False, header_encoding="latin-1"))
        self.h2.initiate_connection()
        self.flush()
        return self

    def __exit__(self, *_):
        os.close(self.out)
        os.close(self.inp)
        self.control.close()
        os.waitpid(self.broker, 0)

    def lives(self):
        """Whether the broker still answers."""
        self.control.send(struct.pack("<IIQqq", KPING, 0, 0, 0, 0))
        while True:
            message = self.control.recv(1 << 17)
            if not message:
                return False
            if struct.unpack_from("<I", message)[0] == KPONG:
                return True

    def flush(self):
        data = self.h2.data_to_send()
        while data:
            data = data[os.write(self.out, data):]

    def write(self, raw):
        os.write(self.out, raw)

    def request(self, fields, body=b""):
        """(fields, body), or what ended the stream or the channel: a string."""
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, fields, end_stream=not body)
        if body:
            self.h2.send_data(stream, body, end_stream=True)
        try:
            self.flush()
        except BrokenPipeError:
            return "channel closed"
        got, data = {}, b""
        while True:
            received = os.read(self.inp, 1 << 16)
            if not received:
                return "channel closed"
            for event in self.h2.receive_data(received):
                if isinstance(event, h2.events.ResponseReceived):
                    got = dict(event.headers)
                elif isinstance(event, h2.events.DataReceived):
                    data += event.data
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded) and event.stream_id == stream:
                    self.flush()
                    return got, data
                elif isinstance(event, h2.events.StreamReset) and event.stream_id == stream:
                    return f"reset {event.error_code}"
                elif isinstance(event, h2.events.ConnectionTerminated):
                    return "channel closed"
            self.flush()
