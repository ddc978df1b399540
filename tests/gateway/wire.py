"""How does a test send exact bytes from inside the sandbox? Through an SSH login's forwarding.

The agent's sshd dials for it, as the agent's user and in the agent's network: to the gateway these
are the agent's own connections.
"""

import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sandboxes import Box, wait_until

SINKHOLE = "192.0.2.1"
"""Any address will do: all that the agent dials goes to the gateway."""
H2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
_DATA, _HEADERS, _RESET, _GOODBYE = 0, 1, 3, 7


class Wire:
    """Connections from inside the sandbox to ports of the gateway."""

    def __init__(self, sockets: Path, authority: Path) -> None:
        self._sockets = sockets
        self._context = ssl.create_default_context(cafile=str(authority))

    def dial(self, port: int) -> socket.socket:
        dialled = socket.socket(socket.AF_UNIX)
        dialled.settimeout(5)
        dialled.connect(str(self._sockets / str(port)))
        return dialled

    def tls(self, port: int, name: str, *protocols: str) -> ssl.SSLSocket:
        """Shake hands as the agent does, which trusts the sandbox's CA alone."""
        self._context.set_alpn_protocols(list(protocols) or ["http/1.1"])
        return self._context.wrap_socket(self.dial(port), server_hostname=name)

    def ask(self, port: int, request: bytes, tls: str = "", silence: float = 0.4) -> bytes:
        """Send bytes, over TLS if a name is given, and return all that comes back."""
        with self.tls(port, tls) if tls else self.dial(port) as dialled:
            dialled.sendall(request)
            return read_all(dialled, silence)

    def ask_h2(
        self, port: int, tls: str, fields: Iterable[tuple[str, str]], body: bytes = b""
    ) -> str:
        """Send one HTTP/2 request, field by field as given; return what it says, or `reset`."""
        with self.tls(port, tls, "h2") if tls else self.dial(port) as dialled:
            dialled.sendall(H2_HELLO + h2_request(fields, body))
            return read_h2(dialled)


@contextmanager
def wire(box: Box, ports: Iterable[int]) -> Iterator[Wire]:
    """Open the way for as long as the sandbox's SSH server lives."""
    sockets = Path(tempfile.mkdtemp(prefix="cpn-"))  # a socket's path must be short
    ways = [w for p in ports for w in ("-L", f"{sockets}/{p}:{SINKHOLE}:{p}")]
    options = ["-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-N", *ways]
    login = subprocess.Popen(["ssh", "-F", box.desk.home / ".ssh/config", *options, box.alias])
    try:
        wait_until(lambda: len(list(sockets.iterdir())) == len(ways) // 2)
        yield Wire(sockets, box.desk.home / ".local/share/companion/ca/ca.crt")
    finally:
        login.terminate()
        login.wait()
        shutil.rmtree(sockets)


def read_all(dialled: socket.socket, silence: float = 0.4) -> bytes:
    """Return what comes until the other side closes, or says nothing for so many seconds."""
    dialled.settimeout(silence)
    said = b""
    with suppress(OSError):
        while piece := dialled.recv(65536):
            said += piece
    return said


def client_hello(name: str) -> bytes:
    """Return the first message of a TLS client; the name may be one that no client would send."""
    stand_in = "x" * len(name)
    context, said = ssl._create_unverified_context(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), said, server_hostname=stand_in).do_handshake()
    return said.read().replace(stand_in.encode(), name.encode())


def h2_request(fields: Iterable[tuple[str, str]], body: bytes) -> bytes:
    """Return the frames of a whole request on stream 1."""
    head = h2_head(fields, 1, ended=not body)
    return head + (h2_frame(_DATA, 1, 1, body) if body else b"")


def h2_head(fields: Iterable[tuple[str, str]], stream: int, *, ended: bool) -> bytes:
    """Return the frame that begins a request; its fields are literals, not compressed."""
    block = b"".join(
        b"\0" + b"".join(_h2_text(text.encode("latin-1")) for text in pair) for pair in fields
    )
    return h2_frame(_HEADERS, 5 if ended else 4, stream, block)


def h2_frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">IBBI", len(payload), kind, flags, stream)[1:] + payload


def _h2_text(text: bytes) -> bytes:
    assert len(text) < 127, "a longer length needs more than one byte"
    return bytes([len(text)]) + text


def read_h2(dialled: socket.socket) -> str:
    dialled.settimeout(5)
    said = b""
    with suppress(OSError), dialled.makefile("rb") as stream:
        while len(head := stream.read(9)) == 9:
            size, kind, flags = int.from_bytes(head[:3]), head[3], head[4]
            payload = stream.read(size)
            if kind == _DATA:
                said += payload
            if kind in {_RESET, _GOODBYE}:
                return said.decode() or "reset"
            if kind in {_DATA, _HEADERS} and flags & 1:
                break
    return said.decode()
