"""Asks for each row of http_rows.py, as a client does that runs JavaScript, and reads what docs/http.md says of it.

    python3 tests/support/http_table.py deno run -A     # where another client differs
"""

import json
import pathlib
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading

from http_rows import ROWS, echo

PAGE = pathlib.Path(__file__).parent.parent.parent / "docs" / "http.md"


class RawOrigin:
    """Writes each row's bytes to whoever asks for "/NAME"; `other` is a second origin of the same. `heads`: the requests' heads."""

    def __init__(self):
        self.heads = []

    def __enter__(self):
        self._listeners = [socket.create_server(("127.0.0.1", 0), backlog=64) for _ in range(2)]
        self.http, self.other = ("127.0.0.1:%d" % s.getsockname()[1] for s in self._listeners)
        for listener in self._listeners:
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return self

    def __exit__(self, *_):
        for listener in self._listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.settimeout(20)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            with connection, connection.makefile("rb") as reader:
                while self._one(connection, reader):
                    pass
        except OSError:  # the client is gone
            pass

    def _one(self, connection, reader):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = reader.readline()
            if not line:
                return False
            head += line
        self.heads.append(head)
        name = head.split(b" ")[1].lstrip(b"/").split(b"?")[0].split(b"/")[0].decode("latin-1")
        row = ROWS.get(name) or echo()
        if not row.early:
            self._body(reader, head.lower())
        pieces = row.response if isinstance(row.response, list) else [row.response]
        for i, piece in enumerate(pieces):
            # What is the last of a connection comes with its end, so that no client can take it for kept.
            last = socket.MSG_MORE if i == len(pieces) - 1 and row.then == "close" and not row.early else 0
            for key, value in ((b"{host}", self.http.encode()), (b"{other}", self.other.encode()), (b"{size}", b"%d" % len(head)), (b"{head}", head)):
                piece = piece.replace(key, value)
            connection.sendall(piece if head[:5] != b"HEAD " or name in ROWS else piece.split(b"\r\n\r\n")[0] + b"\r\n\r\n", last)
        if row.then == "hold":
            connection.recv(1)
        if row.then == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if row.early == "kept":
            self._body(reader, head.lower())
        elif row.early:  # takes what still comes, so that no reset overtakes the answer
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        return row.then == "keep"

    @staticmethod
    def _body(reader, head):
        if b"\r\ntransfer-encoding: chunked" in head:
            while size := int(reader.readline().split(b";")[0], 16):
                reader.read(size + 2)
            reader.readline()
        elif b"\r\ncontent-length: " in head:
            reader.read(int(head.split(b"\r\ncontent-length: ")[1].split(b"\r\n")[0]))


# What each client runs: rows as [name, path, init, show], and the base URL.
CLIENT = r"""
const within = (promise, abort) => { let timer; return Promise.race([promise, new Promise((done) => (timer = setTimeout(() => { abort(); done('hangs'); }, 2000)))]).finally(() => clearTimeout(timer)); };
const codeOf = (e) => { let code = ''; for (let x = e, n = 0; x && n < 4; x = x.cause, n++) code = x.posternCode ?? x.code ?? code; return typeof code === 'string' && code !== '' ? code : e.name; };
const shown = (value) => String(value).slice(0, 120);
async function askByFetch(url, init, show) {
  const aborter = new AbortController();
  const go = async () => { const r = await fetch(url, { ...init(), signal: aborter.signal }); const text = await r.text(); return show ? shown(await show(r, text)) : `${r.status} ${shown(text)}`; };
  return within(go().catch((e) => 'error ' + codeOf(e)), () => aborter.abort());
}
async function askByHttp(http, url, init) {
  let request;
  const go = () => new Promise((done) => {
    const { method, body, headers } = init();
    request = http.request(url, { method, headers, agent: false }, (r) => { let text = ''; r.setEncoding('latin1'); r.on('data', (c) => (text += c)); r.on('end', () => done(`${r.statusCode} ${shown(text)}`)); r.on('error', (e) => done('error ' + codeOf(e))); });
    request.on('error', (e) => done('error ' + codeOf(e)));
    request.end(body);
  });
  return within(go(), () => request.destroy());
}
"""


def client(origin, by_http=False, rows=ROWS):
    """A script that leaves {name: what came of it} in `outcome`."""
    lines = [CLIENT, "const outcome = {};"]
    if by_http:
        lines.append("const http = await import('node:http');")
    for name, row in rows.items():
        if by_http and not row.http:
            continue
        path = (row.path or "/" + name).replace("@/", "/")
        host = "u:p@" + origin.http if row.path == "@/echo" else origin.http
        url = f"'http://{host}{path}'" if "'\"" not in path else f"`http://{host}{path}`"
        if by_http:
            lines.append(f"outcome['{name}'] = await askByHttp(http, {url}, () => ({row.init}));")
        else:
            show = f"(r, text) => {row.show}" if row.show else "null"
            lines.append(f"outcome['{name}'] = await askByFetch({url}, () => ({row.init}), {show});")
    return "\n".join(lines)


def ask(command, suffix, origin, by_http=False):
    """{name: what came of it} of a client that runs scripts as `command FILE`; `suffix` prints `outcome`."""
    with tempfile.NamedTemporaryFile("w", suffix=".mjs") as file:
        file.write(client(origin, by_http) + suffix)
        file.flush()
        done = subprocess.run([*command, file.name], capture_output=True, text=True, timeout=300, errors="replace")
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


PRINTED = "\nconsole.log('\\n' + JSON.stringify(outcome)); process.exit(0);"


def decisions():
    """docs/http.md: {name: (fetch, Node's fetch, node:http, Node's node:http)}, None where a row has none."""
    table = {}
    for line in PAGE.read_text().splitlines():
        cells = [re.sub(r"^`(.*)`$", r"\1", c.strip(" ")).replace(r"\|", "|") for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) < 4 or cells[0] in ("row", "---"):
            continue
        values = (cells[1:5] if len(cells) == 6 else [*cells[1:3], "", ""])
        fetch, node, http, node_http = values
        http = fetch if http == "=" else http or None
        table[cells[0]] = (fetch, fetch if node == "=" else node, http, http if node_http == "=" else node_http or None)
    return table


def main():
    with RawOrigin() as origin:
        outcome = ask(sys.argv[1:], PRINTED, origin)
    for name, (fetch, *_) in decisions().items():
        came = outcome[name]
        if came != fetch and not (came.startswith("error") and fetch.startswith("error")):
            print(f"{name:40} Postern {fetch!r}, this client {came[:80]!r}")


if __name__ == "__main__":
    main()
