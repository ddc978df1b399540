"""Owner ID: what tells this desktop's sandboxes from those of others in one namespace.

It is random, because nothing else differs for sure: containers and copied machines share names,
users, paths and machine IDs.
"""

import re
import secrets

from companion.system import files, locks
from companion.system.paths import Paths

_SHAPE = re.compile(r"[0-9a-f]{16}")


def recorded(home: Paths) -> str:
    """Return the ID, or "" if there is none yet."""
    found = (files.read_text(home.owner_id, errors="replace") or "").strip()
    return found if _SHAPE.fullmatch(found) else ""


def made(home: Paths) -> str:
    """Return the ID, which is made if there is none; the first of several programs decides."""
    files.make_private_dir(home.owner_id.parent)
    with locks.exclusive(home.owner_id.with_suffix(".lock")):
        if not (known := recorded(home)):
            known = secrets.token_hex(8)
            files.write(home.owner_id, known + "\n")
        return known
