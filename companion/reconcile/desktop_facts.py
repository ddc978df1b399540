"""Desktop facts: looks up the places of this desktop by which mounts are judged."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from companion.engine import endpoints
from companion.reconcile import host_facts
from companion.reconcile.locate import Locator
from companion.sandbox.desktop import DISKS, NEVER, READ_ONLY, SHARED, DesktopFacts, SocketFacts
from companion.sandbox.places import Place
from companion.system import assets, sockets, users
from companion.system.paths import Paths

_PROGRAMS = ("bin", ".local/bin")
"""Below the home: login shells put these on PATH once they exist."""


def facts(
    home: Paths,
    mounted: tuple[Place, ...],
    recorded: Iterable[tuple[str, str]],
    locator: Locator,
) -> DesktopFacts:
    """Return what is where on this desktop.

    Args:
        home: the user's paths.
        mounted: what a config mounts; sockets are looked for in it.
        recorded: variables and values by which sandboxes select their engines.
        locator: looks up the places.
    """

    def places(paths: Iterable[Path | str]) -> tuple[Place, ...]:
        return tuple(dict.fromkeys(locator.place(Path(path)) for path in paths))

    beside = (users.home_beside(home.home, Path(place.path)) for place in mounted)
    packages, environments = assets.code_directories()
    selecting = tuple(recorded)
    listening = tuple(endpoints.sockets(home.home, selecting))
    return DesktopFacts(
        never=places(NEVER),
        read_only=places(READ_ONLY),
        shared=places((*SHARED, *_variable("TMPDIR"))),
        runtime=places(_variable("XDG_RUNTIME_DIR")),
        disks=places(DISKS),
        own_homes=places((home.home, *users.own_homes())),
        other_homes=places((*users.other_homes(), *filter(None, beside))),
        packages=(*places(packages), *map(locator.entry, assets.programs())),
        searched=tuple(_searched(home.home, locator)),
        environments=places(environments),
        engine_directories=places(endpoints.directories(home.home, selecting)),
        engine_sockets=(*map(locator.entry, listening), *places(listening)),
        sockets=tuple(_sockets(mounted)),
        agent_uid=host_facts.agent_uid(),
    )


def _searched(home: Path, locator: Locator) -> Iterator[Place]:
    """Yield where shells look for programs in the home, outside of repositories.

    A virtual environment of a repository is on PATH for those who work there: they run its code.
    """
    yield from (locator.place(home / name) for name in _PROGRAMS)
    for entry in os.environ.get("PATH", "").split(os.pathsep):
        path = Path(entry)
        if path.is_absolute() and path != home and path.is_relative_to(home):
            above = (d for d in (path, *path.parents) if d != home and d.is_relative_to(home))
            if all(locator.entry(d / ".git").inode is None for d in above):
                yield locator.place(path)


def _variable(name: str) -> Iterator[str]:
    value = os.environ.get(name, "")
    if value.startswith("/"):
        yield value


def _sockets(mounted: Iterable[Place]) -> Iterator[SocketFacts]:
    """Yield one of the desktop's sockets for each directory that has any, and those in mounts.

    They come and go, so they are not among what the check's own locator was asked for.
    """
    locator = Locator()
    paths, names = sockets.bound()
    by_directory = {path.parent: path for path in paths if sockets.owner(path) is not None}
    for path in by_directory.values():
        yield SocketFacts(locator.entry(path), sockets.owner(path), listening=True)
    for place in mounted:
        for path in sockets.look(Path(place.path)):
            yield SocketFacts(locator.entry(path), sockets.owner(path), path.name in names)
