"""Store: the secrets that the user gave us, by name; their values lie in the desktop's keychain.

Our own file has names, bindings and where each value lies. Where there is no keychain, as on a
server, values lie in a second file, unencrypted, that only the user can read.
"""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from enum import StrEnum

from companion.errors import CompanionError
from companion.keychain import desktop
from companion.keychain.desktop import NoKeychainError
from companion.system import files, locks
from companion.system.json_store import Store
from companion.system.paths import Paths

_REPAIR = "remove it, and set your secrets again with `companion secret set`"


class Where(StrEnum):
    """Where the value of a secret lies."""

    KEYCHAIN = "keychain"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Held:
    """A secret without its value."""

    hosts: tuple[str, ...]
    """Its bindings (config/bindings.py); none while it is being changed."""
    where: Where
    since: float
    """When the value was set, in Unix seconds."""


@dataclass(frozen=True, slots=True)
class _Names:
    secrets: Mapping[str, Held] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Values:
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    about: str = "Secrets of Companion, unencrypted: this machine had no keychain."


_NAMES, _VALUES = Store(_Names, _REPAIR), Store(_Values, _REPAIR)


def held(home: Paths) -> Mapping[str, Held]:
    """Return all secrets that we hold, by name; no values.

    Raises:
        CompanionError: our file is damaged or cannot be read.
    """
    return (_NAMES.read(home.secret_names) or _Names()).secrets


def get(home: Paths, name: str) -> str | None:
    """Return the value of a secret; None if we hold none of this name.

    Raises:
        NoKeychainError, KeychainError: the keychain that has it is not there, or locked.
        CompanionError: a file of ours is damaged or cannot be read.
    """
    found = held(home).get(name)
    if found is None:
        return None
    return desktop.get(name) if found.where is Where.KEYCHAIN else _values(home).get(name)


def put(
    home: Paths, name: str, value: str, hosts: tuple[str, ...], *, in_file: bool = False
) -> Held:
    """Store a secret, instead of an earlier one of this name; return where it lies now.

    Args:
        home: the user's directories.
        name: of the variable that configs use for it.
        value: one line.
        hosts: its bindings (config/bindings.py), the only services that it is ever sent to.
        in_file: store it in our file even if there is a keychain.

    Raises:
        KeychainError: there is a keychain, but it is locked or refuses; nothing was changed.
        CompanionError: the system refuses.
    """
    with _locked(home):
        before = held(home)
        where = Where.FILE if in_file or not _has_keychain() else Where.KEYCHAIN
        # Bound to nothing while value and bindings may not belong together.
        _write_names(home, {**before, name: Held((), where, 0.0)})
        try:
            _write_value(home, name, value, where)
        except CompanionError:
            _write_names(home, before)
            raise
        if name in before and before[name].where is not where:
            _forget_value(home, name, before[name].where)
        new = Held(hosts, where, time.time())
        _write_names(home, {**before, name: new})
        return new


def remove(home: Paths, name: str) -> bool:
    """Remove a secret and its value; return False if we hold none of this name.

    Raises:
        NoKeychainError, KeychainError: the keychain that has it is not there, or locked; it was
            not removed.
        CompanionError: the system refuses.
    """
    with _locked(home):
        before = held(home)
        if name not in before:
            return False
        _remove_value(home, name, before[name].where)
        _write_names(home, {one: kept for one, kept in before.items() if one != name})
        return True


def _has_keychain() -> bool:
    try:
        desktop.require()
    except NoKeychainError:
        return False
    return True


def _values(home: Paths) -> Mapping[str, str]:
    return (_VALUES.read(home.secret_values) or _Values()).secrets


def _write_names(home: Paths, names: Mapping[str, Held]) -> None:
    _NAMES.write(home.secret_names, _Names(names))


def _write_value(home: Paths, name: str, value: str, where: Where) -> None:
    if where is Where.KEYCHAIN:
        desktop.put(name, value)
    else:
        _VALUES.write(home.secret_values, _Values({**_values(home), name: value}))


def _remove_value(home: Paths, name: str, where: Where) -> None:
    if where is Where.KEYCHAIN:
        desktop.remove(name)
        return
    kept = {one: value for one, value in _values(home).items() if one != name}
    if kept:
        _VALUES.write(home.secret_values, _Values(kept))
    else:
        files.remove(home.secret_values)


def _forget_value(home: Paths, name: str, where: Where) -> None:
    """Remove a value from where it lay before; a keychain that is gone keeps it."""
    with suppress(CompanionError):
        _remove_value(home, name, where)


def _locked(home: Paths) -> AbstractContextManager[None]:
    return locks.exclusive(home.secret_names.with_suffix(".lock"))
