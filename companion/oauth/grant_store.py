"""Where are the grants of a project kept? In one file of the desktop that nothing else sees.

No container has it mounted. One of another project that names the same server has no part in it.
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
class _Kept:
    """All grants of a project, by key."""

    grants: Mapping[str, Grant] = field(default_factory=dict)


def _upgraded(fields: Fields) -> Fields:
    """Return a stored file in today's shape; before 0.2 the grants were all of it."""
    return {"grants": fields}


_PROJECTS = Store(_Kept, "remove it, and authorise again with `companion oauth`", upgrade=_upgraded)


def read(home: Paths, project_id: str) -> Grants:
    """Return all grants of a project.

    Raises:
        CompanionError: the file is not ours or damaged.
    """
    return (_PROJECTS.read(home.grants(project_id)) or _Kept()).grants


def keep(home: Paths, project_id: str, key: str, grant: Grant, *, new: bool = True) -> None:
    """Remember a grant; to be called inside held(). One that is not new may have been forgotten."""
    known = read(home, project_id)
    if not new and key not in known:
        return
    _PROJECTS.write(home.grants(project_id), _Kept({**known, key: grant}))


def forget(home: Paths, project_id: str) -> None:
    """Forget all grants of a project, to the last trace."""
    if home.grants(project_id).exists():
        with held(home, project_id):
            home.grants(project_id).unlink()
            _lock(home, project_id).unlink()


@contextmanager
def held(home: Paths, project_id: str) -> Iterator[None]:
    """Be the only one who changes a project's grants: a refresh token may count only once."""
    with locks.exclusive(_lock(home, project_id)):
        yield


def _lock(home: Paths, project_id: str) -> Path:
    return home.grants(project_id).with_suffix(".lock")
