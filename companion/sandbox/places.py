"""Places: where a path lies by name, inode and device, and which place contains which."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Inode: TypeAlias = tuple[int, int]
"""Device and number, which all names of a file share."""
DevicePath: TypeAlias = tuple[str, str]
"""File system and absolute path in it, which all bind mounts of a directory share."""
Relation: TypeAlias = Literal["is", "leads to", "contains", "contains a part of", "lies in"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path of the desktop lies, whatever name leads there."""

    path: str
    """Absolute, without symbolic links."""
    inode: Inode | None = None
    """None: nothing is there, or the file system has no inodes."""
    above: tuple[Inode, ...] = ()
    """The inodes of the directories above it."""
    device_path: DevicePath | None = None
    mounted: tuple[DevicePath, ...] = ()
    """What is mounted below it."""

    @property
    def roots(self) -> tuple[DevicePath, ...]:
        """All that can be reached from there, as the tops of trees on file systems."""
        return (*((self.device_path,) if self.device_path else ()), *self.mounted)


@dataclass(frozen=True, slots=True)
class Guard:
    """A place that sandboxes must not see, and why."""

    place: Place
    why: str
    """Completes `the mount 'x' contains NAME, …`, or without a name `the mount 'x' …`."""
    name: str = ""
    below: bool = True
    """What lies in it is guarded as well."""
    but: tuple[Place, ...] = ()
    """What lies in these is not guarded."""
    read_only: bool = False
    """It may be mounted read-only, or freely if it lies in the project."""

    def refuses(self, subject: Place, how: Relation) -> bool:
        """Tell whether something that has this relation to the place is refused."""
        return how in {"is", "contains"} or (self.below and not within(subject, self.but))

    def reason(self, how: Relation) -> str:
        """Return why something that has this relation to the place is refused."""
        return f"{how} {self.name}, {self.why}" if self.name else self.why


def relation(subject: Place, other: Place, *, ignores_case: bool = False) -> Relation | None:
    """Return how a place relates to another one, or None if they share nothing."""
    outside = contains(subject, other, ignores_case=ignores_case)
    inside = contains(other, subject, ignores_case=ignores_case)
    if outside and inside:
        return "is"
    if outside or inside:
        return "contains" if outside else "lies in"
    if subject.mounted or other.mounted:
        return "contains a part of" if _overlap(subject.roots, other.roots) else None
    return None


def contains(outer: Place, inner: Place, *, ignores_case: bool = False) -> bool:
    """Tell whether a place is another one or lies below it, by any name."""
    if _is_below(inner.path, outer.path, ignores_case=ignores_case):
        return True
    if outer.inode and (outer.inode == inner.inode or outer.inode in inner.above):
        return True
    if inner.device_path is None:
        return False
    if outer.device_path is not None and _is_in(inner.device_path, outer.device_path):
        return True
    return bool(outer.mounted) and lies_in(inner.device_path, outer.mounted)


def within(place: Place, trees: Iterable[Place], *, ignores_case: bool = False) -> Place | None:
    """Return the first of the directories that a place is or lies in, or None."""
    return next((t for t in trees if contains(t, place, ignores_case=ignores_case)), None)


def lies_in(path: DevicePath | None, roots: Iterable[DevicePath]) -> bool:
    """Tell whether a place lies in one of several directories of file systems."""
    return path is not None and any(_is_in(path, root) for root in roots)


def _overlap(some: Iterable[DevicePath], others: tuple[DevicePath, ...]) -> bool:
    return any(lies_in(one, others) or any(_is_in(other, one) for other in others) for one in some)


def _is_in(inner: DevicePath, outer: DevicePath) -> bool:
    return inner[0] == outer[0] and _is_below(inner[1], outer[1], ignores_case=False)


def _is_below(inner: str, outer: str, *, ignores_case: bool) -> bool:
    if ignores_case:
        inner, outer = _folded(inner), _folded(outer)
    if not inner.startswith(outer):
        return False
    return len(inner) == len(outer) or outer.endswith("/") or inner[len(outer)] == "/"


def _folded(path: str) -> str:
    """Return a form equal for all spellings of a path that differ in case or Unicode form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
