"""Our entries in a settings file: merge wanted ones, remove stale ones, keep the user's."""

from collections.abc import Iterable
from dataclasses import dataclass

from editors import jsonc
from editors.jsonc import Path
from editors.jsonc_tree import Json

_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class Entry:
    """A value that we want at a path of a settings file."""

    path: Path
    value: Json


@dataclass(frozen=True, slots=True)
class Owned:
    """Our entries in one file as we wrote them, and the containers created to hold them."""

    entries: tuple[Entry, ...] = ()
    made: tuple[Path, ...] = ()


def merge(text: str, wanted: Iterable[Entry], owned: Owned) -> tuple[str, Owned]:
    """Return the text with exactly the wanted entries of ours, and the new ownership.

    Values that the user wrote at one of our paths, or changed there since, are theirs and stay.
    With nothing wanted, the text is restored to its original state.

    Raises:
        JsoncError: the text does not parse.
    """
    entries = tuple(wanted)
    places = {entry.path for entry in entries}
    for entry in owned.entries:
        if entry.path not in places and _is_ours(jsonc.get(text, entry.path), entry.value):
            text = jsonc.remove(text, entry.path)
    text, made = _tidy(text, owned.made, places)
    ours: list[Entry] = []
    before = {entry.path: entry.value for entry in owned.entries}
    for entry in entries:
        there = jsonc.get(text, entry.path)
        if there and not (entry.path in before and _is_ours(there, before[entry.path])):
            continue
        made += tuple(path for path in _holders(entry.path) if not jsonc.get(text, path))
        text = jsonc.put(text, entry.path, _over(there, entry.value))
        ours.append(entry)
    return text, Owned(tuple(ours), tuple(sorted(dict.fromkeys(made), key=len)))


def settle(text: str, owned: Owned, intended: Owned) -> tuple[bool, Owned]:
    """Return whether an intended write of entries shows in the text, and what is ours in it then.

    A value is ours only if it is what was written or intended: what the user wrote stays theirs.

    Raises:
        JsoncError: the text does not parse.
    """
    before = {entry.path: entry for entry in owned.entries}
    shown = {
        entry.path: entry
        for entry in intended.entries
        if _is_ours(jsonc.get(text, entry.path), entry.value)
    }
    happened = any(before.get(path) != entry for path, entry in shown.items())
    made = intended.made if happened else owned.made
    return happened, Owned(tuple({**before, **shown}.values()), made)


def reclaimed(text: str, owned: Owned, former: Owned) -> Owned:
    """Return what is ours in the text if it has again what was ours, exactly as we wrote it.

    Raises:
        JsoncError: the text does not parse.
    """
    known = {entry.path for entry in owned.entries}
    back = tuple(
        entry
        for entry in former.entries
        if entry.path not in known and jsonc.get(text, entry.path) == (entry.value,)
    )
    if not back:
        return owned
    return Owned((*owned.entries, *back), tuple(dict.fromkeys((*owned.made, *former.made))))


def remembered(former: Owned, *more: Owned) -> Owned:
    """Return what was ours, the newest last and at most 64 entries."""
    entries = {e.path: e for owned in (former, *more) for e in owned.entries}
    made = dict.fromkeys(path for owned in (former, *more) for path in owned.made)
    return Owned(tuple(entries.values())[-_REMEMBERED:], tuple(made)[-_REMEMBERED:])


def _holders(path: Path) -> tuple[Path, ...]:
    """Return the paths of the parents, outermost first; () is the root."""
    return tuple(path[:length] for length in range(len(path)))


def _tidy(text: str, made: tuple[Path, ...], places: set[Path]) -> tuple[str, tuple[Path, ...]]:
    """Remove containers that we created and that are now empty, innermost first."""
    kept: list[Path] = []
    for path in sorted(made, key=len, reverse=True):
        if any(_is_scalar(value) for value in jsonc.get(text, path)):
            continue
        needed = any(place[: len(path)] == path for place in places)
        if needed or _holds_more(text, path):
            kept.append(path)
        else:
            text = jsonc.remove(text, path)
    return text, tuple(sorted(kept, key=len))


def _holds_more(text: str, path: Path) -> bool:
    """Return whether a container is not empty; an array's object that we created is all ours."""
    if path and isinstance(path[-1], jsonc.Match):
        return False
    return any(jsonc.get(text, path))


def _is_scalar(value: Json) -> bool:
    """Return whether a value cannot be a container of ours: the user put it in place of one."""
    return not isinstance(value, dict | list)


def _is_ours(there: tuple[Json, ...], written: Json) -> bool:
    """Return whether a value is what we wrote; an editor may have added keys."""
    for value in there:
        if isinstance(value, dict) and isinstance(written, dict):
            return all(key in value and value[key] == part for key, part in written.items())
        return bool(value == written)
    return False


def _over(there: tuple[Json, ...], value: Json) -> Json:
    """Return the value with any keys that an editor added to the current one."""
    kept = [old for old in there if isinstance(old, dict) and isinstance(value, dict)]
    return {**kept[0], **value} if kept else value
