"""Groups: which one a file belongs to, and whether our user and this session are in it."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from companion.system import files


@dataclass(frozen=True, slots=True)
class Membership:
    """A group, seen from our user."""

    group: str
    user: str
    is_member: bool
    """The user is listed in the group; a login that begins now is in it."""
    is_active: bool
    """This session is in the group: it began after the user was added."""


def membership(path: Path) -> Membership | None:
    """Return the group of a file, or None where that is unknown."""
    status = files.status(path)
    if sys.platform == "win32" or status is None:
        return None
    import grp  # noqa: PLC0415 - both are missing on Windows
    import pwd  # noqa: PLC0415

    try:
        group, user = grp.getgrgid(status.st_gid), pwd.getpwuid(os.geteuid())
    except KeyError:
        return None
    active = status.st_gid in {os.getegid(), *os.getgroups()}
    listed = user.pw_name in group.gr_mem or user.pw_gid == status.st_gid
    return Membership(group.gr_name, user.pw_name, listed, active)
