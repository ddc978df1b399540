"""Banner: the line by which an SSH server introduces itself, before any login."""

import time
from contextlib import suppress

from ssh.connection import Connect

_LONGEST = 255
"""Characters of the line, by RFC 4253."""


def read(connect: Connect, timeout: float) -> str:
    """Return the line; "" if no SSH server answers within `timeout` seconds. Nothing is sent."""
    end, line = time.monotonic() + timeout, b""
    with suppress(OSError), connect(timeout) as connection:
        while not line.endswith(b"\n") and len(line) < _LONGEST:
            connection.settimeout(max(0.001, end - time.monotonic()))
            received = connection.recv(_LONGEST)
            if not received:
                break
            line += received
    text = "".join(filter(str.isprintable, line.decode("ascii", "replace")))
    return text if text.startswith("SSH-2.0") else ""
