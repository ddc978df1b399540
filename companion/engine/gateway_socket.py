"""How is a running gateway told to take in what changed, without the engine?

It listens on a socket in a directory that it shares with the desktop. Where nobody is reached by
it, as with an engine on another machine, the engine carries the same word (apply.py).
"""

import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

from companion.errors import EngineError

SOCKET = "reload.sock"
_DONE = "taken in"
_PATIENCE = 60.0


def reload(directory: Path) -> bool:
    """Have the gateway whose socket lies in `directory` take in what is mounted; wait for it.

    Returns False if nobody listens there or the answer did not come to its end.

    Raises:
        EngineError: it did not take it in; the old rules hold.
    """
    if sys.platform != "linux":
        return False
    answer = ""
    with suppress(OSError):
        answer = _ask(directory)
    lines = answer.splitlines()
    if lines and lines[-1] != _DONE:
        raise EngineError(f"the gateway did not take it in: {lines[-1]}", "", answer)
    return bool(lines)


def _ask(directory: Path) -> str:
    """Return all that the gateway answers. A socket's path must be short: it begins at a handle."""
    handle = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(_PATIENCE)
            line.connect(f"/proc/self/fd/{handle}/{SOCKET}")
            with line.makefile(encoding="utf-8", errors="replace") as said:
                return said.read()
    finally:
        os.close(handle)
