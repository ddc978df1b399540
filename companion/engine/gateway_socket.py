"""The gateway socket: reloads a running gateway without the engine.

The gateway listens on a socket in a directory that it shares with the desktop. If the socket is not
reachable, as with an engine on another machine, apply.py reloads the gateway through the engine.
"""

import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

from companion.errors import EngineError

SOCKET = "reload.sock"
_DONE = "taken in"
_TIMEOUT = 60.0


def reload(directory: Path) -> bool:
    """Make the gateway whose socket is in `directory` reload its mounted files, and wait for it.

    Returns False if nothing listens on the socket or the answer is incomplete.

    Raises:
        EngineError: the gateway rejected the files; the previous rules stay in effect.
    """
    if sys.platform != "linux":
        return False
    answer = ""
    with suppress(OSError):
        answer = _ask(directory)
    lines = answer.splitlines()
    if lines and lines[-1] != _DONE:
        raise EngineError(f"the gateway failed to reload: {lines[-1]}", "", answer)
    return bool(lines)


def _ask(directory: Path) -> str:
    """Return the gateway's answer; a file descriptor keeps the socket's path short enough."""
    handle = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_TIMEOUT)
            connection.connect(f"/proc/self/fd/{handle}/{SOCKET}")
            with connection.makefile(encoding="utf-8", errors="replace") as answer:
                return answer.read()
    finally:
        os.close(handle)
