"""Platforms: the systems of desktops that we know, and which one this is.

What differs between them is decided by functions that take the platform as a value, so that each
can be tried on any system. `sys.platform` is asked beside a name that only one system has: mypy
reads it, and checks such code for each of them.
"""

import sys
from typing import Final, Literal

Platform = Literal["linux", "darwin", "win32"]


def of(system: str) -> Platform:
    """Return the platform of a `sys.platform`; a system that we do not know counts as Linux."""
    if system == "darwin":
        return "darwin"
    return "win32" if system == "win32" else "linux"


HERE: Final[Platform] = of(sys.platform)


def home_variable(platform: Platform = HERE) -> str:
    """Return the variable that names the user's home directory."""
    return "USERPROFILE" if platform == "win32" else "HOME"
