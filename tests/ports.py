"""Which ports are a test's own, although nobody listens on them yet?"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

_ROOM, _USED = 100, 10
_held: list[socket.socket] = []
"""The last port of each block that is ours, as long as this process lives."""


def block(first: int) -> int:
    """Return the first of 100 ports that no other run of the tests on this machine uses.

    Nothing listens on the first ten. They lie below those that the system gives to whoever asks.
    """
    for start in range(first, 32_000, 2 * _ROOM):
        last = socket.socket()
        try:
            last.bind(("127.0.0.1", start + _ROOM - 1))
            for port in range(start, start + _USED):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            last.close()
        else:
            _held.append(last)
            return start
    raise OSError("no ports are left for tests")


@contextmanager
def reserved() -> Iterator[int]:
    """Yield a port of the loopback that the system gives to nobody else while the block runs.

    It is bound but does not listen: callers are refused until a server that asks for this port, and
    for addresses to be used again as all of ours do, listens on it.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
