"""The servers of a World, on one of its sides: HTTP on ports 80 and 8080 of every address, DNS on the resolver's.

Every connection is written down with the address it came to. Standard input asks for what was seen, and its end is the end."""

import asyncio
import json
import struct
import sys

seen, asked = [], []
side, zone = sys.argv[1], json.loads(sys.argv[2])


async def serve(reader, writer):
    address, port = writer.get_extra_info("sockname")[:2]
    entry = [address.removeprefix("::ffff:"), port, ""]
    seen.append(entry)
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            target = head.split(" ")[1]
            entry[2] += target + " "
            where = target.partition("to=")[2]
            if target.startswith("/redirect"):
                writer.write(f"HTTP/1.1 302 Found\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode("latin-1"))
            elif target.startswith("/close"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine")
                await writer.drain()
                break
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass
    writer.close()


class Dns(asyncio.DatagramProtocol):
    """Answers from `zone`: each name's answers in turn, TTL 0."""

    def connection_made(self, transport):
        self.transport = transport
        self.turns = {}

    def datagram_received(self, query, peer):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
            at += query[at] + 1
        name, kind = ".".join(labels), struct.unpack("!H", query[at + 1:at + 3])[0]
        asked.append(name)
        answers = zone.get(name)
        if answers is None:
            self.transport.sendto(query[:2] + b"\x81\x83" + query[4:6] + b"\0\0\0\0\0\0" + query[12:at + 5], peer)
            return
        turn = self.turns[name, kind] = self.turns.get((name, kind), -1) + 1
        addresses = answers[min(turn, len(answers) - 1)]
        packed = []
        for address in addresses:
            if (":" in address) != (kind == 28) or kind not in (1, 28):
                continue
            import ipaddress
            packed.append(ipaddress.ip_address(address).packed)
        body = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(p)) + p for p in packed)
        self.transport.sendto(query[:2] + b"\x81\x80\0\1" + struct.pack("!H", len(packed)) + b"\0\0\0\0" + query[12:at + 5] + body, peer)


async def main():
    loop = asyncio.get_running_loop()
    for port in (80, 8080):
        await asyncio.start_server(serve, ["0.0.0.0", "::"], port, backlog=256)
    if side == "world":
        await loop.create_datagram_endpoint(Dns, local_addr=("198.41.200.53", 53))
    stdin = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    print("ready", flush=True)
    while line := await stdin.readline():
        print(json.dumps(seen if line == b"connections\n" else asked), flush=True)


asyncio.run(main())
