"""User IDs: refuses an engine that gives containers others than the desktop's."""

import re

from companion.errors import EngineError

_MAPPED = re.compile(r"name=(userns|rootless)\b")
_REASONS = {
    "userns": (
        "docker maps user IDs (userns-remap), so no sandbox could read what is mounted for it",
        'remove "userns-remap" from /etc/docker/daemon.json and restart docker, or use podman',
    ),
    "rootless": (
        "docker runs without root, so no sandbox could read what is mounted for it",
        "use podman, which maps your user into containers, or docker with root",
    ),
}


def refusal(security_options: str) -> EngineError | None:
    """Return the error for Docker's security options, None if IDs are the desktop's."""
    found = _MAPPED.search(security_options)
    return EngineError(*_REASONS[found[1]]) if found else None
