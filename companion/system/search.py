"""The search path: which programs we start by name, and what they inherit from our environment.

A shell may have put a directory on PATH that an agent writes to: a virtual environment, a project's
node_modules. What an agent puts there must not run on the desktop, so it is not looked up there.
"""

import os
import time
from collections.abc import Callable, Collection
from functools import lru_cache
from pathlib import Path

from companion.system import platforms
from companion.system.platforms import Platform

_CONTROLS = ("agent.yaml", "fleet.yaml")
"""What makes a directory a project."""
_LISTS = (
    "PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES", "PYTHONPATH",
    "NODE_PATH", "PERL5LIB", "RUBYLIB",
)  # fmt: skip
"""Variables that list where programs find what they run."""
_FOREIGN = (
    "BASH_ENV", "ENV", "LD_AUDIT", "NODE_OPTIONS", "NODE_PATH", "PERL5LIB", "PERL5OPT",
    "PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "RUBYLIB", "RUBYOPT",
)  # fmt: skip
"""Variables that make a program run code that it did not come with; our tools need none."""
_REMEMBERED = 10.0
"""Seconds for which a directory is remembered as one that agents cannot write to, or can."""


class _Agents:
    """Knows which directories the agents of the known projects may write to."""

    writable: Callable[[], Collection[str]] = tuple


def never_where(writable: Callable[[], Collection[str]]) -> None:
    """Have programs never started from the directories that `writable` returns."""
    _Agents.writable = writable


def find(name: str) -> str | None:
    """Return the absolute path of a program on PATH (or of one given by its path); None: no such.

    Nothing is found in relative entries, in projects, and where an agent may write.
    """
    if Path(name).is_absolute():
        return name if _is_program(Path(name)) and is_trusted(name) else None
    if Path(name).name != name:
        return None
    for entry in os.environ.get("PATH", os.defpath).split(os.pathsep):
        for candidate in (Path(entry, name + ending) for ending in _endings(name)):
            if _is_program(candidate) and is_trusted(entry) and is_trusted(str(candidate)):
                return str(candidate)
    return None


def left_out() -> tuple[str, ...]:
    """Return the entries of PATH that are not searched, though there is a directory."""
    entries = os.environ.get("PATH", "").split(os.pathsep)
    there = (
        entry
        for entry in dict.fromkeys(entries)
        if os.access(entry, os.X_OK) and Path(entry).is_dir()
    )
    return tuple(entry for entry in there if not is_trusted(entry))


def environment(*, ours: bool) -> dict[str, str]:
    """Return what a program inherits of our environment.

    What leads it to programs and modules is left out where an agent may write. A tool of ours
    (`ours`) in addition gets nothing that makes it run other code.
    """
    kept = {k: v for k, v in os.environ.items() if not (ours and k in _FOREIGN)}
    for name in filter(kept.__contains__, _LISTS):
        kept[name] = os.pathsep.join(filter(_is_kept, kept[name].split(os.pathsep)))
        if not kept[name]:
            del kept[name]
    return {"PATH": os.defpath} | kept


def _is_kept(entry: str) -> bool:
    """Tell whether an entry of a list stays; an empty one means the working directory."""
    return bool(entry) and is_trusted(entry)


def is_trusted(path: str) -> bool:
    """Tell whether neither an agent nor whoever wrote a project decides what is at a path."""
    moment = time.monotonic() // _REMEMBERED
    home = os.environ.get(platforms.home_variable(), "")
    return Path(path).is_absolute() and _is_trusted(path, home, moment)


@lru_cache(maxsize=256)
def _is_trusted(path: str, home: str, moment: float) -> bool:
    real, at_home = Path(os.path.realpath(path)), Path(os.path.realpath(home or os.sep))
    above = (real, *real.parents)
    for place in above:  # a home that is a project is the user's own all the same
        if place != at_home and place not in at_home.parents and _is_project(place):
            return False
    return not any(place in above for place in _writable(moment))


def _is_project(directory: Path) -> bool:
    return any(os.access(directory / name, os.F_OK) for name in _CONTROLS)


@lru_cache(maxsize=1)
def _writable(_: float) -> frozenset[Path]:
    return frozenset(Path(os.path.realpath(place)) for place in _Agents.writable())


def _is_program(path: Path) -> bool:
    return os.access(path, os.X_OK) and path.is_file()  # in this order, nothing raises


def _endings(name: str) -> tuple[str, ...]:
    return endings(platforms.HERE, name, os.environ.get("PATHEXT", ""))


def endings(platform: Platform, name: str, listed: str) -> tuple[str, ...]:
    """Return what may follow the name of a program.

    Windows starts files with certain endings only: beside `code.cmd`, VS Code has a `code` for
    other shells.

    Args:
        platform: where it is to be started.
        name: as it was given, perhaps with its ending.
        listed: Windows' PATHEXT, "" if it is not set.
    """
    if platform != "win32":
        return ("",)
    found = tuple(filter(None, (listed or ".COM;.EXE;.BAT;.CMD").split(";")))
    return ("",) if name.lower().endswith(tuple(map(str.lower, found))) else found
