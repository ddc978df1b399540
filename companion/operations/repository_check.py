"""Repository check: what git on the desktop would run or write to because of what an agent left.

Mounts keep agents from changing what git obeys at the top of a repository. This looks for the ways
around that; it runs nothing of the repository.
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from companion.operations import git_obeys
from companion.operations.findings import Finding, Level
from companion.operations.git_obeys import Effort
from companion.project import store
from companion.project.model import Project
from companion.project.record import AgentRecord
from companion.reconcile import git_facts
from companion.sandbox.repositories import CONFIG, GitFacts, stored
from companion.system import files, git
from companion.system.paths import Paths
from companion.system.project_paths import AgentPaths

_EXEC = re.compile(rb"^\s*(x|exec)\s+(.+)$", re.MULTILINE)


def examine(home: Paths) -> Iterator[Finding]:
    """Yield what agents left in the repositories of all projects, for `companion doctor`."""
    found: dict[str, None] = {}
    for project_id, written in store.all_projects(home).items():
        for agent, record in written.agents.items():
            if record.wanted != "gone":
                found |= dict.fromkeys(_of_record(home.project(project_id).agent(agent), record))
    for danger in found:
        yield Finding(Level.WARNING, danger, "look at it before you run git there")


def of_agent(home: Paths, project: Project, agent: str) -> Iterator[str]:
    """Yield what an agent left in the repositories that it could write to."""
    if record := store.of_project(home, project).agents.get(agent):
        yield from _of_record(home.project(project.id).agent(agent), record)


def _of_record(agent_paths: AgentPaths, record: AgentRecord) -> Iterator[str]:
    ever_ran = agent_paths.seccomp.is_dir()
    for directory in record.config.writes:
        copies = agent_paths.git if ever_ran else None
        yield from dangers(Path(directory), copies, record.config.repositories)


def dangers(
    directory: Path,
    copies: Path | None = None,
    repositories: Collection[str] = (),
    effort: Effort | None = None,
) -> Iterator[str]:
    """Yield what to look at in a mounted directory before running git there, one sentence each.

    Args:
        directory: the mounted directory.
        copies: has what git obeyed when the sandbox started; None: that is not known.
        repositories: the directories that were repositories when they were last mounted.
        effort: how much may be looked at; what is left out is said.
    """
    effort = effort or Effort()
    yield from dict.fromkeys(_dangers(directory, copies, repositories, effort))
    if effort.is_spent:
        yield f"{directory}: there is too much to look at: not everything was looked at"


def _dangers(
    directory: Path, copies: Path | None, repositories: Collection[str], effort: Effort
) -> Iterator[str]:
    facts, top = git_facts.find_again(directory, repositories), files.real(directory)
    submodules: tuple[Path, ...] | None = ()
    if facts and facts.obstacle:
        yield f"{directory} {facts.obstacle}"
        return
    if facts:
        own = Path(facts.directory)
        yield from _links(own, effort)
        yield from _unfinished(own)
        yield from map(str, git_obeys.remotes(own, effort))
        yield from _in_the_tree(directory, facts)
        if facts.is_worktree and own.is_relative_to(top):
            yield from map(str, git_obeys.settings_and_hooks(own, effort))
        elif copies and not facts.is_worktree:
            yield from _new(facts, copies, effort)
        if not facts.is_worktree or own.is_relative_to(top):
            yield from map(str, git_obeys.modules(own, effort))
        submodules = git.submodules(top) if facts.inner else ()
    if submodules is None:
        yield f"the index of {directory} cannot be read"
    seen: set[Path] = set()
    below = (place for place in git_obeys.repositories(top, effort) if place != top)
    for place in (*(submodules or ()), *below):
        if place not in seen:
            seen.add(place)
            if not effort.take(repositories=1):
                return
            yield from map(str, git_obeys.at(place, effort))


def _new(facts: GitFacts, copies: Path, effort: Effort) -> Iterator[str]:
    """Yield what git obeys in a repository and did not when its sandbox started."""
    own, copy = Path(facts.directory), copies / stored(facts, CONFIG).file
    if not copy.exists():
        yield from map(str, git_obeys.settings_and_hooks(own, effort))
        return
    known, settings = git.settings(copy) or (), git.settings(own / CONFIG)
    if settings is None and files.status(own / CONFIG):
        yield f"{own / CONFIG} cannot be read"
    for entry in settings or ():
        if entry not in known and git_obeys.runs(*entry):
            yield f"{own / CONFIG}: git obeys {'='.join(entry)}, which is new"


def _links(own: Path, effort: Effort) -> Iterator[str]:
    """Yield what git would write through."""
    every = [*git_obeys.entries(own, effort)]
    if not files.is_link(own / "logs"):
        every += (one for _, found in git_obeys.tree(own / "logs", effort) for one in found)
    for entry in every:
        if entry.is_symlink():
            yield f"{entry.path} is a link: git writes to {files.real(Path(entry.path))}"


def _unfinished(own: Path) -> Iterator[str]:
    for name in ("rebase-merge/git-rebase-todo", "sequencer/todo"):
        path = own / name
        if files.is_file(path):
            content = git_facts.text_of(path)
            if content is None:
                yield f"{path} cannot be read: continuing the rebase may run something"
            for _, command in _EXEC.findall(content or b""):
                text = command.decode(errors="replace")
                yield f"{path}: continuing the rebase runs `{text}`"


def _in_the_tree(directory: Path, facts: GitFacts) -> Iterator[str]:
    """Yield settings that lead to what the agent may write, such as hooks in the work tree."""
    real = files.real(directory)
    for name, value in (
        () if facts.is_worktree else git.settings(Path(facts.directory, CONFIG)) or ()
    ):
        if git_obeys.runs(name, value):
            place = files.real(real / files.expanded(Path(value)))
            if place.is_relative_to(real) and files.status(place):
                yield f"{place}: git uses it ({name}), and the agent may change it"
