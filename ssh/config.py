"""What stands in our own ssh_config, and how does the user's own come to include it?"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ssh.values import quoted, word

_COMMENT = "# Sandboxes of companion; this line must stay the first directive of this file."
_SECTION = re.compile(r"\s*(host|match)[\s=]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Host:
    """One host entry; both paths are absolute."""

    alias: str
    hostname: str
    port: int
    user: str
    identity_file: str
    known_hosts_file: str


def render(hosts: Iterable[Host]) -> str:
    """Return our whole file, sorted by alias.

    Raises:
        SshValueError: a value could become a directive of its own.
    """
    entries = (_entry(host) for host in sorted(hosts, key=lambda host: host.alias))
    return "# Written by companion; changes here are lost.\n" + "".join(entries)


def add_include(text: str, path: str) -> str:
    """Return a user's ssh_config with our Include as its very first directive.

    After a Host line it would belong to that host. Everything else keeps its bytes.
    """
    if has_include(text, path):
        return text
    newline = "\r\n" if "\r\n" in text else "\n"
    return _block(path, newline) + remove_include(text, path)


def has_include(text: str, path: str) -> bool:
    """Tell whether our Include stands before any Host or Match, where it counts for all hosts."""
    for line in text.splitlines():
        if _SECTION.match(line):
            return False
        if line.strip() == _directive(path):
            return True
    return False


def remove_include(text: str, path: str) -> str:
    """Return the text without what add_include() put there: its exact inverse."""
    ours = {_COMMENT, _directive(path)}
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if line.rstrip("\r\n") not in ours)


def _block(path: str, newline: str) -> str:
    return f"{_COMMENT}{newline}{_directive(path)}{newline}"


def _directive(path: str) -> str:
    return f"Include {quoted(path)}"


def _entry(host: Host) -> str:
    """Return one entry; HostKeyAlias is written out because ssh does not expand %h there."""
    alias, known_hosts = word(host.alias), quoted(host.known_hosts_file)
    return (
        f"\nHost {alias}\n"
        f"  HostName {word(host.hostname)}\n"
        f"  Port {int(host.port)}\n"
        f"  User {word(host.user)}\n"
        f"  HostKeyAlias {alias}\n"
        f"  UserKnownHostsFile {known_hosts}\n"
        "  GlobalKnownHostsFile /dev/null\n"
        "  StrictHostKeyChecking yes\n"
        "  UpdateHostKeys no\n"
        "  HostKeyAlgorithms ssh-ed25519\n"
        f"  IdentityFile {quoted(host.identity_file)}\n"
        "  IdentitiesOnly yes\n"
        "  PreferredAuthentications publickey\n"
        "  ForwardAgent no\n"
        "  ForwardX11 no\n"
        "  ServerAliveInterval 15\n"
    )
