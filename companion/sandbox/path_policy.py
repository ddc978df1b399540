"""Path policy: the desktop paths that a sandbox may read, mount, or be configured by."""

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from companion.config.origin import Origin
from companion.errors import Problem, quoted
from companion.plugins.contribution import Contribution, Mount, ProjectFile
from companion.sandbox.model import (
    HostFacts,
    Neighbour,
    PathFacts,
    mount_file,
    project_files,
)

_SYSTEM_TREES = ("/etc", "/private/etc", "/proc", "/sys", "/dev", "/run", "/var/run", "/boot",
                 "/var/lib/docker", "/var/lib/containers")  # fmt: skip


_TARGETS = ("/bin", "/boot", "/companion", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run",
            "/sbin", "/sys", "/tmp", "/usr", "/var/run")  # fmt: skip # noqa: S108 - names, not use


@dataclass(frozen=True, slots=True)
class Bounds:
    """Paths that no mount may be, contain or lie in; absolute, with symlinks resolved."""

    home: str
    control: tuple[str, ...]
    """agent.yaml, .env, .build, hooks, overlays, key files and companion's own directories."""
    foreign: tuple[str, ...] = ()
    """Files that configure other agents, of any project."""
    writable: tuple[str, ...] = ()
    """Directories that this or another agent may write to."""
    ignores_case: bool = False
    """The desktop's file system treats `~/.SSH` and `~/.ssh` as one."""


def steered_by(contribution: Contribution, found: Mapping[ProjectFile, PathFacts]) -> Iterator[str]:
    """Yield the real paths of all files that become part of the sandbox, links included."""
    for facts in (found[file] for file in project_files(contribution)):
        if facts.kind != "missing":
            yield from (*facts.links, facts.real)


def writes(contribution: Contribution, found: Mapping[ProjectFile, PathFacts]) -> tuple[str, ...]:
    """Return the desktop directories that an agent may write to."""
    binds = (mount for mount in contribution.mounts if not mount.is_volume and not mount.read_only)
    return tuple(found[mount_file(mount)].real for mount in binds)


def check_control(
    control: Iterable[str], host: HostFacts, neighbours: Iterable[Neighbour]
) -> Iterator[Problem]:
    """Yield a problem for each neighbour that may write to a file that configures the agent."""
    paths, ignores_case = tuple(control), host.ignores_case
    for neighbour in neighbours:
        pairs = (
            (path, within(path, neighbour.writes, ignores_case=ignores_case)) for path in paths
        )
        if exposed := next(((path, tree) for path, tree in pairs if tree), None):
            path, tree = exposed
            what = f"{path} lies in {tree}, which is writable for {neighbour.name}"
            yield Problem(what, "keep an agent's configuration out of other agents' mounts")


def check_files(
    contribution: Contribution,
    found: Mapping[ProjectFile, PathFacts],
    control: Iterable[str],
    host: HostFacts,
    neighbours: Collection[Neighbour] = (),
) -> Iterator[tuple[Origin, Problem]]:
    """Yield the origin and a problem for each path that is missing or out of bounds."""
    overlays = set(contribution.overlays)
    for file in project_files(contribution):
        wanted: Literal["file", "directory"] = "directory" if file in overlays else "file"
        if problem := _file_problem(file, found[file], wanted):
            yield file.origin, problem
    bounds = Bounds(
        home=host.home,
        control=(*control, *steered_by(contribution, found), *host.own_directories),
        foreign=tuple(path for neighbour in neighbours for path in neighbour.steered_by),
        writable=(*writes(contribution, found), *(d for n in neighbours for d in n.writes)),
        ignores_case=host.ignores_case,
    )
    for mount in contribution.mounts:
        if problem := _mount_problem(mount, found, bounds):
            yield mount.origin, problem


def _file_problem(
    file: ProjectFile, found: PathFacts, wanted: Literal["file", "directory"]
) -> Problem | None:
    if not found.inside:
        return Problem(f"{quoted(file.path)} is outside the project", "give a path inside it")
    if found.kind == "missing":
        return Problem(f"there is no {wanted} {quoted(file.path)}", "create it or correct the path")
    if found.kind != wanted:
        return Problem(f"{quoted(file.path)} is a {found.kind}", f"give a {wanted}")
    return None


def _mount_problem(
    mount: Mount, found: Mapping[ProjectFile, PathFacts], bounds: Bounds
) -> Problem | None:
    if reason := target_refusal(mount.target):
        return Problem(f"the mount target {quoted(mount.target)} {reason}", "choose another")
    if mount.is_volume:
        return None
    facts = found[mount_file(mount)]
    if reason := refusal(facts.real, facts.links, bounds):
        what = f"the mount {quoted(mount.source)} {reason}"
        return Problem(what, "mount a subdirectory such as ./work")
    if not mount.source.startswith("/") and not facts.inside:
        what = f"the mount {quoted(mount.source)} is outside the project"
        return Problem(what, "give a path inside it, or an absolute path")
    if facts.kind != "directory":
        return Problem(f"there is no directory {quoted(mount.source)} to mount", "create it")
    return None


def refusal(real: str, links: Iterable[str], bounds: Bounds) -> str | None:
    """Return why the host directory `real` (symlinks resolved) must not be mounted, or None.

    `links` are the real paths of the symbolic links that lead to it.
    """
    ignores_case = bounds.ignores_case
    if within(real, _SYSTEM_TREES, ignores_case=ignores_case) or real == "/":
        return "belongs to the system"
    if _contains(real, bounds.home, ignores_case=ignores_case):
        return "is or contains your home directory"
    for control in bounds.control:
        if relation := _relation(real, control, ignores_case=ignores_case):
            return f"{relation} {PurePosixPath(control).name}, which the agent must not change"
    for control in bounds.foreign:
        if relation := _relation(real, control, ignores_case=ignores_case):
            return f"{relation} {control}, which configures another agent"
    for step in (*links, real):
        trees = (tree for tree in bounds.writable if tree != step)
        if tree := within(step, trees, ignores_case=ignores_case):
            return f"leads through {tree}, where an agent can redirect it"
    return None


def target_refusal(target: str) -> str | None:
    """Return why nothing may be mounted at `target` in the container, or None."""
    path = PurePosixPath(target)
    if not path.is_absolute() or ".." in path.parts or len(path.parts) == 1:
        return "must be an absolute path below /"
    return "belongs to the container's system" if within(str(path), _TARGETS) else None


def within(path: str, trees: Iterable[str], *, ignores_case: bool = False) -> str | None:
    """Return the first of the directories that `path` is or lies in, or None."""
    return next((tree for tree in trees if _contains(tree, path, ignores_case=ignores_case)), None)


def _relation(real: str, control: str, *, ignores_case: bool) -> str | None:
    contains, is_contained = (
        _contains(outer, inner, ignores_case=ignores_case)
        for outer, inner in ((real, control), (control, real))
    )
    if contains and is_contained:
        return "is"
    if contains:
        return "contains"
    return "lies in" if is_contained else None


def _contains(outer: str, inner: str, *, ignores_case: bool) -> bool:
    """Tell whether `inner` is `outer` or lies below it."""
    if ignores_case:
        outer, inner = _folded(outer), _folded(inner)
    return PurePosixPath(inner).is_relative_to(outer)


def _folded(path: str) -> str:
    """Return a form equal for all spellings of a path that differ in case or Unicode form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
