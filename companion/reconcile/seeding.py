"""Seeding: copies the mounted directories of the desktop to an engine elsewhere, once for each.

The agent works on the copy; `companion cp` and git bring work back. Copying can take long and can
fail, so it comes before anything is removed, except from an engine here: an agent there writes to
the directories, and a copy that is made meanwhile may be torn. The images are there by then.
"""

import sys
from pathlib import Path
from typing import IO

from companion.errors import Code, CompanionError
from companion.reconcile.comparison import Comparison
from companion.reconcile.desired import seed_volume
from companion.reconcile.progress import Progress
from companion.sandbox.model import mount_file
from companion.spec.identity import Role
from companion.system import links, pack


def seed(seen: Comparison, progress: Progress) -> None:
    """Copy what an agent mounts, if it is to start where that cannot be mounted.

    Raises:
        CompanionError: a directory cannot be read; the engine refused.
    """
    if seen.engine.choice.shares_files or Role.AGENT not in seen.plan.starts:
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

            def send(stream: IO[bytes], name: str) -> None:
                progress(f"copying {directory} to {where}, once; bring work back by git or cp")
                try:
                    pack.pack(stream, parent, directory.name, name, owner=uid)
                except BrokenPipeError:  # the engine says why
                    raise
                except OSError as error:
                    raise _failed(directory / (error.filename or ""), error) from None

            image = seen.desired.target.services[0].image
            is_new = seen.engine.seed(image, volume, uid, send)
    except OSError as error:
        raise _failed(directory, error) from None
    if not (is_new or seen.observed.containers):
        again = "`companion down --volumes` removes it, and the agent's home, and `up` copies anew"
        progress(f"using the copy of {directory} that is on {where} already; {again}")


def _failed(place: Path, error: OSError) -> CompanionError:
    what = f"cannot copy {place}: {error.strerror or error}"
    return CompanionError(what, "correct that, or mount another directory", code=Code.FILE_ACCESS)
