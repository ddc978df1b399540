"""Which requests does an upstream really get? A listener keeps them, and reads them strictly."""

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PLAIN = re.compile(rb"[A-Z]+ [!-~]+ HTTP/1\.1\r\n(?:%s:[ ]?[\t -~]*\r\n)+\r\n" % _TOKEN)
_SIZE = re.compile(rb"[0-9a-fA-F]{1,8}\r\n")
SAID = b"HTTP/1.1 200 OK\r\nSet-Cookie: session=opened\r\nContent-Length: 2\r\n\r\nok"
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
                    caller.sendall(SAID)


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
