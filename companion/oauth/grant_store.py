"""Grant store: one private file per project on the desktop, and one for the user's accounts.

No container mounts them. Another project that uses the same MCP server has grants of its own; the
grant of an account at a vendor serves all projects, because the user logs in once.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from companion.oauth import grants as keys
from companion.oauth.grants import Grant, Grants
from companion.system import locks
from companion.system.json_store import Fields, Store
from companion.system.paths import Paths


@dataclass(frozen=True, slots=True)
class _StoredGrants:
    """All grants of a project, or those of the user's accounts, by key."""

    grants: Mapping[str, Grant] = field(default_factory=dict)
    host_id: str = ""
    """How this desktop identifies itself when the user logs in to an account."""


def _upgraded(fields: Fields) -> Fields:
    """Return stored fields in the current shape; before 0.2 the grants were the whole file."""
    return {"grants": fields}


_STORE = Store(
    _StoredGrants,
    "remove it, and authorize again with `companion oauth` or `companion login`",
    upgrade=_upgraded,
)
ACCOUNTS = "accounts"
"""Owns the grants of the user's accounts; every other owner is the ID of a project."""


def owner_of(project_id: str, key: str) -> str:
    """Return who owns a grant that an agent of a project uses."""
    return ACCOUNTS if keys.is_account(key) else project_id


def files_of(home: Paths, project_id: str, used: Iterable[str]) -> tuple[Path, ...]:
    """Return the files that hold the grants with these keys."""
    owners = dict.fromkeys(owner_of(project_id, key) for key in used)
    return tuple(home.grants(owner) for owner in owners)


def usable(home: Paths, project_id: str, used: Iterable[str]) -> Grants:
    """Return the grants that an agent of a project may use, of those with the keys `used`.

    Raises:
        CompanionError: a file is damaged or cannot be read.
    """
    wanted = tuple(used)
    owners = dict.fromkeys(owner_of(project_id, key) for key in wanted)
    held = {key: grant for owner in owners for key, grant in read(home, owner).items()}
    return {key: held[key] for key in wanted if key in held}


def read(home: Paths, owner: str) -> Grants:
    """Return all grants of an owner.

    Raises:
        CompanionError: the file is damaged or cannot be read.
    """
    return _stored(home, owner).grants


def keep(home: Paths, owner: str, key: str, grant: Grant, *, new: bool = True) -> None:
    """Store a grant; call it inside held().

    With `new=False` a grant that was forgotten meanwhile is not stored again.
    """
    stored = _stored(home, owner)
    if not new and key not in stored.grants:
        return
    _STORE.write(home.grants(owner), replace(stored, grants={**stored.grants, key: grant}))


def host_id(home: Paths) -> str:
    """Return the identifier of this desktop, made once: a random UUID as a URI."""
    with held(home, ACCOUNTS):
        stored = _stored(home, ACCOUNTS)
        if not stored.host_id:
            stored = replace(stored, host_id=uuid.uuid4().urn)
            _STORE.write(home.grants(ACCOUNTS), stored)
    return stored.host_id


def forget(home: Paths, owner: str) -> None:
    """Remove all grants of an owner, and the lock file."""
    if home.grants(owner).exists():
        with held(home, owner):
            home.grants(owner).unlink()
            _lock(home, owner).unlink()


@contextmanager
def held(home: Paths, owner: str, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Lock the grants of an owner for a change: a refresh token may be valid only once.

    If another process holds the lock, `waiting` is called once.
    """
    with locks.exclusive(_lock(home, owner), waiting):
        yield


def _stored(home: Paths, owner: str) -> _StoredGrants:
    return _STORE.read(home.grants(owner)) or _StoredGrants()


def _lock(home: Paths, owner: str) -> Path:
    return home.grants(owner).with_suffix(".lock")
