"""Unprotected: what of a mounted repository an agent can change again, and what is new there.

Linux drops a mount when the file that it covers is replaced elsewhere. `git config` and
`git push -u` on the desktop do so with a repository's configuration.
"""

from collections.abc import Collection, Mapping
from itertools import islice

from companion.errors import Code, Problem
from companion.operations import repository_check
from companion.project.record import AgentRecord
from companion.system import listeners, mount_table
from companion.system.project_paths import AgentPaths

_NAMED = 3
_LONGEST = 200
"""Characters of what an agent may have written."""
_LOOK = "unless you set this yourself, remove it before you run git there"


def lost(guards: Mapping[str, str], subnets: Collection[str], pid: int) -> tuple[str, ...]:
    """Return the paths of the desktop that are read-only for a container no longer.

    Args:
        guards: of the agent's record.
        subnets: networks of the container, by which it is recognized.
        pid: its process. If that is no container of this machine, nothing is lost.
    """
    there = mount_table.points(pid) if guards and listeners.is_container(pid, subnets) else None
    if there is None:
        return ()
    return tuple(sorted(path for target, path in guards.items() if target not in there))


def of(agent: str, agent_paths: AgentPaths, record: AgentRecord, pid: int) -> tuple[Problem, ...]:
    """Return that a running agent can change what git obeys, and then what git newly obeys.

    Args:
        agent: its name.
        agent_paths: our files for it.
        record: its record.
        pid: the process of its container; 0 unless it runs.
    """
    gone = lost(record.config.guards, record.allocation.subnets, pid)
    if not gone:
        return ()
    more = f" and {len(gone) - _NAMED} more" if len(gone) > _NAMED else ""
    named = ", ".join(gone[:_NAMED]) + more
    what = f"{agent} can change {named}: replaced on this desktop, and so protected no more"
    restart = f"`companion restart {agent}` protects it again"
    dangers = islice(repository_check.new_settings(agent_paths, record), _NAMED)
    return (
        Problem(what, restart, code=Code.GIT_UNPROTECTED),
        *(Problem(_cut(danger), _LOOK, code=Code.GIT_CHANGED) for danger in dangers),
    )


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
