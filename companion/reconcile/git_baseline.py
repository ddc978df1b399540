"""Git baseline: what git obeyed in mounted directories before their agent could write there.

It is kept apart from the copies that containers mount, which each change of a sandbox renews. What
is new stays new, also over a restart, until it is gone or the user accepts it. All is digests.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from companion.reconcile import git_facts, git_obeys
from companion.reconcile.git_obeys import Effort, Obeyed
from companion.sandbox.repositories import DIRECTORIES, GIT, WORKTREES
from companion.system.json_store import Store
from companion.system.project_paths import AgentPaths

_MOST = 2_000
"""What git obeys in one directory; an agent could write more than anyone would read."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of one directory."""

    is_mounted: bool
    """An agent may write there: what is not among `digests` is new. Else only these are."""
    digests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is remembered of each directory that an agent may write to, or could."""

    directories: Mapping[str, Known] = field(default_factory=dict)


_BASELINES = Store(Baseline, "`companion restart` makes it anew; read .git/config before that")


def read(agent_paths: AgentPaths) -> Baseline:
    """Return what is remembered; nothing of an agent that was never started.

    Raises:
        CompanionError: it cannot be read.
    """
    return _BASELINES.read(agent_paths.git_baseline) or Baseline()


def new(directory: Path, known: Known, effort: Effort) -> Iterator[Obeyed]:
    """Yield what git obeys in a directory and did not before its agent could write there."""
    for one in _obeyed(directory, effort, known.digests if known.is_mounted else ()):
        if (_digest(one) in known.digests) is not known.is_mounted:
            yield one


def begin(agent_paths: AgentPaths, mounted: Collection[str]) -> None:
    """Remember what git obeys in the directories that an agent mounts, which starts next.

    Its lock is held, and its old container is gone: what that one wrote stays new.

    Raises:
        CompanionError: the system refuses to write it.
    """
    found = _BASELINES.look(agent_paths.git_baseline)
    kept = _ended(found) if isinstance(found, Baseline) else {}
    for directory in mounted:
        before = kept.get(directory, Known(is_mounted=False))
        if not before.is_mounted:
            digests = _now(Path(directory), frozenset(before.digests))
            kept[directory] = Known(is_mounted=True, digests=digests)
    if found or kept:
        _BASELINES.write(agent_paths.git_baseline, Baseline(kept))


def end(agent_paths: AgentPaths) -> None:
    """Remember what an agent left for git, which writes nowhere any more; its lock is held.

    A baseline that cannot be read stays as it is.

    Raises:
        CompanionError: the system refuses to write it.
    """
    found = _BASELINES.look(agent_paths.git_baseline)
    if isinstance(found, Baseline):
        _BASELINES.write(agent_paths.git_baseline, Baseline(_ended(found)))


def accept(agent_paths: AgentPaths, shown: Collection[Obeyed]) -> None:
    """Take what the user was shown for what git obeyed before; the agent's lock is held.

    Raises:
        CompanionError: the system refuses to read or write it.
    """
    seen = tuple(map(_digest, shown))

    def accepted(known: Known) -> Known:
        left = tuple(one for one in known.digests if one not in seen)
        return replace(known, digests=(*left, *seen) if known.is_mounted else left)

    before = read(agent_paths).directories
    kept = {directory: accepted(known) for directory, known in before.items()}
    _BASELINES.write(agent_paths.git_baseline, Baseline(kept))


def _ended(before: Baseline) -> dict[str, Known]:
    """Return what was new in each directory; where not everything was looked at, all stays.

    Else an agent would hide what it wrote until its end, such as by `chmod 000 .git`.
    """
    kept: dict[str, Known] = {}
    for directory, known in before.directories.items():
        effort = Effort()
        left = tuple(map(_digest, new(Path(directory), known, effort)))
        if effort.is_spent:
            kept[directory] = known
        elif left:
            kept[directory] = Known(is_mounted=False, digests=left)
    return kept


def _now(directory: Path, left: frozenset[str]) -> tuple[str, ...]:
    """Return the digests of what git obeys, without what an agent left."""
    found = [_digest(one) for one in _obeyed(directory, Effort())]
    whole = () if left.intersection(found) else map(_of_text, _configs(directory))
    return tuple(dict.fromkeys((*(one for one in found if one not in left), *whole)))


def _obeyed(directory: Path, effort: Effort, known: Collection[str] = ()) -> Iterator[Obeyed]:
    """Yield all by which git runs something or looks elsewhere, but files that are as known."""
    found = _each(directory, effort, [p for p in _configs(directory) if _of_text(p) in known])
    yield from islice(found, _MOST)
    effort.is_spent |= next(found, None) is not None


def _each(directory: Path, effort: Effort, same: Collection[Path]) -> Iterator[Obeyed]:
    facts = git_facts.find(directory)
    if facts is None:
        return
    if facts.obstacle:
        yield Obeyed(directory, facts.obstacle)
        effort.is_spent = True
        return
    if facts.is_worktree:
        yield git_obeys.of_text(directory / GIT, "git obeys the repository that it names")
    own = Path(facts.directory)
    worktrees = [Path(one) for one in git_obeys.entries(own / WORKTREES, effort)]
    listed = (own, *(own / name for name in DIRECTORIES), *worktrees)
    effort.is_spent |= not all(map(git_facts.can_list, listed))
    for place in (own, *worktrees):
        if not effort.left():
            return
        yield from git_obeys.settings_and_hooks(place, effort, same)
    yield from git_obeys.remotes(own, effort)


def _configs(directory: Path) -> tuple[Path, ...]:
    facts = git_facts.find(directory)
    own = Path(facts.directory) if facts and not facts.obstacle else None
    return tuple(own / name for name in git_obeys.CONFIGS) if own else ()


def _of_text(path: Path) -> str:
    return _digest(git_obeys.of_text(path, ""))


def _digest(one: Obeyed) -> str:
    words = (str(one.path), one.what, one.value, one.content)
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()
