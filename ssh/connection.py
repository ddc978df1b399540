"""Connections: how the modules here reach an SSH server, by TCP or as their caller has it."""

import ipaddress
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, closing

Connect = Callable[[float], AbstractContextManager[socket.socket]]
"""Opens a connection within some seconds, and closes it at the end of the body.

It raises OSError if there is no server.
"""


def by_tcp(host: str, port: int) -> Connect:
    """Return what connects to a port of `host`, an address: a lookup could not be bounded in time.

    Raises:
        ValueError: it is a name.
    """
    address = str(ipaddress.ip_address(host))

    def connect(seconds: float) -> AbstractContextManager[socket.socket]:
        try:
            return closing(socket.create_connection((address, port), seconds))
        except OSError as error:
            what = f"nothing listens on {address} port {port}: {error}"
            raise ConnectionError(what) from None

    return connect
