"""Cache: values of secrets, in the memory of this process, for a bounded time.

Whoever applies a change fetches the values first; all that comes after it uses the same ones, also
if a command prints another token each time it is asked.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from companion.errors import CompanionError
from companion.keychain import commands, desktop, store
from companion.keychain.commands import SecretFailedError
from companion.keychain.sources import Source
from companion.keychain.store import Where
from companion.system.paths import Paths

_PAUSE = 5.0
"""Seconds for which a failed source is not asked again: many sandboxes may use one, and it may have
asked the user."""
_LONGER = 2
"""Lifetimes for which a value is kept while it cannot be read again."""


@dataclass(frozen=True, slots=True)
class _Fetched:
    value: str | None = field(repr=False)
    """None: the source failed, and what it gave before has ended."""
    at: float
    """When the source gave it, in Unix seconds."""
    tried: float
    """When the source was asked last."""
    failure: CompanionError | None = None
    """Why there is no value."""

    def is_due(self, source: Source, now: float) -> bool:
        return self.value is None or not self.tried <= now < self.tried + source.lifetime

    def has_ended(self, source: Source, now: float) -> bool:
        return not self.at <= now < self.at + _LONGER * source.lifetime


_UNKNOWN = _Fetched(None, -math.inf, -math.inf)
_values: dict[Source, _Fetched] = {}
_turns: dict[Source, threading.Lock] = {}


def value(source: Source) -> str | None:
    """Return the value that was fetched last; None if there is none in this process."""
    known = _values.get(source)
    return known.value if known else None


def fetch(home: Paths, source: Source, tell: Callable[[str], None]) -> bool:
    """Read a value that is not known yet or due; tell whether it is another than before.

    While its source fails, a value is used for another lifetime.

    Raises:
        CompanionError: the source failed, and no value is left.
    """
    with _turns.setdefault(source, threading.Lock()):
        known, now = _values.get(source, _UNKNOWN), time.time()
        _discard_ended(source, now)
        if known.failure and 0 <= now - known.tried < min(_PAUSE, source.lifetime):
            raise known.failure
        if not known.is_due(source, now):
            return False
        if known.value is None:
            tell(f"reading {source.name} {source.words}")
        try:
            new = _Fetched(_read(home, source), now, now)
        except CompanionError as error:
            now = time.time()  # it may have waited for the user
            if known.has_ended(source, now):
                _values[source] = _Fetched(None, known.at, now, error)
                raise
            _values[source] = _Fetched(known.value, known.at, now)
            tell(f"{source.name} could not be renewed, so its value stays: {error}")
            return False
        _values[source] = new
        return known.value is not None and known.value != new.value


def next_due(sources: Iterable[Source]) -> float:
    """Return when the first of these is due, in Unix seconds; infinity if none was asked yet."""
    known = ((source, _values.get(source)) for source in sources)
    return min((one.tried + source.lifetime for source, one in known if one), default=math.inf)


def _discard_ended(but: Source, now: float) -> None:
    for source, one in tuple(_values.items()):
        if source != but and one.value is not None and one.has_ended(source, now):
            _values.pop(source, None)


def _read(home: Paths, source: Source) -> str:
    if source.command:
        return commands.ask(source.command)
    found = store.get(home, source.name) if source.held else desktop.get(source.name)
    if found is None:
        place = "file of secrets" if source.held and source.held.where is Where.FILE else "keychain"
        hint = f"run `companion secret set {source.name}`"
        raise SecretFailedError(f"the {place} has no {source.name}", hint)
    if problem := commands.value_problem(found):
        raise SecretFailedError(f"its value {problem}", f"run `companion secret set {source.name}`")
    return found
