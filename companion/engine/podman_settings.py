"""Podman's settings: keeps what containers.conf adds to every container out of ours.

From 4.5 on, podman reads a file of ours after all of the user's. An earlier one is refused if the
user's files add something. The files and their order are those of containers.conf(5).
"""

import os
import re
from collections.abc import Callable, Iterator
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
    for file in _files(engine):
        table = _containers_table(file)
        for key in (*_ADDING, *_NAMESPACES):
            if key in table:
                adds = table[key] == "host" if key in _NAMESPACES else bool(table[key])
                added.pop(key, None)
                added |= {key: file} if adds else {}
    return added


def _containers_table(file: Path) -> dict[str, object]:
    import tomllib  # noqa: PLC0415 - start-up time is a budget

    with suppress(CompanionError, tomllib.TOMLDecodeError):  # podman itself reports a broken file
        table = tomllib.loads(files.read_text(file) or "").get("containers")
        return table if isinstance(table, dict) else {}
    return {}


def _files(engine: EngineChoice) -> Iterator[Path]:
    """Yield the files that podman reads, the strongest last."""
    chosen = dict(engine.environment).get("CONTAINERS_CONF")
    if chosen:
        yield Path(chosen)
        return
    own = os.environ.get("XDG_CONFIG_HOME") or files.expanded(Path("~/.config"))
    for directory in (*_SYSTEM, *((Path(own, "containers"),) if engine.rootless else ())):
        yield directory / "containers.conf"
        yield from sorted((directory / "containers.conf.d").glob("*.conf"))
