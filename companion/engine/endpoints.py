"""Endpoints: where the container engines of this desktop listen, and what steers their clients.

Whoever can write to one of these sockets is root, or the desktop user, on this machine.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from companion.engine import podman_settings
from companion.errors import CompanionError
from companion.system import files

_UNIX = "unix://"
_VARIABLES = ("DOCKER_HOST", "CONTAINER_HOST")
_OF_USER = (".docker", ".colima", ".lima", ".orbstack", ".rd", ".config/colima",
            ".config/containers", ".config/docker", ".local/share/containers",
            ".local/share/docker", "Library/Containers/com.docker.docker")  # fmt: skip
STEERING = ("DOCKER_CONFIG", *podman_settings.VARIABLES)
"""Variables by which the engines' clients find their settings and storage."""


def sockets(home: Path, recorded: Iterable[tuple[str, str]]) -> Iterator[Path]:
    """Yield the socket of each endpoint on this machine.

    Args:
        home: the user's home directory.
        recorded: variables and values by which sandboxes select their engines.
    """
    variables = (*os.environ.items(), *recorded)
    for variable, value in variables:
        if variable in _VARIABLES:
            yield from _path(value)
    for file in sorted((_docker(home) / "contexts/meta").glob("*/meta.json")):
        yield from _path(_at(_json(file), "Endpoints", "docker", "Host"))
    connections = podman_settings.own_directory(home) / "podman-connections.json"
    tables = [(_at(_json(connections), "Connection", "Connections"), "URI")]
    chosen = {"", *(value for variable, value in variables if variable == "CONTAINERS_CONF")}
    for place in sorted(chosen):
        for file in podman_settings.configurations(place, home):
            table = podman_settings.table(file)
            tables.append((_at(table, "engine", "service_destinations"), "uri"))
    for table, key in tables:
        for connection in table.values() if isinstance(table, dict) else ():
            yield from _path(_at(connection, key))


def directories(home: Path, recorded: Iterable[tuple[str, str]]) -> tuple[Path, ...]:
    """Return where engines keep their settings, sockets and storage.

    Args:
        home: the user's home directory.
        recorded: variables and values by which sandboxes select their engines.
    """
    variables = (*os.environ.items(), *recorded)
    usual = (home / name for name in _OF_USER)
    clients = (Path(value) for name, value in variables if name == "DOCKER_CONFIG" and value)
    daemon = (  # without root
        podman_settings.user_directory(home, variable, place) / "docker"
        for variable, place in (("XDG_CONFIG_HOME", ".config"), ("XDG_DATA_HOME", ".local/share"))
    )
    podman = podman_settings.directories(home, variables)
    return (*usual, *map(Path.absolute, clients), *daemon, *podman)


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
