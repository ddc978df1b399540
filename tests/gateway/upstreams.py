"""What stands behind the gateway in its tests? A real nginx, an application, a strict listener."""

import base64
import hashlib
import os
import re
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedReader
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


_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PLAIN = re.compile(rb"[A-Z]+ [!-~]+ HTTP/1\.1\r\n(?:%s:[ ]?[\t -~]*\r\n)+\r\n" % _TOKEN)
_SIZE = re.compile(rb"[0-9a-fA-F]{1,8}\r\n")
AGREED = b"HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n"


@dataclass(frozen=True)
class Heard:
    """One request, byte by byte."""

    head: bytes
    body: bytes = b""
    is_plain: bool = False
    """Nobody can read it in two ways: it is just what the standard's grammar says."""

    @property
    def target(self) -> str:
        return self.head.partition(b" ")[2].partition(b" ")[0].decode("latin-1")

    def values(self, name: str) -> list[str]:
        lines = [line.partition(b":") for line in self.head.split(b"\r\n")[1:]]
        wanted = name.lower().encode()
        return [v.strip().decode("latin-1") for n, _, v in lines if n.lower() == wanted]


@dataclass
class Listener:
    """An upstream that keeps every request as it came, and agrees to any upgrade."""

    heard: list[Heard] = field(default_factory=list)
    tunnelled: list[bytes] = field(default_factory=list)
    """What came after it had agreed to an upgrade."""

    def serve(self, server: socket.socket, context: ssl.SSLContext | None) -> None:
        with suppress(OSError):  # it was closed: the tests are over
            while True:
                caller, _ = server.accept()
                threading.Thread(target=self._listen, args=(caller, context), daemon=True).start()

    def _listen(self, caller: socket.socket, context: ssl.SSLContext | None) -> None:
        with suppress(OSError):
            if context:
                caller = context.wrap_socket(caller, server_side=True)
            with caller, caller.makefile("rb") as stream:
                while request := read_request(stream):
                    self.heard.append(request)
                    if request.values("upgrade"):
                        caller.sendall(AGREED % request.values("upgrade")[0].encode())
                        while piece := stream.read1():
                            self.tunnelled.append(piece)
                    caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def read_request(stream: BufferedReader) -> Heard | None:
    """Read a request as strictly as can be; None when there is no more."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return Heard(head) if head else None
        head += line
    request = Heard(head)
    lengths, encodings = request.values("content-length"), request.values("transfer-encoding")
    if not _PLAIN.fullmatch(head) or len(lengths + encodings) > 1 or request.values("host")[1:]:
        return request
    if encodings:
        body = _read_chunks(stream) if encodings[0].lower() == "chunked" else None
    else:
        length = (lengths or ["0"])[0]
        body = stream.read(int(length)) if length.isdigit() else None
    return request if body is None else Heard(head, body, is_plain=True)


def _read_chunks(stream: BufferedReader) -> bytes | None:
    body = b""
    while _SIZE.fullmatch(line := stream.readline()):
        size = int(line, 16)
        body += stream.read(size)
        if stream.readline() != b"\r\n":
            return None
        if not size:
            return body
    return None


@contextmanager
def listener(address: str, plain: int, tls: int, certificate: Path) -> Iterator[Listener]:
    """Listen on two ports of an address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    made = Listener()
    servers = [socket.create_server((address, port)) for port in (plain, tls)]
    for server, how in zip(servers, (None, context), strict=True):
        threading.Thread(target=made.serve, args=(server, how), daemon=True).start()
    try:
        yield made
    finally:
        for server in servers:
            server.shutdown(socket.SHUT_RDWR)
            server.close()
