"""Repository check: what git on the desktop would run or write to because of what an agent left.

Mounts keep agents from changing what git obeys at the top of a repository. This looks for the ways
around that; it runs nothing of the repository.
"""

import re
import shlex
from collections.abc import Collection, Iterator
from pathlib import Path

from companion.errors import CompanionError
from companion.operations import git_changes
from companion.operations.findings import Finding, Level
from companion.project import store
from companion.project.model import Project
from companion.project.record import AgentRecord
from companion.reconcile import git_facts, git_obeys
from companion.reconcile.git_obeys import Effort
from companion.sandbox.repositories import COMMON, CONFIG, DIRECTORIES, GitFacts
from companion.system import files, git, plain
from companion.system.git_questions import Mark
from companion.system.paths import Paths
from companion.system.project_paths import AgentPaths

_EXEC = re.compile(r"^\s*(x|exec)\s+(.+)$", re.MULTILINE)
_STRATEGIES = {"", "octopus", "ort", "ours", "recursive", "resolve", "subtree"}
"""Git's own ways to merge; any other one is a program."""
_WRITTEN = ("info", "logs", "refs", "rr-cache")
"""Directories of a repository that git writes to at any depth."""
_REPLACED, _ANY = re.compile(rb" refs/replace/"), re.compile(rb".")
_INCLUDED = re.compile(r"include\.path|includeif\..+\.path")
"""Settings with a path that is relative to the configuration."""
_PATHS = re.compile(rf"{_INCLUDED.pattern}|core\.hookspath|init\.templatedir")
"""Settings with a path; others have a command."""
_LONGEST_REFS = 64 << 20
"""Bytes of packed-refs that are read: a million branches."""
_NAMED = 3
_MOST = 20
_GLANCE = 1.0
"""Seconds."""


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


def at_a_glance(home: Paths, project: Project, agent: str) -> Iterator[str]:
    """Yield what of_agent() does, as far as it is found within a second per directory.

    A second that was not enough is said.
    """
    if record := store.of_project(home, project).agents.get(agent):
        yield from _of_record(home.project(project.id).agent(agent), record, _GLANCE)


def _of_record(
    agent_paths: AgentPaths, record: AgentRecord, seconds: float | None = None
) -> Iterator[str]:
    try:
        changes = git_changes.of(agent_paths)
    except CompanionError as error:
        yield str(error)
    else:
        yield from changes.sentences(_MOST)
    for directory in record.config.writes:
        effort = Effort(seconds=seconds) if seconds else None
        yield from dangers(Path(directory), record.config.repositories, effort)


def dangers(
    directory: Path,
    repositories: Collection[str] = (),
    effort: Effort | None = None,
) -> Iterator[str]:
    """Yield what to look at in a mounted directory before running git there, one sentence each.

    What git obeys at its top is protected, so git_changes tells what is new of it.

    Args:
        directory: the mounted directory.
        repositories: the directories that were repositories when they were last mounted.
        effort: how much may be looked at; what is left out is said.
    """
    effort = effort or Effort()
    found = _dangers(directory, repositories, effort)
    yield from dict.fromkeys(map(plain.line, found))
    if effort.is_spent:
        yield f"{directory}: there is too much to look at: not everything was looked at"


def _dangers(directory: Path, repositories: Collection[str], effort: Effort) -> Iterator[str]:
    facts, top = git_facts.find_again(directory, repositories), files.real(directory)
    submodules: list[str] = []
    if facts and facts.obstacle:
        yield f"{directory} {facts.obstacle}"
        return
    if facts:
        own = Path(facts.directory)
        yield from _links(own, effort)
        yield from _unfinished(own, effort)
        yield from _other_commits(_common(facts), effort)
        yield from map(str, git_obeys.remotes(own, effort))
        yield from _in_the_tree(directory, facts, effort)
        if facts.is_worktree and own.is_relative_to(top):
            yield from map(str, git_obeys.settings_and_hooks(own, effort))
        if not facts.is_worktree or own.is_relative_to(top):
            yield from map(str, git_obeys.modules(own, effort))
        seconds = effort.left()
        marks = git.marks(top, seconds) if facts.inner and seconds else ()
        if marks is None and effort.left():
            yield f"the index of {directory} cannot be read"
        yield from _unwatched(top, own, marks or ())
        submodules = [mark.name for mark in marks or () if mark.is_repository]
    seen: set[Path] = set()
    below = (place for place in git_obeys.repositories(top, effort) if place != top)
    for place in (*(top / one for one in submodules), *below):
        if place not in seen:
            seen.add(place)
            if not effort.take(repositories=1):
                return
            yield from map(str, git_obeys.at(place, effort))


