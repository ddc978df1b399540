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
from companion.reconcile import git_facts
from companion.sandbox.repositories import COMMON, CONFIG, GIT, WORKTREE_CONFIG, GitFacts
from companion.system import files, git
from companion.system.paths import Paths

_MOST = 10_000
"""Files of a log that are looked at."""
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
    known = store.all_projects(home).values()
    records = (record for written in known for record in written.agents.values())
    for directory in dict.fromkeys(path for record in records for path in record.config.writes):
        for danger in dangers(Path(directory)):
            yield Finding(Level.WARNING, danger, "look at it before you run git there")


def of_agent(home: Paths, project: Project, agent: str) -> Iterator[str]:
    """Yield what an agent left in the repositories that it could write to."""
    record = store.of_project(home, project).agents.get(agent)
    for directory in record.config.writes if record else ():
        yield from dangers(Path(directory))


def dangers(directory: Path) -> Iterator[str]:
    """Yield what to look at in a mounted directory before running git there, one sentence each."""
    facts = git_facts.find(directory)
    if facts is None:
        return
    if facts.obstacle:
        yield f"{directory} {facts.obstacle}"
        return
    own = Path(facts.directory)
    yield from _links(own)
    yield from _unfinished(own)
    yield from _in_the_tree(directory, facts)
    inner = git.submodules(files.real(directory)) if facts.inner else ()
    if inner is None:
        yield f"the index of {directory} cannot be read"
    for place in inner or ():
        yield from _submodule(place)


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
        if _RUNS.fullmatch(name) and value not in _PLAIN:
            place = files.real(real / files.expanded(Path(value)))
            if place.is_relative_to(real) and place.exists():
                yield f"{place}: git uses it ({name}), and the agent may change it"


def _submodule(place: Path) -> Iterator[str]:
    """Yield what `git status` above would run in a submodule."""
    found = place / GIT
    if found.is_file():
        line = os.fsdecode(files.read_bytes(found)).removeprefix("gitdir: ").rstrip("\r\n")
        found = place / line
    if not found.is_dir():
        return
    if (found / COMMON).exists():
        yield f"{place}: git status obeys {found / COMMON} there"
    for config in (CONFIG, WORKTREE_CONFIG):
        path = found / config
        entries = git.settings(path) if path.exists() else ()
        if entries is None:
            yield f"{path} cannot be read"
        for name, value in entries or ():
            if _RUNS.fullmatch(name) and value not in _PLAIN:
                yield f"{place}: git status obeys {name}={value} there"
    for hook in (found / "hooks").glob("*"):
        if hook.suffix != _SAMPLE and os.access(hook, os.X_OK):
            yield f"{place}: git status may run {hook}"
