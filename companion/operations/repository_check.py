"""Repository check: what git on the desktop would run or write to because of what an agent left.

Mounts keep agents from changing what git obeys at the top of a repository. This looks for the ways
around that; it runs nothing of the repository.
"""

import os
import re
import time
from collections import deque
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

from companion.operations.findings import Finding, Level
from companion.project import store
from companion.project.model import Project
from companion.project.record import AgentRecord
from companion.reconcile import git_facts
from companion.sandbox.repositories import (
    COMMON,
    CONFIG,
    GIT,
    OBEYED,
    REMOTES,
    WORKTREE_CONFIG,
    GitFacts,
    stored,
)
from companion.system import files, git
from companion.system.paths import AgentPaths, Paths

_MOST = 10_000
"""Entries of one directory that are looked at."""
_DIRECTORIES = 100_000
_REPOSITORIES = 500
_SECONDS = 5.0
_RUNS = re.compile(
    r"core\.(fsmonitor|hookspath|sshcommand|editor|pager|askpass|gitproxy|alternaterefscommand)"
    r"|(alias|pager)\..+|filter\..+\.(clean|smudge|process)|diff\.(external|.+\.(command|textconv))"
    r"|merge\..+\.driver|credential(\..+)?\.helper|gpg(\..+)?\.(program|defaultkeycommand)"
    r"|include\.path|includeif\..+\.path|(diff|merge|guit)tool\..+\.(cmd|path)|sequence\.editor"
    r"|uploadpack\.packobjectshook|remote\..+\.(uploadpack|receivepack|vcs)"
    r"|trailer\..+\.(cmd|command)|interactive\.difffilter|init\.templatedir"
)
"""Settings that name a command, or a file or directory with some."""
_PLAIN = {"", "true", "false", "yes", "no", "on", "off", "1", "0"}
_EXEC = re.compile(rb"^\s*(x|exec)\s+(.+)$", re.MULTILINE)
_SAMPLE = ".sample"


class Effort:
    """What the check of one mounted directory may cost: its agent decides how much is there."""

    def __init__(
        self,
        seconds: float = _SECONDS,
        directories: int = _DIRECTORIES,
        repositories: int = _REPOSITORIES,
    ) -> None:
        self._until = time.monotonic() + seconds
        self._directories, self._repositories = directories, repositories
        self.is_spent = False

    def take(self, *, directories: int = 0, repositories: int = 0) -> bool:
        """Tell whether so much more may be looked at."""
        self._directories -= directories
        self._repositories -= repositories
        late = time.monotonic() >= self._until
        self.is_spent |= late or self._directories < 0 or self._repositories < 0
        return not self.is_spent


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
    yield from _dangers(directory, copies, repositories, effort)
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
        yield from _remotes(own, effort)
        yield from _in_the_tree(directory, facts)
        if facts.is_worktree and own.is_relative_to(top):
            yield from _obeyed(own, effort)
        elif copies and not facts.is_worktree:
            yield from _new(facts, copies, effort)
        submodules = git.submodules(top) if facts.inner else ()
    if submodules is None:
        yield f"the index of {directory} cannot be read"
    seen: set[Path] = set()
    for place in (*(submodules or ()), *_repositories_below(top, effort)):
        if place not in seen:
            seen.add(place)
            if not effort.take(repositories=1):
                return
            yield from _inner(place, effort)


def _new(facts: GitFacts, copies: Path, effort: Effort) -> Iterator[str]:
    """Yield what git obeys in a repository and did not when its sandbox started."""
    own, copy = Path(facts.directory), copies / stored(facts, CONFIG).file
    if not copy.exists():
        yield from _obeyed(own, effort)
        return
    known, settings = git.settings(copy) or (), git.settings(own / CONFIG)
    if settings is None and files.status(own / CONFIG):
        yield f"{own / CONFIG} cannot be read"
    for entry in settings or ():
        if entry not in known and _runs(*entry):
            yield f"{own / CONFIG}: git obeys {'='.join(entry)}, which is new"


def _links(own: Path, effort: Effort) -> Iterator[str]:
    """Yield what git would write through."""
    every = [*_entries(own, effort)]
    if not files.is_link(own / "logs"):
        every += (one for _, found in _tree(own / "logs", effort) for one in found)
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
        if _runs(name, value):
            place = files.real(real / files.expanded(Path(value)))
            if place.is_relative_to(real) and files.status(place):
                yield f"{place}: git uses it ({name}), and the agent may change it"


def _repositories_below(top: Path, effort: Effort) -> Iterator[Path]:
    """Yield the repositories in subdirectories, which editors look for and ask for their status."""
    for place, found in _tree(top, effort):
        if place != top and any(entry.name == GIT for entry in found):
            yield place


def _tree(top: Path, effort: Effort) -> Iterator[tuple[Path, list[os.DirEntry[str]]]]:
    """Yield directories with their entries, the upper ones first; follow no link."""
    waiting = deque([top])
    while waiting and effort.take(directories=1):
        place = waiting.popleft()
        found = [*_entries(place, effort)]
        yield place, found
        waiting += (
            Path(entry.path)
            for entry in found
            if entry.name != GIT and entry.is_dir(follow_symlinks=False)
        )


def _entries(directory: Path, effort: Effort) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as found:
            yield from islice(found, _MOST)
            if next(found, None):
                effort.is_spent = True
    except OSError:  # it is missing, or git cannot read it, either
        return


def _inner(place: Path, effort: Effort) -> Iterator[str]:
    """Yield what git would run in a repository below another one.

    `git status` above enters it if it is a submodule.
    """
    found = place / GIT
    if files.is_file(found):
        text = git_facts.text_of(found)
        if text is None:
            yield f"{found} cannot be read"
            return
        found = place / os.fsdecode(text).removeprefix("gitdir: ").rstrip("\r\n")
    if files.status(found):
        yield from _remotes(found, effort)
        yield from _obeyed(found, effort)


def _obeyed(own: Path, effort: Effort) -> Iterator[str]:
    """Yield all that a repository has git run; `own` is its `.git`."""
    common = own / COMMON
    if files.is_file(common) and git_facts.text_of(common) != OBEYED[COMMON]:
        yield f"{own}: git obeys another directory, because of {COMMON}"
    for config in (CONFIG, WORKTREE_CONFIG):
        path = own / config
        entries = git.settings(path) if files.status(path) else ()
        if entries is None:
            yield f"{path} cannot be read"
        for entry in entries or ():
            if _runs(*entry):
                yield f"{path}: git obeys {'='.join(entry)}"
    for hook in _entries(own / "hooks", effort):
        if not hook.name.endswith(_SAMPLE) and os.access(hook, os.X_OK):
            yield f"{hook.path}: git may run it"


def _remotes(own: Path, effort: Effort) -> Iterator[str]:
    """Yield the files that say where `git fetch NAME` and `git push NAME` go."""
    for name in REMOTES:
        for entry in _entries(own / name, effort):
            words = f"`git push {entry.name}` and `git fetch {entry.name}`"
            yield f"{entry.path}: {words} go where it says"


def _runs(name: str, value: str) -> bool:
    return bool(_RUNS.fullmatch(name)) and value not in _PLAIN