def _links(own: Path, effort: Effort) -> Iterator[str]:
    """Yield what git would write through."""
    every = [*git_obeys.entries(own, effort), *git_obeys.entries(own / "objects", effort)]
    for name in _WRITTEN:
        if not files.is_link(own / name):
            every += (one for _, found in git_obeys.tree(own / name, effort) for one in found)
    for entry in every:
        if entry.is_symlink():
            yield f"{entry.path} is a link: git writes to {files.real(Path(entry.path))}"


def _unfinished(own: Path, effort: Effort) -> Iterator[str]:
    """Yield what `git rebase --continue` and its like would run."""
    for name in ("rebase-merge/git-rebase-todo", "sequencer/todo", "rebase-merge/strategy"):
        path = own / name
        content = git_facts.text_of(path)
        if content is None and files.status(path):
            yield f"{path} cannot be read: continuing the rebase may run something"
        text = (content or b"").decode(errors="replace")
        if path.name != "strategy":
            for _, command in _EXEC.findall(text):
                yield f"{path}: continuing the rebase runs `{command}`"
        elif text.strip() not in _STRATEGIES:
            yield f"{path}: continuing the rebase runs `git merge-{text.strip()}`"
    options = own / "sequencer/opts"
    settings = git_obeys.settings(options, effort)
    if settings is None:
        yield f"{options} cannot be read: continuing may run something"
    for key, value in settings or ():
        if key == "options.strategy" and value not in _STRATEGIES:
            yield f"{options}: continuing runs `git merge-{value}`"


def _other_commits(common: Path, effort: Effort) -> Iterator[str]:
    """Yield by what git shows other commits than there are."""
    shown = "`git log` and `git diff` show other commits than the ones that are pushed"
    refs = common / "refs/replace"
    if [*git_obeys.entries(refs, effort)]:
        yield f"{refs}: {shown}"
    for name, sign in (("info/grafts", _ANY), ("packed-refs", _REPLACED)):
        path = common / name
        content = git_facts.text_of(path, _LONGEST_REFS)
        if content is None and files.status(path):
            yield f"{path} cannot be read: `git log` and `git diff` may show other commits"
        elif sign.search(content or b""):
            yield f"{path}: {shown}"


def _unwatched(top: Path, own: Path, marks: Collection[Mark]) -> Iterator[str]:
    """Yield which files are marked so that git shows no change of them."""
    unseen = [mark.name for mark in marks if mark.is_unwatched and files.inode(top / mark.name)]
    if unseen:
        more = f" and {len(unseen) - _NAMED} more" if len(unseen) > _NAMED else ""
        yield (
            f"{own / 'index'}: `git status` and `git diff` show no change of"
            f" {', '.join(unseen[:_NAMED])}{more} (assume-unchanged or skip-worktree)"
        )


def _common(facts: GitFacts) -> Path:
    """Return the repository: that of a linked worktree keeps `facts.directory` below itself."""
    own = Path(facts.directory)
    is_linked = facts.is_worktree and any(file.path == COMMON for file in facts.files)
    return own.parent.parent if is_linked else own


def _in_the_tree(directory: Path, facts: GitFacts, effort: Effort) -> Iterator[str]:
    """Yield settings that lead to what the agent may write, such as hooks in the work tree."""
    real, config = files.real(directory), _common(facts) / CONFIG
    if facts.is_worktree and config.is_relative_to(real):
        return
    fixed = [files.real(config.parent / name) for name in (CONFIG, *DIRECTORIES)]
    for name, value in git_obeys.settings(config, effort) or ():
        if not git_obeys.runs(name, value):
            continue
        base = config.parent if _INCLUDED.fullmatch(name) else real
        words = [value] if _PATHS.fullmatch(name) else _places(value, base)
        for place in dict.fromkeys(files.real(base / files.expanded(Path(w))) for w in words):
            is_kept = any(place.is_relative_to(one) for one in fixed)
            if place != real and place.is_relative_to(real) and files.status(place) and not is_kept:
                yield f"{place}: git uses it ({name}), and the agent may change it"


def _places(command: str, base: Path) -> Iterator[str]:
    """Yield what of a command may be a path: all of it, or a word.

    A word without `/` is one only if there is such a file. The first one never is: it is looked up
    in PATH.
    """
    try:
        words = shlex.split(command.removeprefix("!"))
    except ValueError:  # a quotation mark of the shell's is not closed
        words = command.split()
    yield from (word for word in (command, *words) if "/" in word)
    yield from (word for word in words[1:] if files.is_file(base / word))
