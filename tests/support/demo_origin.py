"""A real origin for the demo and the benchmarks: nginx on a free loopback port, and a listener that never
answers. Usage: demo_origin.py DIR; writes "HOST:PORT HOST:PORT" to DIR/ready and runs until it is ended."""

import os
import pathlib
import signal
import socket
import subprocess
import sys

from ports import free_port

directory = pathlib.Path(sys.argv[1]).absolute()
www = directory / "www"
www.mkdir(parents=True, exist_ok=True)
(directory / "ready").unlink(missing_ok=True)
(www / "index.html").write_text("<!doctype html><title>Origin</title><p>A page from a real origin.\n")
for name, size in (("1k.bin", 1 << 10), ("10m.bin", 10 << 20), ("100m.bin", 100 << 20)):
    (www / name).write_bytes(os.urandom(1 << 10) * (size >> 10))

port = free_port()
silent = socket.socket()
silent.bind(("127.0.0.1", 0))
silent.listen(64)

(directory / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/error.log;
events {{ worker_connections 2048; }}
http {{
  access_log off; keepalive_requests 1000000; default_type application/octet-stream; types {{ text/html html; }}
  client_body_temp_path {directory}/t1; proxy_temp_path {directory}/t2; fastcgi_temp_path {directory}/t3;
  uwsgi_temp_path {directory}/t4; scgi_temp_path {directory}/t5;
  server {{ listen 127.0.0.1:{port}; root {www}; }}
}}
""")
nginx = subprocess.Popen(["nginx", "-c", str(directory / "nginx.conf"), "-p", str(directory)], stderr=subprocess.DEVNULL,
                         env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"})


def end(*_):
    nginx.terminate()
    os.waitpid(nginx.pid, 0)
    os._exit(0)


signal.signal(signal.SIGTERM, end)
while True:
    if nginx.poll() is not None:
        sys.exit("nginx does not start: see %s/error.log" % directory)
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        break
    except OSError:
        pass
ready = directory / "ready.new"
ready.write_text("127.0.0.1:%d 127.0.0.1:%d\n" % (port, silent.getsockname()[1]))
ready.rename(directory / "ready")
while True:
    signal.pause()
