"""Mounts: where the containers of Pods have our directories."""

from collections.abc import Mapping

from companion.plugins import git, instructions
from companion.render import haproxy, sshd
from companion.sandbox import brought
from companion.spec.containers import Directory
from companion.spec.identity import Role

_OF_ROLES = {
    Role.GATEWAY: {
        Directory.GATEWAY: haproxy.CONFIG,
        Directory.SECRETS: haproxy.SECRETS,
        Directory.CERTIFICATES: haproxy.CERTIFICATES,
    },
    Role.AGENT: {
        Directory.SSHD: sshd.KEYS,
        Directory.SIGNING: git.SIGNING,
        Directory.BROUGHT: brought.MOUNTED,
        Directory.REACH: instructions.DIRECTORY,
    },
}


def of(role: Role) -> Mapping[Directory, str]:
    """Return the directories that a role's container mounts, each with its path there."""
    return _OF_ROLES.get(role, {})
