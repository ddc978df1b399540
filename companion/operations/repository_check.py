"""Repository check: what git on the desktop would run or write to because of what an agent left.

Mounts keep agents from changing what git obeys at the top of a repository. This looks for the ways
around that; it runs nothing of the repository.
"""

import os
import re
from collections.abc import Iterator
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
    WORKTREE_CONFIG,
    GitFacts,
    stored,
)
from companion.system import files, git
from companion.system.paths import AgentPaths, Paths

_MOST = 10_000
"""Files of a log that are looked at."""
_DIRECTORIES = 20_000
"""Directories in which repositories are looked for."""
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
        yield from dangers(Path(directory), agent_paths.git if ever_ran else None)


def dangers(directory: Path, copies: Path | None = None) -> Iterator[str]:
    """Yield what to look at in a mounted directory before running git there, one sentence each.

    `copies` has what git obeyed when the sandbox started; None: that is not known.
    """
    facts, top = git_facts.find(directory), files.real(directory)
    submodules: tuple[Path, ...] | None = ()
    if facts and facts.obstacle:
        yield f"{directory} {facts.obstacle}"
        return
    if facts:
        own = Path(facts.directory)
        yield from _links(own)
        yield from _unfinished(own)
        yield from _in_the_tree(directory, facts)
        if copies and not facts.is_worktree:
            yield from _new(facts, copies)
        submodules = git.submodules(top) if facts.inner else ()
    if submodules is None:
        yield f"the index of {directory} cannot be read"
    for place in dict.fromkeys((*(submodules or ()), *_repositories_below(top))):
        yield from _inner(place)


def _new(facts: GitFacts, copies: Path) -> Iterator[str]:
    """Yield what git obeys in a repository and did not when its sandbox started."""
    own, copy = Path(facts.directory), copies / stored(facts, CONFIG).file
    if not copy.exists():
        yield from _obeyed(own)
        return
    known = git.settings(copy) or ()
    for entry in git.settings(own / CONFIG) or ():
        if entry not in known and _runs(*entry):
            yield f"{own / CONFIG}: git obeys {'='.join(entry)}, which is new"


def _links(own: Path) -> Iterator[str]:
    """Yield what git would write through."""
    logs = (Path(top, name) for top, _, names in os.walk(own / "logs") for name in names)
    for number, path in enumerate((*own.iterdir(), *logs)):
        if number == _MOST:
            return
        if path.is_symlink():
            yield f"{path} is a link: git writes to {path.readlink()}"


def _unfinished(own: Path) -> Iterator[str]:
    for name in ("rebase-merge/git-rebase-todo", "sequencer/todo"):
        path = own / name
        if path.is_file():
            for _, command in _EXEC.findall(files.read_bytes(path)):
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
            if place.is_relative_to(real) and place.exists():
                yield f"{place}: git uses it ({name}), and the agent may change it"


def _repositories_below(top: Path) -> Iterator[Path]:
    """Yield the repositories in subdirectories, which editors look for and ask for their status."""
    for number, (place, folders, names) in enumerate(os.walk(top)):
        if number == _DIRECTORIES:
            return
        if number and GIT in {*folders, *names}:
            yield Path(place)
        folders[:] = [name for name in folders if name != GIT]


def _inner(place: Path) -> Iterator[str]:
    """Yield what git would run in a repository below another one.

    `git status` above enters it if it is a submodule.
    """
    found = place / GIT
    if found.is_file():
        line = os.fsdecode(files.read_bytes(found)).removeprefix("gitdir: ").rstrip("\r\n")
        found = place / line
    if found.is_dir():
        yield from _obeyed(found)


def _obeyed(own: Path) -> Iterator[str]:
    """Yield all that a repository has git run; `own` is its `.git`."""
    common = own / COMMON
    if common.is_file() and files.read_bytes(common) != OBEYED[COMMON]:
        yield f"{own}: git obeys another directory, because of {COMMON}"
    for config in (CONFIG, WORKTREE_CONFIG):
        path = own / config
        entries = git.settings(path) if path.exists() else ()
        if entries is None:
            yield f"{path} cannot be read"
        for entry in entries or ():
            if _runs(*entry):
                yield f"{path}: git obeys {'='.join(entry)}"
    for hook in (own / "hooks").glob("*"):
        if hook.suffix != _SAMPLE and os.access(hook, os.X_OK):
            yield f"{hook}: git may run it"


def _runs(name: str, value: str) -> bool:
    return bool(_RUNS.fullmatch(name)) and value not in _PLAIN
