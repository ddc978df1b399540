"""Runs: what `companion run` made for directories of the user, one private file for each sandbox.

The sandbox itself is an ordinary project; this remembers what else is to be taken back with it.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from companion.project.model import Project
from companion.system import files
from companion.system.json_store import Store
from companion.system.paths import Paths
from companion.system.worktrees import Worktree


@dataclass(frozen=True, slots=True)
class Run:
    """One sandbox of `companion run`; all paths are absolute and without symbolic links."""

    name: str
    """The name of its agent, and of its project's directory."""
    runtime: str
    directory: str
    """The repository, or the worktree, that the agent works in."""
    worktree: Worktree | None = None
    """The worktree, if we made it: it is removed with the sandbox."""
    written: str = ""
    """Digest of agent.yaml as we wrote it: what the user edited is not removed."""


_NAME = re.compile(r"[a-z0-9-]{1,40}")
_FILES = Store(Run, "remove it; `companion run` in the repository makes it again")


def is_name(text: str) -> bool:
    """Tell whether a text can be the name of a run: a file is called like it."""
    return bool(_NAME.fullmatch(text))


def write(home: Paths, run: Run) -> None:
    """Remember a run."""
    _FILES.write(home.run(run.name), run)


def read(home: Paths, name: str) -> Run | None:
    """Return the run of a name, or None.

    Raises:
        CompanionError: its file is damaged.
    """
    return _FILES.read(home.run(name))


def forget(home: Paths, name: str) -> None:
    """Forget a run."""
    files.remove(home.run(name))


def all_of_user(home: Paths) -> tuple[Run, ...]:
    """Return every run whose file can be read, by name."""
    found = (_FILES.look(path) for path in sorted(home.runs.glob("*.json")))
    return tuple(run for run in found if isinstance(run, Run))


def of_project(home: Paths, project: Project) -> Run | None:
    """Return the run that made a project, or None.

    Raises:
        CompanionError: its file is damaged.
    """
    is_ours = project.directory.parent == files.real(home.sandboxes)
    return read(home, project.directory.name) if is_ours else None


def directory_of(home: Paths, name: str) -> Path:
    """Return the directory of a run's project."""
    return home.sandboxes / name
