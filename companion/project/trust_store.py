"""What users agreed to: one private file for each project, outside of it.

An agreement belongs to a directory, not to a path: one that was exchanged is not trusted.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from companion.project.model import Project
from companion.sandbox.powers import Agreed
from companion.system import birth, files, locks
from companion.system.json_store import Store
from companion.system.paths import Paths

_VERSIONS_KEPT = 32
"""Contents of one file that are remembered, the newest ones: going back to one asks nothing."""


@dataclass(frozen=True, slots=True)
class Trust:
    """The state of one project's agreement."""

    directory: str
    """The project's absolute path."""
    identity: str
    """The directory's inode and time of birth: one that takes its place has others."""
    state: Literal["agreed", "revoked"] = "agreed"
    since: str = ""
    """The day of the agreement or its end, as YYYY-MM-DD."""
    agents: Mapping[str, tuple[Agreed, ...]] = field(default_factory=dict)
    """Agent → the powers that were agreed to."""

    @property
    def is_revoked(self) -> bool:
        """Whether the user ended the agreement."""
        return self.state == "revoked"

    def joined(self, agent: str, more: tuple[Agreed, ...]) -> "Trust":
        """Return the agreement with more powers of one agent."""
        known = self.agents.get(agent, ())
        every = tuple(dict.fromkeys((*(one for one in known if one not in more), *more)))
        return replace(self, agents={**self.agents, agent: _newest(every)})


_FILES = Store(Trust, "remove it, and agree again with `companion trust`")


def read(home: Paths, project: Project) -> Trust | None:
    """Return a project's agreement; None if there is none for the directory that is there now.

    Raises:
        CompanionError: the file is damaged.
    """
    trust = _FILES.read(home.trust(project.id))
    here = (str(project.directory), identity(project.directory))
    return trust if trust and (trust.directory, trust.identity) == here else None


def write(home: Paths, project: Project, trust: Trust) -> None:
    """Store a project's agreement; call it inside held()."""
    _FILES.write(home.trust(project.id), trust)


def forget(home: Paths, project_id: str) -> None:
    """Remove a project's agreement."""
    path = home.trust(project_id)
    if path.exists():
        with locks.exclusive(path.with_suffix(".lock")):
            path.unlink(missing_ok=True)
            path.with_suffix(".lock").unlink(missing_ok=True)


def all_of_user(home: Paths) -> Iterator[Trust]:
    """Yield every agreement that can be read, by directory."""
    found = (_FILES.look(path) for path in home.all_trust.glob("*.json"))
    yield from sorted((t for t in found if isinstance(t, Trust)), key=lambda t: t.directory)


@contextmanager
def held(home: Paths, project: Project) -> Iterator[None]:
    """Lock a project's agreement for a change."""
    with locks.exclusive(home.trust(project.id).with_suffix(".lock")):
        yield


def identity(directory: Path) -> str:
    """Return what a directory that takes its place does not have; "" if there is none."""
    status = files.status(directory)
    return f"{status.st_ino} {birth.born(directory)}".strip() if status else ""


def _newest(every: tuple[Agreed, ...]) -> tuple[Agreed, ...]:
    """Return powers without old contents of a file that has had many; the newest are last."""
    kept: list[Agreed] = []
    count: dict[tuple[str, str], int] = {}
    for one in reversed(every):
        key = (one.kind, one.subject)
        count[key] = count.get(key, 0) + 1
        if count[key] <= _VERSIONS_KEPT:
            kept.append(one)
    return tuple(reversed(kept))
