"""Our own known_hosts file: the pinned host key of each alias; always rewritten completely."""

from collections.abc import Mapping

from ssh import public_key
from ssh.values import SshValueError, alias

_TYPE = "ssh-ed25519"


def render(pins: Mapping[str, str]) -> str:
    """Return the file for alias → public host key line, sorted by alias, comments dropped.

    Raises:
        SshValueError: an alias or key is invalid, or the key is not Ed25519: our ssh_config
            requests no other type, so the pin would never match.
    """
    return "".join(f"{alias(name)} {_pin(key)}\n" for name, key in sorted(pins.items()))


def parse(text: str) -> dict[str, str]:
    """Return alias → `ssh-ed25519 AAAA…` from a file that render() wrote.

    Raises:
        SshValueError: the file was changed by something else.
    """
    lines = (line.partition(" ") for line in text.split("\n") if line)
    return {alias(name): _pin(key) for name, _, key in lines}


def _pin(line: str) -> str:
    key = public_key.parse(line)
    if key.type != _TYPE:
        raise SshValueError(f"a host key must be {_TYPE}, not {key.type}")
    return f"{key.type} {key.blob}"
