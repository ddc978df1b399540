"""Restore the environment that PyInstaller's loader changed, before anything else runs.

The loader points the dynamic linker to the bundle's libraries. Ours are found by now, and programs
that we start (terminals, editors, engines) need the system's.
"""

import os
import sys
from collections.abc import MutableMapping

_LIBRARIES = "LD_LIBRARY_PATH"


def restore(environment: MutableMapping[str, str], bundle: str) -> None:
    """Remove what the loader set, and bring back what the user had."""
    before = environment.pop(f"{_LIBRARIES}_ORIG", None)
    if bundle and environment.get(_LIBRARIES, "").split(os.pathsep)[0] == bundle:
        del environment[_LIBRARIES]
        if before is not None:
            environment[_LIBRARIES] = before
    for name in [name for name in environment if name.startswith("_PYI_")]:
        del environment[name]


restore(os.environ, getattr(sys, "_MEIPASS", ""))
