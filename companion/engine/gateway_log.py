"""The gateway's log as it is written: lines that arrive on a socket in the shared directory.

A gateway sends each line there, besides its container's log, whether or not anyone listens; what
nobody takes in time is dropped. So a watcher needs no process of the engine's for each sandbox.
Where a container cannot reach sockets of the desktop, as in a virtual machine, nothing arrives.
"""

import errno
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from companion.spec.identity import LOG_SOCKET

if TYPE_CHECKING:
    import socket

LONGEST = 2048
"""Bytes of a line; HAProxy cuts them at 1024."""
_AT_ONCE = 1000
_MODE = 0o666
"""The gateway has another user than root's desktop; only both can enter the directory."""


def listen(directory: Path) -> "socket.socket":
    """Return a new socket on which the lines arrive; it takes the place of one that was there.

    Raises:
        OSError: the directory is missing, or the system refuses.
    """
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, "containers run in a virtual machine here")
    import socket  # noqa: PLC0415 - start-up time is a budget

    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    handle = -1
    try:
        handle = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
        place = f"/proc/self/fd/{handle}/{LOG_SOCKET}"  # a whole path may be too long for it
        Path(place).unlink(missing_ok=True)
        listening.bind(place)
        Path(place).chmod(_MODE)
        listening.settimeout(0)
    except OSError:
        listening.close()
        raise
    finally:
        if handle >= 0:
            os.close(handle)
    return listening


def is_there(directory: Path) -> bool:
    """Tell whether a socket is there, and not only in the memory of who made it."""
    with suppress(OSError):
        return stat.S_ISSOCK((directory / LOG_SOCKET).lstat().st_mode)
    return False


def is_heard(directory: Path) -> bool:
    """Tell whether a watcher listens there now."""
    if sys.platform != "linux" or not is_there(directory):
        return False
    import socket  # noqa: PLC0415 - start-up time is a budget

    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
        handle = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            asking.connect(f"/proc/self/fd/{handle}/{LOG_SOCKET}")
        finally:
            os.close(handle)
        return True
    return False


def lines(listening: "socket.socket") -> list[str]:
    """Return lines that have arrived, without waiting; more of a flood comes at the next call."""
    found: list[str] = []
    with suppress(OSError):
        while len(found) < _AT_ONCE:
            found.append(listening.recv(LONGEST).decode(errors="replace").rstrip("\n"))
    return found
