"""Unfinished runs: only one `run` makes a sandbox for a repository at a time, and none half.

What it is about to make is noted first. A note that is left belongs to a process that was killed
before its user agreed: no agent was there, so the next `run` takes back what it made.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from companion.errors import CompanionError
from companion.operations import runs_made
from companion.operations.repository import Repository
from companion.project import runs, store
from companion.spec.identity import digest
from companion.system import files, locks, worktrees
from companion.system.json_store import Store
from companion.system.paths import Paths
from companion.system.worktrees import Worktree


@dataclass(frozen=True, slots=True)
class _Unfinished:
    """What a run is about to make."""

    name: str
    directory: str
    """Where the agent is to work, unless in a worktree."""
    worktree: Worktree | None = None
    is_written: bool = False
    """The worktree is complete, so its user may have worked in it."""


_FILES = Store(_Unfinished, "remove it")


@dataclass(frozen=True, slots=True)
class Note:
    """The note of one run."""

    path: Path
    name: str
    directory: str

    def about(self, worktree: Worktree | None = None, *, is_written: bool = False) -> None:
        """Note what is made next."""
        _FILES.write(self.path, _Unfinished(self.name, self.directory, worktree, is_written))


@contextmanager
def one_at_a_time(home: Paths, common: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Let no other `run` make a sandbox for a repository; take back what a killed one left.

    Args:
        home: the user's paths.
        common: the repository.
        waiting: is called once if another `run` is at it.
    """
    with locks.exclusive(_note(home, common).with_suffix(".lock"), waiting):
        _take_back(home, _note(home, common))
        yield


@contextmanager
def noted(home: Paths, found: Repository, given: str | None, inferred: str) -> Iterator[Note]:
    """Choose a name, and note what is made until it is whole or taken back.

    Args:
        home: the user's paths.
        found: the repository, inside one_at_a_time().
        given: the name that the user chose.
        inferred: what to name it after otherwise.

    Raises:
        CompanionError: the name that the user chose is taken, or is none.
    """
    with locks.exclusive(home.unfinished_runs / "names.lock"):
        name = runs_made.free_name(home, given, inferred, _claimed(home))
        note = Note(_note(home, found.common), name, str(found.top))
        note.about()
    try:
        yield note
    finally:
        files.remove(note.path)


def _claimed(home: Paths) -> dict[str, str]:
    """Return the names that runs in other repositories have chosen, each with its directory."""
    found = {}
    for path in home.unfinished_runs.glob("*.json"):
        with locks.attempt(path.with_suffix(".lock")) as is_left:
            note = None if is_left else _FILES.look(path)
        if isinstance(note, _Unfinished):
            found[note.name] = note.directory
    return found


def _note(home: Paths, common: Path) -> Path:
    return home.unfinished_runs / f"{digest(str(common))}.json"


def _take_back(home: Paths, note: Path) -> None:
    """Take back what a note tells of; what cannot be taken back is in nobody's way but its own."""
    left = _FILES.look(note)
    if isinstance(left, _Unfinished):
        with suppress(CompanionError):
            run, tree = runs.read(home, left.name), left.worktree
            is_ours = run and run.directory in {left.directory, tree and tree.directory}
            if (
                run
                and is_ours
                and not store.of_project(home, runs_made.project_of(home, run)).agents
            ):
                runs_made.take_back_config(home, run)
        with suppress(CompanionError):
            if (tree := left.worktree) and not (left.is_written and worktrees.loss(tree)):
                worktrees.remove(tree)
    files.remove(note)
