"""Unprotected: what of a mounted repository an agent can change again, and what it changed.

Linux drops a mount when the file that it covers is replaced elsewhere. `git config` and
`git push -u` on the desktop do so with a repository's configuration.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from companion.errors import Code, CompanionError, Problem
from companion.operations import git_changes
from companion.project.record import AgentRecord
from companion.reconcile.progress import Progress
from companion.system import listeners, mount_table
from companion.system.project_paths import AgentPaths

_NAMED = 3
_READ = 20
"""What a user reads of what is told once."""


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


@dataclass(frozen=True, slots=True)
class Exposure:
    """That an agent can change what git obeys, and what it changed."""

    problems: tuple[Problem, ...]
    is_whole: bool
    """Whether everything was looked at."""


def of(agent: str, agent_paths: AgentPaths, record: AgentRecord, pid: int) -> Exposure:
    """Return that a running agent can change what git obeys, and then what git newly obeys.

    What is new stays, whether the agent runs or not, until it is gone or the user accepts it.

    Args:
        agent: its name.
        agent_paths: our files for it.
        record: its record.
        pid: the process of its container; 0 unless it runs.
    """
    gone = lost(record.config.guards, record.allocation.subnets, pid)
    new = changed(agent, agent_paths)
    return Exposure((*([_unprotected(agent, gone)] if gone else ()), *new.problems), new.is_whole)


def changed(agent: str, agent_paths: AgentPaths) -> Exposure:
    """Return what git newly obeys where an agent writes, or wrote."""
    try:
        changes = git_changes.of(agent_paths)
    except CompanionError as error:
        what, hint = error.problems[0].what, error.problems[0].hint
        return Exposure((Problem(what, hint, code=Code.GIT_CHANGED),), is_whole=True)
    look = "remove it before you run git there; if you set it yourself,"
    hint = f"{look} `companion restart {agent}` accepts it"
    said = changes.sentences()
    problems = tuple(Problem(one, hint, code=Code.GIT_CHANGED) for one in said)
    return Exposure(problems, is_whole=not changes.unseen)


def at_restart(agent_paths: AgentPaths, progress: Progress) -> tuple[Problem, ...]:
    """Return what git newly obeys, for the user to read now; of this, no other look tells again.

    Raises:
        CompanionError: the system refuses to write that.
    """
    try:
        changes = git_changes.of(agent_paths)
    except CompanionError as error:
        return error.problems
    git_changes.accept(agent_paths, changes.new[:_READ], progress)
    hint = "remove it before you run git there, unless you set it yourself; this is told once"
    said = changes.sentences(_READ)
    return tuple(Problem(one, hint, code=Code.GIT_CHANGED) for one in said)


def _unprotected(agent: str, gone: Collection[str]) -> Problem:
    more = f" and {len(gone) - _NAMED} more" if len(gone) > _NAMED else ""
    named = ", ".join([*gone][:_NAMED]) + more
    what = f"{agent} can change {named}: replaced on this desktop, and so protected no more"
    restart = f"`companion restart {agent}` protects it again"
    return Problem(what, restart, code=Code.GIT_UNPROTECTED)
