"""The gateway socket: reloads a running gateway without the engine.

The gateway listens on a socket in a directory that it shares with the desktop. If the socket is not
reachable, as with an engine on another machine, apply.py reloads the gateway through the engine.
"""

import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

from companion.errors import EngineError

SOCKET = "reload.sock"
_DONE = "taken in"
_TIMEOUT = 60.0
"""Seconds for the whole answer."""
_LONGEST = 64 * 1024
"""Bytes of an answer: a few lines, or HAProxy's complaints about a configuration."""


def reload(directory: Path) -> bool:
    """Make the gateway whose socket is in `directory` reload its mounted files, and wait for it.

    Returns False if nothing listens on the socket or the answer is incomplete.

    Raises:
        EngineError: the gateway rejected the files; the previous rules stay in effect.
    """
    answer = ""
    with suppress(OSError):
        answer = _ask(directory)
    lines = answer.splitlines()
    if lines and lines[-1] != _DONE:
        raise EngineError(f"the gateway failed to reload: {lines[-1]}", "", answer)
    return bool(lines)


def _ask(directory: Path) -> str:
    """Return the gateway's answer; a file descriptor keeps the socket's path short enough."""
    if sys.platform != "linux":
        return ""
    handle = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_TIMEOUT)
            connection.connect(f"/proc/self/fd/{handle}/{SOCKET}")
            return _read(connection).decode(errors="replace")
    finally:
        os.close(handle)


def _read(connection: socket.socket) -> bytes:
    """Read to the end, within bounds: who took the gateway over answers as it likes.

    Raises:
        OSError: the answer does not end in time, or is too long.
    """
    answer, until = bytearray(), time.monotonic() + _TIMEOUT
    while part := connection.recv(_LONGEST):
        answer += part
        left = until - time.monotonic()
        if len(answer) > _LONGEST or left <= 0:
            raise TimeoutError("the gateway's answer does not end")
        connection.settimeout(left)
    return bytes(answer)
