"""Installation checks: how Companion came here, its namesakes, and what starts at login."""

import importlib.util
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from companion import __version__
from companion.desktop import autostart
from companion.operations import installed
from companion.operations.findings import Check, Finding, Level, guarded
from companion.operations.installation import Installation
from companion.system import assets, files
from companion.system.paths import Paths

_LIBRARIES = ("ssh", "editors")


def examine(home: Paths) -> Iterator[Finding]:
    """Yield the findings about this installation and its places."""
    yield from guarded(Check.INSTALLATION, _packages, "packages")
    yield from guarded(Check.INSTALLATION, _this)
    yield from guarded(Check.INSTALLATION, _others, "other installations")
    yield from guarded(Check.AUTOSTART, partial(_autostart, home))
    yield from guarded(Check.HOME, partial(_home, home))


def _packages() -> Iterator[Finding]:
    """Our packages are not hidden by others of the same name."""
    own, _ = assets.code_directories()
    for name in _LIBRARIES:
        found = importlib.util.find_spec(name)
        if found is None or Path(found.origin or "").parent not in own:
            what = f"another package called '{name}' hides ours"
            hint = "install Companion in an environment of its own: `pipx install` or `uv tool`"
            yield Finding(Level.FAILED, what, hint)


def _this() -> Iterator[Finding]:
    this = installed.this()
    what = f"Companion {__version__} is {this.name}, with Python {sys.version.split()[0]}"
    yield Finding(Level.OK, what, f"to update: {this.update}")


def _others() -> Iterator[Finding]:
    """Companion is installed once; otherwise say which one a shell starts."""
    others = installed.others()
    first = installed.first_on_path()
    yield from twice(installed.this(), others, is_first=not first or installed.is_of_this(first))


def twice(
    this: Installation, others: tuple[Installation, ...], *, is_first: bool
) -> Iterator[Finding]:
    """Yield a finding for each other installation, given in the order of PATH; pure."""
    for place, other in enumerate(others):
        if is_first or place:
            what = f"Companion is also {other.name}, which comes later in PATH"
            hint = f"remove the one that you do not use, e.g. this other one: {other.removal}"
        else:
            what = f"`companion` in a shell is {other.name}, and not {this.name}, which runs now"
            hint = f"remove one of them: {other.removal}, or {this.removal}"
        yield Finding(Level.WARNING, what, hint)


def _autostart(home: Paths) -> Iterator[Finding]:
    """What starts at login exists and is this installation."""
    program = autostart.program(home)
    if program is None:
        return
    repair = partial(autostart.turn_on, home)
    if not files.is_file(program):
        what = f"the tray does not start at login: {program} is gone"
        yield Finding(Level.FAILED, what, "run `companion autostart on`", repair)
    elif not installed.is_of_this(program):
        what = f"at login, another installation starts: {program}"
        hint = "run `companion autostart on` with the one that you want"
        yield Finding(Level.WARNING, what, hint)


def _home(home: Paths) -> Iterator[Finding]:
    """Our directories can be written, or made."""
    for directory in (home.config, home.data, home.state):
        there = next(place for place in (directory, *directory.parents) if files.status(place))
        if not os.access(there, os.W_OK):
            what = f"{directory} cannot be written"
            hint = f"check the owner and mode of {there}, and whether its disk is read-only"
            yield Finding(Level.FAILED, what, hint)
