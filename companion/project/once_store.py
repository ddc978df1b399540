"""Hosts that a user allowed an agent once: until its sandbox is taken down, and in no file of his.

They survive every change and restart. The file is in our state directory, which is mounted nowhere.
"""

from dataclasses import dataclass

from companion.system import files
from companion.system.json_store import Store
from companion.system.project_paths import AgentPaths


@dataclass(frozen=True, slots=True)
class Once:
    """The hosts and `*.` patterns, sorted."""

    hosts: tuple[str, ...] = ()


_ONCE = Store(Once, "remove it: the hosts that were allowed once are refused again")


def read(agent_paths: AgentPaths) -> tuple[str, ...]:
    """Return the hosts.

    Raises:
        CompanionError: the file is damaged.
    """
    found = _ONCE.read(agent_paths.once)
    return found.hosts if found else ()


def add(agent_paths: AgentPaths, host: str) -> None:
    """Add a host; the agent's lock is held."""
    _ONCE.write(agent_paths.once, Once(tuple(sorted({*read(agent_paths), host}))))


def remove(agent_paths: AgentPaths, host: str) -> bool:
    """Remove a host; return False if it was not there. The agent's lock is held."""
    hosts = read(agent_paths)
    if host not in hosts:
        return False
    _ONCE.write(agent_paths.once, Once(tuple(h for h in hosts if h != host)))
    return True


def forget(agent_paths: AgentPaths) -> None:
    """Remove all of them.

    Raises:
        CompanionError: the system refuses.
    """
    files.remove(agent_paths.once)
