"""How do tests ask an upstream, through the gateway and past it?"""

import socket

from listener import Heard
from proxied import LISTENER, Proxied
from wire import read_all

END = "\r\nConnection: close\r\n\r\n"


def through(
    proxied: Proxied, request: str, port: int = LISTENER, tls: str = ""
) -> tuple[bytes, list[Heard]]:
    """Send a request from inside the sandbox; return the answer and what the listener heard."""
    before = len(proxied.listener.heard)
    answer = proxied.wire.ask(port, request.encode("latin-1"), tls=tls)
    return answer, proxied.listener.heard[before:]


def past(proxied: Proxied, request: str) -> list[Heard]:
    """Send it to the listener past the gateway, as a control; return what it heard."""
    before = len(proxied.listener.heard)
    with socket.create_connection((proxied.box.bridge, LISTENER), 5) as dialled:
        dialled.sendall(request.encode("latin-1"))
        dialled.shutdown(socket.SHUT_WR)
        read_all(dialled)
    return proxied.listener.heard[before:]
