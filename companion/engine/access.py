"""Access: why an engine's socket refuses our user, and the command that grants access."""

import re
from pathlib import Path

from companion.system import groups
from companion.system.groups import Membership

_DENIED = re.compile(r"permission denied", re.IGNORECASE)
_SOCKET = re.compile(r"unix://(/[^\s:\"']+)|dial unix (/[^\s:\"']+)")


def denied_socket(log: str) -> str:
    """Return the socket that refused a client, from the client's output; "" if none did."""
    found = _SOCKET.search(log) if _DENIED.search(log) else None
    return (found[1] or found[2]) if found else ""


def hint(socket: str) -> str:
    """Return the next step for a socket that refuses our user."""
    return step(socket, groups.membership(Path(socket)))


def step(socket: str, own: Membership | None) -> str:
    """Return the next step, given how our user stands to the socket's group."""
    if own is None or own.is_active or own.group in {"root", "wheel"}:
        return f"see `ls -l {socket}` for who may use it, or use rootless podman"
    if own.is_member:
        return f"log out and in again: you were added to the group {own.group} after this login"
    join = f"`sudo usermod -aG {own.group} {own.user}`, then log out and in"
    return f"{join} (its members can become root on this machine), or use rootless podman"
