"""Guards: notices when a running agent can change what git on the desktop obeys.

The kernel reports no dropped mount, so the mount table of each sandbox that has a repository is
read again and again. Once a mount is gone, its file is looked at, too: the agent may write there.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from companion.daemon.view import AgentView
from companion.operations import unprotected
from companion.project.record import AgentRecord
from companion.system import files

_Seen: TypeAlias = tuple[tuple[str, int, int], ...]
"""Path, inode and time of change of what is unprotected."""


@dataclass(slots=True)
class Guards:
    """What is unprotected in each sandbox, as last seen; no repository, no entry."""

    _records: dict[str, AgentRecord] = field(default_factory=dict)
    _seen: dict[str, _Seen] = field(default_factory=dict)

    def set(self, key: str, record: AgentRecord | None) -> None:
        """Look at the sandbox of an agent, if it has anything that guards a repository."""
        self._records.pop(key, None)
        if record and record.config.guards:
            self._records[key] = record

    def forget(self, key: str) -> None:
        """Look at this sandbox no longer."""
        self._records.pop(key, None)
        self._seen.pop(key, None)

    def changed(self, views: Collection[AgentView]) -> Iterator[AgentView]:
        """Yield the sandboxes with other unprotected files than before."""
        for agent_view in views:
            now = self._look(agent_view)
            if now != self._seen.get(agent_view.id, ()):
                self._seen[agent_view.id] = now
                yield agent_view

    def _look(self, agent_view: AgentView) -> _Seen:
        record = self._records.get(agent_view.id)
        if record is None:
            return ()
        pid, subnets = agent_view.condition.pid, record.allocation.subnets
        gone = unprotected.lost(record.config.guards, subnets, pid)
        return tuple(_identity(path) for path in gone)


def _identity(path: str) -> tuple[str, int, int]:
    found = files.status(Path(path))
    return (path, found.st_ino, found.st_ctime_ns) if found else (path, 0, 0)
