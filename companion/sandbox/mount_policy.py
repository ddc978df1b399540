"""Mount policy: the desktop directories that may be mounted, and where in the container."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from companion.errors import Problem, quoted
from companion.plugins.contribution import Mount
from companion.sandbox.bounds import Bounds
from companion.sandbox.model import PathFacts
from companion.sandbox.places import Place, contains, relation, within

_TARGETS = ("/bin", "/boot", "/companion", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run",
            "/sbin", "/sys", "/tmp", "/usr", "/var/run")  # fmt: skip # noqa: S108 - names, not use


def problem(
    mount: Mount,
    facts: PathFacts | None,
    bounds: Bounds,
    steering: Iterable[Place],
    writable: Iterable[Place],
) -> Problem | None:
    """Return why a mount is refused, or None.

    Args:
        mount: the mount.
        facts: its directory; None for a volume.
        bounds: what it is judged by.
        steering: the files that the agent is made of.
        writable: the directories that the agent may write to.
    """
    if reason := target_refusal(mount.target):
        return Problem(f"the mount target {quoted(mount.target)} {reason}", "choose another")
    if facts is None:
        return None
    what = f"the mount {quoted(mount.source)}"
    if reason := _refusal(facts, bounds, steering, writable):
        return Problem(f"{what} {reason}", "mount a subdirectory such as ./work")
    if not mount.source.startswith("/") and not facts.inside:
        return Problem(
            f"{what} is outside the project", "give a path inside it, or an absolute path"
        )
    if _is_read_only_at_most(mount, facts, bounds):
        hint = f"mount it read-only: {mount.source}:{mount.target}:ro"
        return Problem(f"{what} belongs to the system, which agents must not change", hint)
    if not mount.read_only and (reason := _read_only_at_most(facts, bounds)):
        hint = f"look at it, or mount it read-only: {mount.source}:{mount.target}:ro"
        return Problem(f"{what} {reason}", hint)
    if facts.kind != "directory":
        return Problem(f"there is no directory {quoted(mount.source)} to mount", "create it")
    return None


def target_refusal(target: str) -> str | None:
    """Return why nothing may be mounted at `target` in the container, or None."""
    path = PurePosixPath(f"/{target.lstrip('/')}")
    if not target.startswith("/") or ".." in path.parts or len(path.parts) == 1:
        return "must be an absolute path below /, without `..`"
    if any(
        path.is_relative_to(tree) or PurePosixPath(tree).is_relative_to(path) for tree in _TARGETS
    ):
        return "belongs to the container's system"
    return None


def _refusal(
    facts: PathFacts,
    bounds: Bounds,
    steering: Iterable[Place],
    writable: Iterable[Place],
) -> str | None:
    ignores_case, reasons = bounds.ignores_case, []
    for guard in bounds.of_mounts(facts.place, steering):
        how = relation(facts.place, guard.place, ignores_case=ignores_case)
        if how and not guard.read_only and guard.refuses(facts.place, how):
            reasons.append((how != "is", guard.reason(how)))
    if reasons:
        return min(reasons, key=lambda found: found[0])[1]  # what it is tells more than the rest
    trees: list[tuple[Place, tuple[Place, ...]]] = [(tree, ()) for tree in writable]
    trees += ((tree, n.holds) for n in bounds.neighbors for tree in n.writes)
    for step in (*facts.links, facts.place):
        is_target = step is facts.place
        others = (t for t, held in trees if t != step and not (is_target and step in held))
        if tree := within(step, others, ignores_case=ignores_case):
            return f"leads through {tree.path}, where an agent can redirect it"
    return None


def _read_only_at_most(facts: PathFacts, bounds: Bounds) -> str | None:
    """Return why an agent must not write to a directory of the user, or None."""
    if facts.git and facts.git.obstacle:
        return facts.git.obstacle
    for place in bounds.searched:
        how = relation(facts.place, place, ignores_case=bounds.ignores_case)
        if how and how != "lies in":
            return f"{how} {place.path}, where your shell looks for programs"
    return None


def _is_read_only_at_most(mount: Mount, facts: PathFacts, bounds: Bounds) -> bool:
    """Tell whether a mount must be read-only and is not: all of the system outside the project."""
    if mount.read_only or contains(bounds.project, facts.place):
        return False
    places = (guard.place for guard in bounds.programs if guard.read_only)
    return any(relation(facts.place, p, ignores_case=bounds.ignores_case) for p in places)
