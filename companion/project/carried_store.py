"""The names of our files that the volumes of an engine elsewhere may hold with content.

They are written before files are carried there, so that whatever fails, the next carry empties
those that are no longer wanted: some hold secrets.
"""

from collections.abc import Collection
from dataclasses import dataclass

from companion.engine.model import EngineChoice
from companion.system import files
from companion.system.json_store import Store
from companion.system.paths import AgentPaths


@dataclass(frozen=True, slots=True)
class Carried:
    """Names such as `secrets/KEY`, sorted, and the engine that holds them."""

    engine: str = ""
    names: tuple[str, ...] = ()


_CARRIED = Store(Carried, "run `companion down` and `companion up`, which bring the files anew")


def read(agent_paths: AgentPaths, engine: EngineChoice) -> frozenset[str]:
    """Return the names that an engine may hold; what another one held went with the sandbox.

    Raises:
        CompanionError: the file is damaged.
    """
    found = _CARRIED.read(agent_paths.carried)
    return frozenset(found.names if found and found.engine == _key(engine) else ())


def write(agent_paths: AgentPaths, engine: EngineChoice, names: Collection[str]) -> None:
    """Replace the names."""
    _CARRIED.write(agent_paths.carried, Carried(_key(engine), tuple(sorted(names))))


def forget(agent_paths: AgentPaths) -> None:
    """Remove all names, after the volumes were removed."""
    files.remove(agent_paths.carried)


def _key(engine: EngineChoice) -> str:
    return f"{engine.name} {engine.endpoint}"
