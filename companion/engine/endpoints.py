"""Endpoints: where the container engines of this desktop listen, and what steers their clients.

Whoever can write to one of these sockets is root, or the desktop user, on this machine.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from companion.errors import CompanionError
from companion.system import files

_UNIX = "unix://"
_VARIABLES = ("DOCKER_HOST", "CONTAINER_HOST")
_OF_USER = (".docker", ".colima", ".lima", ".orbstack", ".rd", ".config/colima",
            ".config/containers", ".local/share/containers", ".local/share/docker",
            "Library/Containers/com.docker.docker")  # fmt: skip


def sockets(home: Path, recorded: Iterable[tuple[str, str]]) -> Iterator[Path]:
    """Yield the socket of each endpoint on this machine.

    Args:
        home: the user's home directory.
        recorded: variables and values by which sandboxes select their engines.
    """
    for variable, value in (*os.environ.items(), *recorded):
        if variable in _VARIABLES:
            yield from _path(value)
    for file in sorted((_docker(home) / "contexts/meta").glob("*/meta.json")):
        yield from _path(_at(_json(file), "Endpoints", "docker", "Host"))
    podman = home / ".config/containers"
    known = _at(_json(podman / "podman-connections.json"), "Connection", "Connections")
    configured = _at(_toml(podman / "containers.conf"), "engine", "service_destinations")
    for table, key in ((known, "URI"), (configured, "uri")):
        for connection in table.values() if isinstance(table, dict) else ():
            yield from _path(_at(connection, key))


def directories(home: Path) -> tuple[Path, ...]:
    """Return the directories in which engines keep their settings, sockets and storage."""
    return (_docker(home), *(home / name for name in _OF_USER))


def _docker(home: Path) -> Path:
    given = os.environ.get("DOCKER_CONFIG", "")
    return Path(given) if given.startswith("/") else home / ".docker"


def _path(address: object) -> Iterator[Path]:
    if isinstance(address, str) and address.startswith(f"{_UNIX}/"):
        yield Path(address.removeprefix(_UNIX))


def _at(table: object, *keys: str) -> Any:  # noqa: ANN401 - a part of a file of another program
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table


def _json(file: Path) -> object:
    try:
        return json.loads(files.read_text(file) or "{}")
    except (CompanionError, ValueError):
        return None


def _toml(file: Path) -> object:
    try:
        text = files.read_text(file)
    except CompanionError:
        return None
    if not text:
        return None
    import tomllib  # noqa: PLC0415 - start-up time is a budget

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
