"""Which entries of a settings file are ours, and how do they come and go? Text to text."""

from collections.abc import Iterable
from dataclasses import dataclass

from editors import jsonc
from editors.jsonc import Path
from editors.jsonc_tree import Json


@dataclass(frozen=True, slots=True)
class Entry:
    """A value that we want at a place of a settings file."""

    path: Path
    value: Json


@dataclass(frozen=True, slots=True)
class Owned:
    """What is ours in one file: the values as we wrote them, and what was made to hold them."""

    entries: tuple[Entry, ...] = ()
    made: tuple[Path, ...] = ()


def merge(text: str, wanted: Iterable[Entry], owned: Owned) -> tuple[str, Owned]:
    """Return the text with exactly the wanted entries of ours, and what is ours in it then.

    What the user wrote at one of our places, or changed there since, is theirs and stays. With
    nothing wanted, the text is again what it was before us.

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
        if there and not _is_ours(there, before.get(entry.path)):
            continue
        made += tuple(path for path in _holders(entry.path) if not jsonc.get(text, path))
        text = jsonc.put(text, entry.path, _over(there, entry.value))
        ours.append(entry)
    return text, Owned(tuple(ours), tuple(sorted(dict.fromkeys(made), key=len)))


def _holders(path: Path) -> tuple[Path, ...]:
    """Return what stands around a place, outermost first; () is the whole file."""
    return tuple(path[:length] for length in range(len(path)))


def _tidy(text: str, made: tuple[Path, ...], places: set[Path]) -> tuple[str, tuple[Path, ...]]:
    """Take away what we made to hold entries, innermost first, where it holds none any more."""
    kept: list[Path] = []
    for path in sorted(made, key=len, reverse=True):
        needed = any(place[: len(path)] == path for place in places)
        if needed or _holds_more(text, path):
            kept.append(path)
        else:
            text = jsonc.remove(text, path)
    return text, tuple(sorted(kept, key=len))


def _holds_more(text: str, path: Path) -> bool:
    """Tell whether the user put something in there; an array's object that we made is all ours."""
    if path and isinstance(path[-1], jsonc.Match):
        return False
    return any(jsonc.get(text, path))


def _is_ours(there: tuple[Json, ...], written: Json) -> bool:
    """Tell whether a value is what we wrote; an editor may have added keys of its own."""
    for value in there:
        if isinstance(value, dict) and isinstance(written, dict):
            return all(key in value and value[key] == part for key, part in written.items())
        return bool(value == written)
    return False


def _over(there: tuple[Json, ...], value: Json) -> Json:
    """Return the value with the keys that an editor added to it."""
    kept = [old for old in there if isinstance(old, dict) and isinstance(value, dict)]
    return {**kept[0], **value} if kept else value
