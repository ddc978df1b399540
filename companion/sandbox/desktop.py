"""Desktop: the places of this machine that are never mounted, or read-only at most."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from companion.sandbox.places import Guard, Place, contains, within

NEVER = ("/etc", "/private/etc", "/proc", "/sys", "/dev", "/run", "/var/run", "/boot",
         "/var/lib/docker", "/var/lib/containers", "/var/lib/containerd", "/mnt/wsl", "/mnt/wslg",
         "/System")  # fmt: skip
READ_ONLY = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/srv", "/nix",
             "/gnu", "/snap", "/Applications", "/Library", "/var/backups", "/var/cache", "/var/db",
             "/var/lib", "/var/local", "/var/log", "/var/mail", "/var/opt", "/var/spool",
             "/var/www")  # fmt: skip
DISKS = ("/run/media",)
_RUN = "/run"
SHARED = ("/tmp", "/var/tmp")  # noqa: S108 - names, not use
"""Programs of all users make sockets there; a directory of one's own in it is like any other."""
_SOCKETS = "where programs of the desktop have their sockets"
_SYSTEM = "belongs to the system"


@dataclass(frozen=True, slots=True)
class SocketFacts:
    """A UNIX socket that may lie in a mount."""

    place: Place
    owner: int | None
    listening: bool
    """A program outside all containers bound it."""


@dataclass(frozen=True, slots=True)
class DesktopFacts:
    """What is where on this desktop."""

    never: tuple[Place, ...] = ()
    read_only: tuple[Place, ...] = ()
    shared: tuple[Place, ...] = ()
    """Directories of temporary files."""
    runtime: tuple[Place, ...] = ()
    """The user's directory of sockets."""
    disks: tuple[Place, ...] = ()
    """Where disks of the user are mounted."""
    own_homes: tuple[Place, ...] = ()
    other_homes: tuple[Place, ...] = ()
    packages: tuple[Place, ...] = ()
    """Companion's own code, and the file that starts it."""
    searched: tuple[Place, ...] = ()
    """Directories in homes where shells look for programs."""
    environments: tuple[Place, ...] = ()
    """The Python that runs it."""
    engine_directories: tuple[Place, ...] = ()
    """Settings, sockets and storage of container engines."""
    engine_sockets: tuple[Place, ...] = ()
    sockets: tuple[SocketFacts, ...] = ()
    agent_uid: int = 0
    """The user of all agents, who may have sockets of their own in mounts."""


def system(facts: DesktopFacts, project: Place) -> Iterator[Guard]:
    """Yield the system's directories and homes; `project` is the directory of the config."""
    for place in facts.never:
        but = facts.disks if place.path == _RUN and within(project, facts.disks) else ()
        yield Guard(place, _SYSTEM, but=but)
    for place in facts.shared:
        yield Guard(place, _SOCKETS, place.path, below=False)
    for place in facts.runtime:
        yield Guard(place, _SOCKETS, place.path, below=not contains(place, project))
    for place in facts.own_homes:
        yield Guard(place, "is or contains your home directory", below=False)
    for place in facts.other_homes:
        # Root may work in the directory of the user whose machine it is.
        in_it = contains(place, project)
        yield Guard(place, "the home directory of another user", place.path, below=not in_it)


def programs(facts: DesktopFacts) -> Iterator[Guard]:
    """Yield what programs of the desktop are made of and listen on, and what is read-only."""
    yield from _code(facts)
    for place in facts.engine_directories:
        yield Guard(place, "which controls a container engine", place.path)
    for place in facts.engine_sockets:
        yield Guard(place, "where a container engine listens", place.path)
    yield from _sockets(facts.sockets, facts.agent_uid)
    yield from (Guard(place, _SYSTEM, read_only=True) for place in facts.read_only)


def _code(facts: DesktopFacts) -> Iterator[Guard]:
    environments = (place for place in facts.environments if not within(place, facts.read_only))
    for place in (*facts.packages, *environments):
        yield Guard(place, "which runs Companion itself", place.path)


def _sockets(sockets: Iterable[SocketFacts], agent_uid: int) -> Iterator[Guard]:
    """Yield the sockets of others; the agent makes some of its own where it may write."""
    for socket in sockets:
        if socket.listening or socket.owner != agent_uid:
            yield Guard(socket.place, "where a program of the desktop listens", socket.place.path)
