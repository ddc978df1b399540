"""Seeding: copies the mounted directories of the desktop to an engine elsewhere, once for each.

The agent works on the copy; `companion cp` and git bring work back.
"""

import sys
from pathlib import Path
from typing import IO

from companion.errors import Code, CompanionError
from companion.reconcile import mount_guard
from companion.reconcile.compare import Comparison
from companion.reconcile.desired import seed_volume
from companion.reconcile.progress import Progress
from companion.sandbox.model import mount_file
from companion.spec.containers import Service
from companion.system import links, pack
from companion.system.paths import Paths


def prepare(home: Paths, seen: Comparison, progress: Progress, agent: Service) -> None:
    """Prepare what an agent mounts, before its container is created; see `mount_guard.prepare`.

    Raises:
        CompanionError: a directory cannot be read, or must not be mounted; the engine refused.
    """
    mount_guard.prepare(home, seen.checked, agent)
    if seen.engine.choice.shares_files:
        return
    for mount in seen.checked.contribution.mounts:
        if not mount.is_volume:
            _seed(seen, Path(seen.checked.found[mount_file(mount)].real), progress)


def _seed(seen: Comparison, directory: Path, progress: Progress) -> None:
    """Copy a directory unless that was done before."""
    if sys.platform == "win32":  # there, no file is opened in a directory that is held
        what = f"{directory} cannot be copied to another machine from Windows"
        raise CompanionError(what, "mount a volume, and clone the repository in the sandbox")
    uid, where = seen.checked.host.uid, seen.engine.choice.label
    volume = seed_volume(seen.checked.config.name, str(directory))
    try:
        with links.held(directory.parent) as parent:

            def send(stream: IO[bytes]) -> None:
                progress(f"copying {directory} to {where}, once; bring work back by git or cp")
                pack.pack(stream, parent, directory.name, ".", owner=uid)

            seen.engine.seed(seen.desired.target.services[0].image, volume, uid, send)
    except OSError as error:
        place = directory / (error.filename or "")
        what = f"cannot copy {place}: {error.strerror or error}"
        raise CompanionError(what, "nothing was started", code=Code.FILE_ACCESS) from None
