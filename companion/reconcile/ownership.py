"""Ownership: what is mounted for an agent to write to, but belongs to somebody else."""

import os
import shlex
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from companion.spec.containers import HostPath, Service
from companion.system import files

_WRITES = ((stat.S_IWUSR, "st_uid"), (stat.S_IWGRP, "st_gid"))


def unwritable(agent: Service, uid: int) -> Iterator[str]:
    """Yield a sentence with the next step for each mount that its agent cannot write to.

    Args:
        agent: the agent's container.
        uid: the ID of its user and its only group.
    """
    said: list[Path] = []
    for bind in agent.binds:
        if bind.read_only or not isinstance(bind.source, HostPath):
            continue
        path = bind.source.path
        status = files.status(Path(path))
        if any(Path(path).is_relative_to(outer) for outer in said):
            continue
        if status and not may_write(status, uid) and not _has_more_rules(path):
            said.append(Path(path))
            name = shlex.quote(path)
            yield (
                f"the agent cannot write to {path}, which belongs to user {status.st_uid}:"
                f" run `sudo chown -R {uid}:{uid} {name}`, or mount it read-only (:ro)"
            )


def may_write(status: os.stat_result, uid: int) -> bool:
    """Tell whether a user who is only in the group of the same ID may write to a file."""
    for bit, owner in _WRITES:
        if getattr(status, owner) == uid:
            return bool(status.st_mode & bit)
    return bool(status.st_mode & stat.S_IWOTH)


def _has_more_rules(path: str) -> bool:
    """Tell whether an access control list decides, which the mode does not show."""
    if sys.platform != "linux":
        return False
    try:
        return "system.posix_acl_access" in os.listxattr(path)
    except OSError:  # not every file system has them
        return False
