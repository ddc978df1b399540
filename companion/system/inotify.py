"""Inotify limits: how many files Linux lets one user watch, and how much of that is in use."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from companion.system import files


@dataclass(frozen=True, slots=True)
class InotifyLimits:
    """What one user may have: watches of directories, instances (one or more a program)."""

    watches: int
    instances: int
    used: int
    """Instances of our user's programs, as far as we may look."""


def limits() -> InotifyLimits | None:
    """Return the limits of this machine and user namespace, None where nothing counts them."""
    watches, instances = tuple(_numbers("watches")), tuple(_numbers("instances"))
    if not (watches and instances):
        return None
    return InotifyLimits(min(watches), min(instances), sum(1 for _ in _instances(files.user_id())))


def _numbers(kind: str) -> Iterator[int]:
    for path in (f"/proc/sys/fs/inotify/max_user_{kind}", f"/proc/sys/user/max_inotify_{kind}"):
        if text := files.read_text(Path(path)):
            yield int(text)


def _instances(uid: int | None) -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if process.stat().st_uid == uid:
                for handle in (process / "fd").iterdir():
                    with suppress(OSError):
                        if str(handle.readlink()) == "anon_inode:inotify":
                            yield str(handle)
