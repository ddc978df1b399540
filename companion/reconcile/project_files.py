"""Project files: resolves the paths of a config on disk, and reads their contents."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from companion.errors import CompanionError
from companion.plugins.contribution import Contribution, ProjectFile
from companion.project.model import AgentRef
from companion.sandbox.model import PathFacts, mount_files, project_files
from companion.spec.containers import File
from companion.system import files

MAX_OVERLAY = 64 * 1024 * 1024


MAX_OVERLAY_FILES = 10_000


_MOST_LINKS = 40  # as Linux


def find(ref: AgentRef, contribution: Contribution) -> dict[ProjectFile, PathFacts]:
    """Return the kind, real path and content of every path that a config names."""
    found = {file: _find(ref, file, content=True) for file in project_files(contribution)}
    return found | {file: _find(ref, file, content=False) for file in mount_files(contribution)}


def control_files(ref: AgentRef) -> tuple[str, ...]:
    """Return the files that control an agent, and every link to them: it may not write there.

    Files that its config names are not included.
    """
    own = (ref.config, ref.project.fleet, *ref.env_files, ref.project.build)
    return tuple(dict.fromkeys(p for path in own for p in (str(path), *_real_paths(path))))


def others_of_fleet(ref: AgentRef, agents: Iterable[str]) -> tuple[str, ...]:
    """Return the directories of an agent's siblings; `agents` are all names in the fleet."""
    others = (ref.project.directory / name for name in agents if name != ref.folder)
    return tuple(dict.fromkeys(p for path in others for p in (str(path), *_real_paths(path))))


def path_of(ref: AgentRef, file: ProjectFile) -> Path:
    """Return the path that a config names, relative to the fleet's directory if it is shared."""
    named = files.expanded(Path(file.path))
    return (ref.project.directory if file.origin.is_shared else ref.directory) / named


def _find(ref: AgentRef, file: ProjectFile, *, content: bool) -> PathFacts:
    project_directory, path = ref.project.directory, path_of(ref, file)
    real = files.real(path)
    inside = real.is_relative_to(project_directory) and real not in {
        project_directory,
        ref.directory,
    }
    links = tuple(_links(path))
    status = files.status(real)
    if status is None:
        return PathFacts("missing", str(real), inside, links)
    read = content and inside
    if stat.S_ISDIR(status.st_mode):
        return PathFacts("directory", str(real), inside, links, _read_tree(real) if read else ())
    single = (File("", files.read_bytes(real)),) if read and stat.S_ISREG(status.st_mode) else ()
    return PathFacts("file", str(real), inside, links, single)


def _real_paths(path: Path) -> tuple[str, ...]:
    """Return the real paths of all links to a path, and its own real path."""
    return (*_links(path), str(files.real(path)))


def _links(path: Path) -> Iterator[str]:
    """Yield the real path of each symbolic link in an absolute path."""
    current, remaining = Path(path.anchor), list(reversed(path.parts[1:]))
    followed = 0
    while remaining and followed < _MOST_LINKS:
        candidate = current / remaining.pop()
        try:
            target = candidate.readlink()
        except OSError:  # not a link, or missing
            current = candidate.parent.parent if candidate.name == ".." else candidate
            continue
        yield str(candidate)
        followed += 1
        current = Path(target.anchor) if target.is_absolute() else current
        remaining += reversed(target.parts[1:] if target.is_absolute() else target.parts)


def _read_tree(root: Path) -> tuple[File, ...]:
    try:
        return tuple(_tree(root))
    except OSError as error:
        what = f"cannot read all of {root}: {error.strerror}"
        raise CompanionError(what, "check what is in it") from None


def _tree(root: Path) -> Iterator[File]:
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
            total += path.stat().st_size
            if total > MAX_OVERLAY:
                raise CompanionError(f"{root} holds more than 64 MiB", "mount it instead")
            mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            yield File(path.relative_to(root).as_posix(), files.read_bytes(path), mode)
