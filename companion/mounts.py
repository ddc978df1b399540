"""Which places of the desktop may a sandbox see? None from which it could rewrite its own cage."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

_SYSTEM_TREES = ("/etc", "/proc", "/sys", "/dev", "/run", "/var/run", "/boot", "/var/lib/docker",
                 "/var/lib/containers")  # fmt: skip
_TARGETS = ("/bin", "/boot", "/companion", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run",
            "/sbin", "/sys", "/tmp", "/usr", "/var/run")  # fmt: skip # noqa: S108 - names, not use


@dataclass(frozen=True, slots=True)
class Bounds:
    """What no mount may be, contain or lie in; absolute paths with symlinks resolved."""

    home: str
    control: tuple[str, ...]
    """agent.yaml, .env, .build, hooks, overlays, key files and companion's own directories."""
    foreign: tuple[str, ...] = ()
    """What steers other agents, of any project."""
    writable: tuple[str, ...] = ()
    """Where an agent may write, this one or another."""


def refusal(real: str, links: Iterable[str], bounds: Bounds) -> str | None:
    """Say why the host directory `real` (symlinks resolved) must not be mounted, or None.

    `links` is where the symbolic links lie that lead to it.
    """
    if within(real, _SYSTEM_TREES) or real == "/":
        return "belongs to the system"
    if _holds(real, bounds.home):
        return "is or contains your home directory"
    for control in bounds.control:
        if relation := _relation(real, control):
            return f"{relation} {PurePosixPath(control).name}, which the agent must not change"
    for control in bounds.foreign:
        if relation := _relation(real, control):
            return f"{relation} {control}, which steers another agent"
    for step in (*links, real):
        if tree := within(step, (tree for tree in bounds.writable if tree != step)):
            return f"leads through {tree}, where an agent may change what it leads to"
    return None


def target_refusal(target: str) -> str | None:
    """Say why nothing may be mounted at `target` in the container, or None."""
    path = PurePosixPath(target)
    if not path.is_absolute() or ".." in path.parts or len(path.parts) == 1:
        return "must be an absolute path below /"
    return "belongs to the container's system" if within(str(path), _TARGETS) else None


def within(path: str, trees: Iterable[str]) -> str | None:
    """Return the first directory that `path` is or lies in, or None."""
    return next((tree for tree in trees if _holds(tree, path)), None)


def _relation(real: str, control: str) -> str | None:
    if real == control:
        return "is"
    if _holds(real, control):
        return "contains"
    return "lies in" if _holds(control, real) else None


def _holds(outer: str, inner: str) -> bool:
    """Tell whether `inner` is `outer` or lies below it."""
    return PurePosixPath(inner).is_relative_to(outer)
