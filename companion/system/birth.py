"""When a file or directory was created: what tells it from another one that got its inode."""

import ctypes
import os
import sys
from pathlib import Path

_SIZE, _BORN_KNOWN, _BORN = 256, 0x800, 80
"""Of Linux's struct statx: bytes, the bit of its mask for the birth time, and where that is."""
_HERE = -100


def born(path: Path) -> str:
    """Return the time of birth of what a path leads to, as text; "" if the system does not know.

    Python has no statx(2) on Linux.
    """
    if sys.platform != "linux":
        return str(getattr(path.stat(), "st_birthtime", ""))
    statx = getattr(ctypes.CDLL(None), "statx", None)
    if statx is None:
        return ""
    found = ctypes.create_string_buffer(_SIZE)
    if statx(_HERE, os.fsencode(path), 0, _BORN_KNOWN, found):
        return ""
    known = int.from_bytes(found.raw[:4], sys.byteorder)
    return found.raw[_BORN : _BORN + 12].hex() if known & _BORN_KNOWN else ""
