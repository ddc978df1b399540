"""What the volumes of an engine elsewhere may hold of our files: their names, and what was in them.

It is written before files are carried there. So the next carry brings only what changed, and
whatever failed, it empties the files that are no longer wanted: some hold secrets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from companion.engine.model import Choice
from companion.system import files
from companion.system.json_store import Store
from companion.system.project_paths import AgentPaths


@dataclass(frozen=True, slots=True)
class Carried:
    """Names such as `secrets/KEY`, each with a digest, and the engine that holds them."""

    engine: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    """An empty one is of a file that is, or was, on its way there."""


_CARRIED = Store(Carried, "run `companion down` and `companion up`, which bring the files anew")


def read(agent_paths: AgentPaths, engine: Choice) -> Mapping[str, str] | None:
    """Return the digests by name; None: what that engine holds, if anything, is unknown.

    Raises:
        CompanionError: the file is damaged.
    """
    found = _CARRIED.read(agent_paths.carried)
    return found.digests if found and found.engine == _key(engine) else None


def write(agent_paths: AgentPaths, engine: Choice, digests: Mapping[str, str]) -> None:
    """Replace all of them."""
    _CARRIED.write(agent_paths.carried, Carried(_key(engine), dict(sorted(digests.items()))))


def forget(agent_paths: AgentPaths) -> None:
    """Remove all of them; where volumes remain, they are removed before anything starts there."""
    files.remove(agent_paths.carried)


def _key(engine: Choice) -> str:
    return f"{engine.name} {engine.endpoint}"
