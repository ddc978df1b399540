"""Forwards: the ports of the desktop that `companion port` forwards to sandboxes right now.

Each has a file, whose lock its process holds: what is not locked is left over and does not count.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from companion.errors import Code, CompanionError
from companion.system import files, locks
from companion.system.json_store import Broken, Store
from companion.system.paths import Paths


@dataclass(frozen=True, slots=True)
class Forward:
    """A port of 127.0.0.1 that is forwarded to a port of 127.0.0.1 in a sandbox."""

    project: str
    """The ID of the agent's project."""
    agent: str
    alias: str
    port: int
    inside: int
    pid: int
    """The process that forwards."""

    @property
    def url(self) -> str:
        """The address for browsers: a host of the agent's own, so cookies are not shared."""
        return url(self.alias, self.port)


_FILES = Store(Forward, "remove it")


def url(alias: str, port: int) -> str:
    """Return the address of a forwarded port; names below localhost mean this machine."""
    name = alias.rpartition(".")[0] or alias
    return f"http://{name}.localhost:{port}" if name else f"http://localhost:{port}"


@contextmanager
def held(home: Paths, forward: Forward) -> Iterator[None]:
    """Register a forward while the body runs.

    Raises:
        CompanionError: another process forwards this port.
    """
    path = _path(home, forward.port)
    with locks.attempt(_lock(path)) as free:
        if not free:
            what = f"`companion port` forwards port {forward.port} already"
            raise CompanionError(what, "choose another port", code=Code.PORT_TAKEN)
        _FILES.write(path, forward)
        try:
            yield
        finally:
            files.remove(path)


def active(home: Paths) -> tuple[Forward, ...]:
    """Return every forward whose process runs, sorted by port."""
    found: list[Forward] = []
    for path in home.forwards.glob("*.json"):
        with locks.attempt(_lock(path)) as free:
            forward = _FILES.look(path)
            if free:
                files.remove(path)
            elif forward and not isinstance(forward, Broken):
                found.append(forward)
    return tuple(sorted(found, key=lambda forward: forward.port))


def _path(home: Paths, port: int) -> Path:
    return home.forwards / f"{port}.json"


def _lock(path: Path) -> Path:
    return path.with_suffix(".lock")
