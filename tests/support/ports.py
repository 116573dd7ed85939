"""Ports for servers that must be told theirs."""

import errno
import pathlib
import random
import socket

# The kernel hands out the ports from here on, to connections and to whoever binds port 0: the tests beside this one use hundreds
# of them. One below is nobody's between the moment it is found and the moment the server has it.
_FIRST_OF_THE_KERNEL = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])


def free_port():
    """A TCP and UDP port of 127.0.0.1 that nobody uses and that the kernel gives to nobody."""
    for _ in range(1000):
        port = random.randrange(_FIRST_OF_THE_KERNEL // 2, _FIRST_OF_THE_KERNEL)
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as s:
                    s.bind(("127.0.0.1", port))
            return port
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, "no port is free")
