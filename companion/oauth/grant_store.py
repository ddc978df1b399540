"""Where are the grants of a project kept? In one file of the desktop that nothing else sees.

No container has it mounted. One of another project that names the same server has no part in it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from companion.errors import Code, CompanionError
from companion.oauth.grants import Grant, Grants
from companion.system import files, locks
from companion.system.paths import Paths

_ADAPTER = TypeAdapter(dict[str, Grant])


def read(home: Paths, project_id: str) -> Grants:
    """Return all grants of a project.

    Raises:
        CompanionError: the file is not ours or damaged.
    """
    path = home.grants(project_id)
    text = files.read_text(path)
    try:
        return {} if text is None else _ADAPTER.validate_json(text)
    except ValidationError:
        hint = "remove it, and authorise again with `companion oauth`"
        raise CompanionError(f"{path} is damaged", hint, code=Code.DAMAGED) from None


def keep(home: Paths, project_id: str, key: str, grant: Grant, *, new: bool = True) -> None:
    """Remember a grant; to be called inside held(). One that is not new may have been forgotten."""
    known = read(home, project_id)
    if not new and key not in known:
        return
    whole = {**known, key: grant}
    files.write(home.grants(project_id), _ADAPTER.dump_json(whole, indent=2) + b"\n")


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
