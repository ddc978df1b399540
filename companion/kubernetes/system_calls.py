"""System calls: our list of them as a profile that a node's kubelet takes."""

import json
from typing import Any

from companion.spec.containers import File

_OF_ENGINES = {"archMap", "syscalls"}
_COMMENT = "comment"


def location(name: str) -> str:
    """Return where nodes have a profile, below the kubelet's directory `seccomp`."""
    return f"companion/{name}"


def profile(engines: File) -> File:
    """Return the profile that says for a node what another one says for an engine.

    It allows the calls of the node's own architecture only: the map of others is an engine's own.
    """
    listed: dict[str, Any] = json.loads(engines.content)
    rules = [{k: v for k, v in rule.items() if k != _COMMENT} for rule in listed["syscalls"]]
    kept = {key: value for key, value in listed.items() if key not in _OF_ENGINES}
    text = json.dumps({**kept, "syscalls": rules}, indent=1)
    return File(engines.path, f"{text}\n".encode())
