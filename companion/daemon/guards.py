"""Guards: notices when an agent may have changed what git on the desktop obeys.

The kernel reports no dropped mount, so the mount table of each sandbox that has a repository is
read again and again, and the files that it guards are compared: an agent that ends itself may have
written there just before.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from companion.daemon.view import AgentView
from companion.engine.model import Health
from companion.operations import unprotected
from companion.project.record import AgentRecord
from companion.system import files
from companion.system.project_paths import AgentPaths

_Identity: TypeAlias = tuple[str, int, int]
"""Path, inode and time of change."""
_Seen: TypeAlias = tuple[int, tuple[str, ...], tuple[_Identity, ...]]
"""The container's process, what is protected no more, and all files."""
_MOST = 1_000
"""Entries of a directory; creating another one changes the directory, too."""


@dataclass(slots=True)
class Guards:
    """What was last seen of each sandbox with a repository, and which one is looked at now."""

    _records: dict[str, tuple[AgentPaths, AgentRecord]] = field(default_factory=dict)
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _under_way: set[str] = field(default_factory=set)

    def follow(self, key: str, agent_paths: AgentPaths, record: AgentRecord | None) -> None:
        """Watch the sandbox of an agent, if it has anything that guards a repository."""
        self._records.pop(key, None)
        if record and record.config.guards:
            self._records[key] = agent_paths, record

    def forget(self, key: str) -> None:
        """Watch this sandbox no longer."""
        for known in (self._records, self._seen):
            known.pop(key, None)

    def changed(self, views: Collection[AgentView]) -> Iterator[AgentView]:
        """Yield the sandboxes to look at, each of which is looked at until ended() is called."""
        for agent_view in views:
            key = agent_view.id
            known = self._records.get(key)
            if known is None or key in self._under_way or agent_view.health is Health.UNKNOWN:
                continue
            if (now := _look(*known, agent_view.condition.pid)) != self._seen.get(key):
                self._seen[key] = now
                self._under_way.add(key)
                yield agent_view

    def ended(self, key: str, *, is_whole: bool) -> None:
        """Take note that a sandbox was looked at; if not `is_whole`, it is to be done again."""
        self._under_way.discard(key)
        if not is_whole:
            self._seen.pop(key, None)


def _look(agent_paths: AgentPaths, record: AgentRecord, pid: int) -> _Seen:
    guarded = record.config.guards
    gone = unprotected.lost(guarded, record.allocation.subnets, pid)
    paths = [agent_paths.git_baseline, *map(Path, sorted({*guarded.values()}))]
    return pid, gone, tuple(one for path in paths for one in _identities(path))


def _identities(path: Path) -> Iterator[_Identity]:
    """Yield what changes with a file, or with a file in a directory."""
    found = files.status(path)
    yield (str(path), found.st_ino, found.st_ctime_ns) if found else (str(path), 0, 0)
    with suppress(OSError), os.scandir(path) as entries:
        for entry in islice(entries, _MOST):
            inside = entry.stat(follow_symlinks=False)
            yield entry.name, inside.st_ino, inside.st_ctime_ns
