"""A guest's side of a net broker's channel, played by the test: HTTP/2 frames with anything in them, to a real confined broker.

    with RawGuest(rules) as guest:
        guest.request([(":method", "GET"), …], b"body")   # -> fields and body of the response, or the error that ended it
"""

import array
import json
import os
import pathlib
import re
import socket
import struct

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from conftest import BUILD, ROOT

KREADY, KBIND, KENDED, KPING, KPONG = 1, 6, 7, 9, 10


def default_limits():
    """The limits' defaults, from their header."""
    text = (ROOT / "policy" / "limits.h").read_text()
    found = re.findall(r"int64_t (\w+) = ([0-9'LB< ]+);", text)
    return {name: eval(value.replace("'", "").replace("LL", "")) for name, value in found}


def policy(*rules, **limits):
    """The policy in the form in which a broker gets it."""
    empty = {"trace": False, "methods": [], "paths": [], "addresses": [], "headers": [], "secrets": [], "in": [True, False, False], "certificate": "", "key": "", "pins": []}
    return {"permission": True, "report": False, "adapter": 1, "narrowed_by": None, "adapter_target": "", "resolve_remote": False, "servers": [], "hosts": {}, "denied": [],
            "secrets": {}, "trace": "", "audit_required": False, "audit_redact_query": False, "limits": {**default_limits(), **limits},
            "rules": [{"allow": True, "text": r, "origin": "test", **empty} for r in rules]}


class Broker:
    """A real net broker with the test as its supervisor."""

    def __init__(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control = ours
        program = str(BUILD / "lib" / "postern" / "postern-broker")
        high = os.dup(theirs.fileno())  # never 3 itself: a descriptor duplicated onto itself would stay close-on-exec
        self.launcher = os.posix_spawn(program, [program, "net"], {}, file_actions=[(os.POSIX_SPAWN_DUP2, high, 3)])
        os.close(high)
        theirs.close()
        kind, = struct.unpack_from("<I", ours.recv(1 << 17))
        assert kind == KREADY
        self.guests, self.ended = 0, set()

    def bind(self, policy):
        """(id, read end, write end) of a new guest's channel."""
        self.guests += 1
        from_guest, out = os.pipe()
        inp, to_guest = os.pipe()
        memory = os.memfd_create("policy")
        os.write(memory, json.dumps(policy).encode())
        os.lseek(memory, 0, os.SEEK_SET)
        fds = array.array("i", [from_guest, to_guest, memory])
        self.control.sendmsg([struct.pack("<IIQqq", KBIND, 4, self.guests, 0, 0) + b"test"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        for fd in fds:
            os.close(fd)
        return self.guests, inp, out

    def lives(self):
        """Whether it still answers."""
        self.control.send(struct.pack("<IIQqq", KPING, 0, 0, 0, 0))
        return self.await_message(KPONG) is not None

    def await_message(self, wanted):
        """Its next message of that kind, as (id, payload); None when it is gone."""
        while True:
            message = self.control.recv(1 << 17)
            if not message:
                return None
            kind, size, number = struct.unpack_from("<IIQ", message)
            if kind == KENDED:
                self.ended.add(number)
            if kind == wanted:
                return number, message[-size:] if size else b""

    def await_end(self, guest):
        """Until it has reported that guest's channel as ended. False when it is gone itself."""
        while guest.id not in self.ended:
            if self.await_message(KENDED) is None:
                return False
        return True

    def memory(self):
        """Resident bytes of the process that serves."""
        children = pathlib.Path(f"/proc/{self.launcher}/task/{self.launcher}/children").read_text().split()
        pid = children[0] if children else self.launcher
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
        return 1024 * int(re.search(r"VmRSS:\s+(\d+)", text)[1])

    def close(self):
        self.control.close()
        os.waitpid(self.launcher, 0)


class RawGuest:
    """A channel; with a broker of its own unless it is given one."""

    def __init__(self, *rules, broker=None, **limits):
        self.policy = policy(*rules, **limits)
        self.given, self.broker = broker, broker

    def __enter__(self):
        if not self.given:
            self.broker = Broker()
        self.id, self.inp, self.out = self.broker.bind(self.policy)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=True, validate_outbound_headers=False, normalize_outbound_headers=False, validate_inbound_headers=False, header_encoding="latin-1"))
        self.h2.initiate_connection()
        self.flush()
        return self

    def __exit__(self, *_):
        os.close(self.out)
        os.close(self.inp)
        if not self.given:
            self.broker.close()

    def lives(self):
        """Whether the broker still answers."""
        return self.broker.lives()

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
