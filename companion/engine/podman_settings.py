"""Podman's settings: keeps what containers.conf adds to every container out of ours.

From 4.5 on, podman reads a file of ours after all of the user's. An earlier one is refused if the
user's files add something. The files and their order are those of containers.conf(5).
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from companion.engine.model import EngineChoice
from companion.errors import CompanionError, EngineError
from companion.system import files
from companion.system.assets import assets_directory

_OVERRIDE = "CONTAINERS_CONF_OVERRIDE"
_KNOWS_OVERRIDE = (4, 5)
_ADDING = ("devices", "env", "mounts", "volumes")
_NAMESPACES = ("ipcns", "pidns", "utsns")
_SYSTEM = (Path("/usr/share/containers"), Path("/etc/containers"))
_FILES = ("CONTAINERS_CONF", _OVERRIDE, "CONTAINERS_STORAGE_CONF", "PODMAN_CONNECTIONS_CONF")
_SETS = re.compile(r"[^#]*=")
"""A line that sets something, or goes on with it."""
VARIABLES = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", *_FILES)
"""Variables by which podman finds its settings and its storage."""


def override(engine: EngineChoice) -> dict[str, str | None]:
    """Return the variable by which podman reads our settings after the user's."""
    if engine.name != "podman":
        return {}
    return {_OVERRIDE: str(assets_directory() / "engine" / "containers.conf")}


def require_nothing_added(engine: EngineChoice, call: Callable[..., str]) -> None:
    """Check that containers.conf adds nothing to a container that podman creates for us.

    Args:
        engine: the engine; only podman has such settings.
        call: runs the engine and returns its output.

    Raises:
        EngineError: it does, and this podman is too old to be told not to.
    """
    if engine.name != "podman":
        return
    added = _additions(engine)
    if not added:
        return
    text = call("version", "--format", "{{.Client.Version}}")
    version = tuple(map(int, re.findall(r"\d+", text)[:2]))
    if version >= _KNOWS_OVERRIDE:
        return
    key, file = next(iter(added.items()))
    raise EngineError(
        f"podman {text.strip()} adds `{key}` of {file} to every container",
        f"remove it there, or set CONTAINERS_CONF to a file without it, or update podman to"
        f" {'.'.join(map(str, _KNOWS_OVERRIDE))}",
    )


def _additions(engine: EngineChoice) -> dict[str, Path]:
    """Return what the user's settings add, each with the file that says so last."""
    added: dict[str, Path] = {}
    chosen = dict(engine.environment).get("CONTAINERS_CONF", "")
    home = files.expanded(Path("~"))
    for file in configurations(chosen, home, of_user=engine.rootless):
        found = table(file).get("containers")
        containers = found if isinstance(found, dict) else {}
        for key in (*_ADDING, *_NAMESPACES):
            if key in containers:
                adds = containers[key] == "host" if key in _NAMESPACES else bool(containers[key])
                added.pop(key, None)
                added |= {key: file} if adds else {}
    return added


def table(file: Path) -> dict[str, object]:
    """Return what a file of podman's says; nothing if it cannot be read."""
    with suppress(CompanionError):
        text = files.read_text(file) or ""
        if not any(map(_SETS.match, text.splitlines())):  # as a distribution's file of comments
            return {}
        import tomllib  # noqa: PLC0415 - start-up time is a budget

        with suppress(tomllib.TOMLDecodeError):  # podman itself reports a broken file
            return tomllib.loads(text)
    return {}


def configurations(chosen: str, home: Path, *, of_user: bool = True) -> Iterator[Path]:
    """Yield the places of containers.conf that podman reads, the strongest last.

    Args:
        chosen: the value of CONTAINERS_CONF.
        home: the user's home directory.
        of_user: whether the user's own are read; podman as root has none.
    """
    if chosen:
        yield Path(chosen)
        return
    for directory in (*_SYSTEM, *((own_directory(home),) if of_user else ())):
        yield directory / "containers.conf"
        yield from sorted((directory / "containers.conf.d").glob("*.conf"))


def own_directory(home: Path) -> Path:
    """Return the directory of the user's own settings of podman."""
    return user_directory(home, "XDG_CONFIG_HOME", ".config") / "containers"


def directories(home: Path, variables: Iterable[tuple[str, str]]) -> Iterator[Path]:
    """Yield what steers podman, and where it keeps images: directories, and files of the user's.

    Args:
        home: the user's home directory.
        variables: variables of podman's environment, also of several ones, and their values.
    """
    yield own_directory(home)
    yield user_directory(home, "XDG_DATA_HOME", ".local/share") / "containers"
    for name, value in variables:
        if name in _FILES and value:
            yield Path(value).absolute()


def user_directory(home: Path, variable: str, usual: str) -> Path:
    """Return a directory of the XDG Base Directory Specification, as the engines find it."""
    given = os.environ.get(variable)
    return Path(given).absolute() if given else home / usual
