"""Path policy: the files that a sandbox may be made of, and those that may configure it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from companion.config.origin import Origin
from companion.errors import Position, Problem, quoted
from companion.plugins.contribution import Contribution, ProjectFile
from companion.sandbox import mount_policy
from companion.sandbox.bounds import Bounds, guards
from companion.sandbox.model import PathFacts, mount_file, project_files
from companion.sandbox.places import Guard, Place, contains, relation, within

_PRIVATE_KEY = "which is a private key"


def steered_by(
    contribution: Contribution, found: Mapping[ProjectFile, PathFacts]
) -> Iterator[Place]:
    """Yield the places of all files that become part of the sandbox, links included."""
    for facts in (found[file] for file in project_files(contribution)):
        if facts.kind != "missing":
            yield from (*facts.links, facts.place)


def writes(contribution: Contribution, found: Mapping[ProjectFile, PathFacts]) -> tuple[Place, ...]:
    """Return the desktop directories that an agent may write to."""
    binds = (mount for mount in contribution.mounts if not mount.is_volume and not mount.read_only)
    return tuple(found[mount_file(mount)].place for mount in binds)


def holds(contribution: Contribution, found: Mapping[ProjectFile, PathFacts]) -> Iterator[str]:
    """Yield the repositories in these directories, which are mount points in the sandbox."""
    for mount in contribution.mounts:
        git = None if mount.is_volume or mount.read_only else found[mount_file(mount)].git
        if git and not git.is_worktree:
            yield git.directory


def repositories(
    contribution: Contribution, found: Mapping[ProjectFile, PathFacts]
) -> Iterator[str]:
    """Yield those of these directories that are repositories themselves."""
    writable = set(map(str, (place.path for place in writes(contribution, found))))
    yield from (path for path in holds(contribution, found) if path in writable)


def check_control(control: Iterable[Place], bounds: Bounds) -> Iterator[Problem]:
    """Yield a problem for each neighbor that may write to a file that configures the agent."""
    places, ignores_case = tuple(control), bounds.ignores_case
    for neighbor in bounds.neighbors:
        pairs = ((p, within(p, neighbor.writes, ignores_case=ignores_case)) for p in places)
        if exposed := next(((place, tree) for place, tree in pairs if tree), None):
            place, tree = exposed
            what = f"{place.path} lies in {tree.path}, which is writable for {neighbor.name}"
            yield Problem(what, "keep an agent's configuration out of other agents' mounts")


def check_configuring(own: Mapping[str, PathFacts], bounds: Bounds) -> Iterator[Problem]:
    """Yield a problem for each file that must not configure the agent as it is.

    `own` are agent.yaml, fleet.yaml and the files of secrets, by their names in messages.
    """
    for name, facts in own.items():
        others = (
            *guards(bounds.siblings, "which is another agent"),
            *bounds.of_projects(facts.place),
        )
        if problem := configuring_problem(name, facts, others, ignores_case=bounds.ignores_case):
            yield problem


def configuring_problem(
    name: str, facts: PathFacts, others: Iterable[Guard] = (), *, ignores_case: bool = False
) -> Problem | None:
    """Return why a file must not configure the agent, or None.

    Secrets are read from plain files of the project only. `others` are places that belong to other
    agents and projects.
    """
    position = Position(name, 1, 1)
    if facts.hard_linked:
        return _several_names(name)._replace(place=position)
    if not facts.holds_secrets or facts.kind == "missing":
        return None
    if facts.kind != "file":
        return Problem(f"{name} is a {facts.kind}", "make it a plain file", position)
    reason = _refusal(facts, others, ignores_case=ignores_case)
    if reason or not facts.inside:
        what = f"{name} {reason or f'leads to {facts.real}, out of the project'}"
        return Problem(what, "replace it with a file of the project", position)
    return None


def check_files(
    contribution: Contribution, found: Mapping[ProjectFile, PathFacts], bounds: Bounds
) -> Iterator[tuple[Origin, Problem]]:
    """Yield the origin and a problem for each path that is missing or out of bounds."""
    overlays = set(contribution.overlays)
    keys = {server.host_key for server in contribution.ssh if server.host_key}
    for file in project_files(contribution):
        others = (Guard(found[key].place, _PRIVATE_KEY, key.path) for key in keys - {file})
        guarded = (*bounds.of_content(found[file].place), *others)
        wanted: Literal["file", "directory"] = "directory" if file in overlays else "file"
        if problem := _file_problem(file, found[file], wanted, guarded, bounds):
            yield file.origin, problem
    steering = tuple(steered_by(contribution, found))
    writable = writes(contribution, found)
    for mount in contribution.mounts:
        facts = None if mount.is_volume else found[mount_file(mount)]
        if problem := mount_policy.problem(mount, facts, bounds, steering, writable):
            yield mount.origin, problem


def _file_problem(
    file: ProjectFile,
    found: PathFacts,
    wanted: Literal["file", "directory"],
    guarded: Iterable[Guard],
    bounds: Bounds,
) -> Problem | None:
    if not (found.inside or any(contains(found.place, own) for own in bounds.control)):
        return Problem(f"{quoted(file.path)} is outside the project", "give a path inside it")
    if found.kind == "missing":
        return Problem(f"there is no {wanted} {quoted(file.path)}", "create it or correct the path")
    if reason := _refusal(found, guarded, ignores_case=bounds.ignores_case):
        return Problem(f"{quoted(file.path)} {reason}", f"give a {wanted} of its own")
    if found.kind != wanted:
        return Problem(f"{quoted(file.path)} is a {found.kind}", f"give a {wanted}")
    if found.hard_linked:
        return _several_names(quoted(file.path) if wanted == "file" else found.hard_linked)
    return found.obstacle


def _refusal(found: PathFacts, guarded: Iterable[Guard], *, ignores_case: bool) -> str | None:
    for guard in guarded:
        if how := relation(found.place, guard.place, ignores_case=ignores_case):
            through_link = how == "is" and found.links
            return guard.reason("leads to" if through_link else how)
    return None


def _several_names(name: str) -> Problem:
    what = f"{name} has several names (hard links), so it may change by another one"
    return Problem(what, "replace it with a copy of itself")
