"""The grants of each project, in one private file per project on the desktop.

No container mounts it. Another project that uses the same server has grants of its own.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from companion.oauth.grants import Grant, Grants
from companion.system import locks
from companion.system.json_store import Fields, Store
from companion.system.paths import Paths


@dataclass(frozen=True, slots=True)
class _StoredGrants:
    """All grants of a project, by key."""

    grants: Mapping[str, Grant] = field(default_factory=dict)


def _upgraded(fields: Fields) -> Fields:
    """Return stored fields in the current shape; before 0.2 the grants were the whole file."""
    return {"grants": fields}


_PROJECTS = Store(
    _StoredGrants, "remove it, and authorize again with `companion oauth`", upgrade=_upgraded
)


def read(home: Paths, project_id: str) -> Grants:
    """Return all grants of a project.

    Raises:
        CompanionError: the file is damaged or cannot be read.
    """
    return (_PROJECTS.read(home.grants(project_id)) or _StoredGrants()).grants


def keep(home: Paths, project_id: str, key: str, grant: Grant, *, new: bool = True) -> None:
    """Store a grant; call it inside locked().

    With `new=False` a grant that was forgotten meanwhile is not stored again.
    """
    stored = read(home, project_id)
    if not new and key not in stored:
        return
    _PROJECTS.write(home.grants(project_id), _StoredGrants({**stored, key: grant}))


def forget(home: Paths, project_id: str) -> None:
    """Remove all grants of a project, and the lock file."""
    if home.grants(project_id).exists():
        with held(home, project_id):
            home.grants(project_id).unlink()
            _lock(home, project_id).unlink()


@contextmanager
def held(home: Paths, project_id: str) -> Iterator[None]:
    """Lock a project's grants for a change: a refresh token may be valid only once."""
    with locks.exclusive(_lock(home, project_id)):
        yield


def _lock(home: Paths, project_id: str) -> Path:
    return home.grants(project_id).with_suffix(".lock")
