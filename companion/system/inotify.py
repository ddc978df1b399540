"""Inotify limits: how many files Linux lets one user watch, and how much of that is in use."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from companion.system import files, process_tree


@dataclass(frozen=True, slots=True)
class InotifyLimits:
    """What one user may have: watches of directories, instances (one or more a program)."""

    watches: int
    instances: int
    holders: Mapping["Holder", int]
    """How many instances our user's programs have, as far as we may look."""

    @property
    def used(self) -> int:
        """Instances that are in use."""
        return sum(self.holders.values())

    @property
    def greediest(self) -> "Holder | None":
        """The program with most of them."""
        return max(self.holders, key=lambda one: self.holders[one], default=None)


class Holder(NamedTuple):
    """A program that watches files."""

    pid: int
    name: str
    contained: bool
    """It runs in a container, which shares these limits with its desktop."""


def limits() -> InotifyLimits | None:
    """Return the limits of this machine and user namespace, None where nothing counts them."""
    watches, instances = tuple(_numbers("watches")), tuple(_numbers("instances"))
    if not (watches and instances):
        return None
    return InotifyLimits(min(watches), min(instances), Counter(_instances(files.user_id())))


def _numbers(kind: str) -> Iterator[int]:
    for path in (f"/proc/sys/fs/inotify/max_user_{kind}", f"/proc/sys/user/max_inotify_{kind}"):
        if text := files.read_text(Path(path)):
            yield int(text)


def _instances(uid: int | None) -> Iterator[Holder]:
    """Yield the holder of each instance."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if process.stat().st_uid == uid:
                for handle in (process / "fd").iterdir():
                    with suppress(OSError):
                        if str(handle.readlink()) == "anon_inode:inotify":
                            yield _holder(process)


def _holder(process: Path) -> Holder:
    name = (process / "comm").read_text(errors="replace").strip()
    return Holder(int(process.name), name, process_tree.is_contained(process))
