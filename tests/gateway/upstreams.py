"""What stands behind the gateway in its tests? A real nginx, and an application behind that."""

import base64
import hashlib
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from sandboxes import wait_until

NGINX = "/usr/sbin/nginx"
_HTTP = """\
daemon off;
{user}
pid {top}/nginx.pid;
error_log {top}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {top}/body;
  proxy_temp_path {top}/proxy;
  fastcgi_temp_path {top}/fastcgi;
  uwsgi_temp_path {top}/uwsgi;
  scgi_temp_path {top}/scgi;
  client_max_body_size 0;
  large_client_header_buffers 4 64k;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
{servers}
}}
"""
# /connection tells which connection a request came by, and as the how manieth.
_SERVER = """\
  server {{
    listen {address}:{port} ssl http2;
    server_name {name};
    ssl_certificate {certificate};
    ssl_certificate_key {certificate};
    location /connection {{ return 200 "$connection $connection_requests $server_protocol\\n"; }}
    location / {{
      proxy_pass http://{address}:{app};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_buffering off;
      proxy_request_buffering off;
    }}
  }}
"""


@dataclass(frozen=True)
class Site:
    """A name that nginx serves on a port, with a certificate."""

    port: int
    name: str
    certificate: Path


@contextmanager
def nginx(top: Path, address: str, sites: list[Site], app: int) -> Iterator[None]:
    """Serve all sites by TLS and HTTP/2; what they are asked is passed to the application."""
    assert Path(NGINX).exists(), "nginx is missing: `bash scripts/packages.sh test` installs it"
    top.mkdir()
    servers = "".join(
        _SERVER.format(
            address=address, port=s.port, name=s.name, certificate=s.certificate, app=app
        )
        for s in sites
    )
    user = "user root;" if os.geteuid() == 0 else ""
    (top / "nginx.conf").write_text(_HTTP.format(top=top, user=user, servers=servers))
    log = top / "error.log"
    server = subprocess.Popen([NGINX, "-p", top, "-c", top / "nginx.conf", "-e", log])
    try:
        wait_until(lambda: answers(address, sites[0].port), tell=log.read_text)
        yield
    finally:
        server.terminate()
        server.wait()


def answers(address: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((address, port), 1):
        return True
    return False


EVENTS, GAP = 4, 0.4


class App(BaseHTTPRequestHandler):
    """Remembers the headers of each request; speaks server-sent events and WebSocket."""

    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        with suppress(ConnectionResetError):  # a gateway's process that ends drops what is idle
            super().handle()

    def do_GET(self) -> None:
        seen = {k.lower(): v for k, v in self.headers.items()} | {":path": self.path}
        self.server.seen.append(seen)  # type: ignore[attr-defined]
        if self.path == "/events":
            self._events()
        elif self.headers.get("Upgrade", "").lower() == "websocket":
            self._socket()
        else:
            self._say(b"app")

    def do_POST(self) -> None:
        """Say what arrived, as a digest."""
        left, digest = int(self.headers["Content-Length"]), hashlib.sha256()
        while left:
            piece = self.rfile.read(min(left, 65536))
            digest.update(piece)
            left -= len(piece)
        self._say(digest.hexdigest().encode())

    def _say(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _events(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for number in range(EVENTS):
            self.wfile.write(b"data: %d\n\n" % number)
            time.sleep(GAP)

    def _socket(self) -> None:
        """Answer each short message with itself in capitals."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        while head := self.rfile.read(2):
            mask, payload = self.rfile.read(4), self.rfile.read(head[1] & 0x7F)
            said = bytes(b ^ mask[i % 4] for i, b in enumerate(payload)).upper()
            self.wfile.write(struct.pack("BB", 0x81, len(said)) + said)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def application(address: str, port: int) -> Iterator[list[dict[str, str]]]:
    """Run the application; gives the list of what it has seen."""
    server = ThreadingHTTPServer((address, port), App)
    server.seen = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.seen  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
