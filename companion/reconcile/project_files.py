"""Project files: resolves the paths of a config on disk, and reads their contents."""

import os
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from companion.errors import CompanionError, Problem
from companion.plugins.contribution import Contribution, ProjectFile
from companion.project.model import AgentRef
from companion.reconcile import git_facts
from companion.reconcile.locate import Locator
from companion.sandbox.model import PathFacts, mount_files, project_files
from companion.sandbox.places import Place
from companion.spec.containers import File
from companion.system import files, links

MAX_OVERLAY = 64 * 1024 * 1024


MAX_OVERLAY_FILES = 10_000
_GIT = ".git"
"""Whoever can write to it chooses what the user's own git runs."""


def find(
    ref: AgentRef,
    contribution: Contribution,
    locator: Locator,
    repositories: Collection[str] = (),
) -> dict[ProjectFile, PathFacts]:
    """Return the kind, place and content of every path that a config names.

    `repositories` are the directories that were repositories when they were last mounted.
    """

    def facts(file: ProjectFile, *, content: bool) -> PathFacts:
        return _facts(ref, path_of(ref, file), locator, content=content)

    found = {file: facts(file, content=True) for file in project_files(contribution)}
    mounted = {file: facts(file, content=False) for file in mount_files(contribution)}
    return found | {file: _with_git(one, repositories) for file, one in mounted.items()}


def configuring(ref: AgentRef, locator: Locator) -> dict[str, PathFacts]:
    """Return the files that configure an agent, by their names in messages; without contents."""
    own = {ref.config: False, ref.project.fleet: False, **dict.fromkeys(ref.env_files, True)}
    return {
        ref.named(path): replace(_facts(ref, path, locator, content=False), holds_secrets=secret)
        for path, secret in own.items()
    }


def control_files(ref: AgentRef, locator: Locator) -> tuple[Place, ...]:
    """Return the files that control an agent, and every link to them: it may not write there.

    Files that its config names are not included.
    """
    git = dict.fromkeys(directory / _GIT for directory in (ref.project.directory, ref.directory))
    own = (ref.config, ref.project.fleet, *ref.env_files, ref.project.build, *git)
    return _places(own, locator)


def others_of_fleet(ref: AgentRef, agents: Iterable[str], locator: Locator) -> tuple[Place, ...]:
    """Return the directories of an agent's siblings; `agents` are all names in the fleet."""
    others = (ref.project.directory / name for name in agents if name != ref.folder)
    return _places(others, locator)


def path_of(ref: AgentRef, file: ProjectFile) -> Path:
    """Return the path that a config names, relative to the fleet's directory if it is shared."""
    named = files.expanded(Path(file.path))
    return (ref.project.directory if file.origin.is_shared else ref.directory) / named


def _places(paths: Iterable[Path], locator: Locator) -> tuple[Place, ...]:
    """Return where paths and all links to them lie."""
    every = (
        place
        for path in paths
        for place in (
            locator.entry(path),
            *map(locator.entry, links.on_path(path)),
            locator.place(path),
        )
    )
    return tuple(dict.fromkeys(every))


def _with_git(facts: PathFacts, repositories: Collection[str]) -> PathFacts:
    if facts.kind != "directory":
        return facts
    return replace(facts, git=git_facts.find_again(Path(facts.real), repositories))


def _facts(ref: AgentRef, path: Path, locator: Locator, *, content: bool) -> PathFacts:
    project_directory, place = ref.project.directory, locator.place(path)
    real = Path(place.path)
    inside = real.is_relative_to(project_directory) and real not in {
        project_directory,
        ref.directory,
    }
    through = tuple(locator.entry(link) for link in links.on_path(path))
    status = files.status(real)
    if status is None:
        return PathFacts("missing", place, inside, through)
    if stat.S_ISREG(status.st_mode):
        read = (File("", files.read_bytes(real)),) if content and inside else ()
        several = str(real) if status.st_nlink > 1 else ""
        return PathFacts("file", place, inside, through, read, hard_linked=several)
    if not stat.S_ISDIR(status.st_mode):
        return PathFacts("special file", place, inside, through)
    if not content or not inside:
        return PathFacts("directory", place, inside, through)
    tree, obstacle, several = _read_tree(real)
    return PathFacts("directory", place, inside, through, tree, obstacle, several)


def _read_tree(root: Path) -> tuple[tuple[File, ...], Problem | None, str]:
    """Return a directory's files, what is wrong with one, and the path of one with hard links."""
    several: list[str] = []
    try:
        return tuple(_tree(root, several)), None, next(iter(several), "")
    except OSError as error:
        what = f"cannot read all of {root}: {error.strerror}"
        return (), Problem(what, "check what is in it"), ""
    except CompanionError as error:
        return (), error.problems[0], ""


def _tree(root: Path, hard_linked: list[str]) -> Iterator[File]:
    """Yield a directory's files, sorted; refuse symlinks, which could point anywhere."""
    total = count = 0
    for directory, folders, names in os.walk(root):
        folders.sort()
        count += len(folders) + len(names)
        if count > MAX_OVERLAY_FILES:
            raise CompanionError(f"{root} holds more than 10,000 files", "mount it instead")
        for name in sorted((*names, *folders)):
            path = Path(directory, name)
            if path.is_symlink():
                raise CompanionError(f"{path} is a symbolic link", "copy what it points to")
            if not path.is_file():
                continue
            status = path.stat()
            total += status.st_size
            if total > MAX_OVERLAY:
                raise CompanionError(f"{root} holds more than 64 MiB", "mount it instead")
            if status.st_nlink > 1:
                hard_linked.append(str(path))
            mode = 0o755 if status.st_mode & 0o100 else 0o644
            yield File(path.relative_to(root).as_posix(), files.read_bytes(path), mode)
