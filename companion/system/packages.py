"""Packages: the command by which this system's package manager installs something."""

from collections.abc import Mapping

from companion.system import files, search

_COMMANDS: Mapping[str, str] = {
    "apt": "apt install",
    "dnf": "dnf install",
    "zypper": "zypper install",
    "pacman": "pacman -S",
    "apk": "apk add",
    "brew": "brew install",
}
"""A manager → its command, in the order in which they are looked for."""
_UNPRIVILEGED = {"brew"}
_ELSEWHERE: Mapping[str, Mapping[str, str]] = {
    "openssh-client": {
        "dnf": "openssh-clients",
        "zypper": "openssh-clients",
        "pacman": "openssh",
        "brew": "openssh",
    },
    "uidmap": {
        "dnf": "shadow-utils",
        "zypper": "shadow",
        "pacman": "shadow",
        "apk": "shadow-subids",
    },
    "containernetworking-plugins": {"zypper": "cni-plugins", "pacman": "cni-plugins"},
}
"""Debian's name of a package → what it is called elsewhere, where that differs."""


def advice(*packages: str) -> str:
    """Return how to install packages here: a command in backquotes, or their names in a sentence.

    `packages` are Debian's names.
    """
    manager = next(filter(search.find, _COMMANDS), "")
    return command(manager, packages, is_root=files.user_id() == 0)


def command(manager: str, packages: tuple[str, ...], *, is_root: bool = False) -> str:
    """Return how a manager ("" if there is none that we know) installs packages; pure."""
    names = [_ELSEWHERE.get(package, {}).get(manager, package) for package in packages]
    if not manager:
        return f"install {' and '.join(names)}"
    privileged = "" if is_root or manager in _UNPRIVILEGED else "sudo "
    return f"run `{privileged}{_COMMANDS[manager]} {' '.join(names)}`"
