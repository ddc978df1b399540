"""What the paths of a config turn out to be on disk."""

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
    """Look at every path that a config names: what it is, where it really lies, what is in it."""
    found = {file: _find(ref, file, content=True) for file in project_files(contribution)}
    return found | {file: _find(ref, file, content=False) for file in mount_files(contribution)}


def control_files(ref: AgentRef) -> tuple[str, ...]:
    """Return what steers an agent by its name, with every link on the way: it may not write there.

    What its config names comes on top.
    """
    own = (ref.config, ref.project.fleet, *ref.env_files, ref.project.build)
    return tuple(dict.fromkeys(p for path in own for p in (str(path), *_way(path))))


def others_of_fleet(ref: AgentRef, agents: Iterable[str]) -> tuple[str, ...]:
    """Return the directories of an agent's fellows; `agents` are those of the whole fleet."""
    others = (ref.project.directory / name for name in agents if name != ref.folder)
    return tuple(dict.fromkeys(p for path in others for p in (str(path), *_way(path))))


def path_of(ref: AgentRef, file: ProjectFile) -> Path:
    """Return what a config means by a path: what a fleet shares starts at the fleet's directory."""
    named = files.expanded(Path(file.path))
    return (ref.project.directory if file.origin.is_shared else ref.directory) / named


def _find(ref: AgentRef, file: ProjectFile, *, content: bool) -> PathFacts:
    whole, path = ref.project.directory, path_of(ref, file)
    real = files.real(path)
    inside = real.is_relative_to(whole) and real not in {whole, ref.directory}
    links = tuple(_links(path))
    status = files.status(real)
    if status is None:
        return PathFacts("missing", str(real), inside, links)
    read = content and inside
    if stat.S_ISDIR(status.st_mode):
        return PathFacts("directory", str(real), inside, links, _whole_tree(real) if read else ())
    single = (File("", files.read_bytes(real)),) if read and stat.S_ISREG(status.st_mode) else ()
    return PathFacts("file", str(real), inside, links, single)


def _way(path: Path) -> tuple[str, ...]:
    """Return where the links lie that lead to a path, and where it really is."""
    return (*_links(path), str(files.real(path)))


def _links(path: Path) -> Iterator[str]:
    """Yield where each symbolic link really lies that an absolute path leads through."""
    place, left = Path(path.anchor), list(reversed(path.parts[1:]))
    followed = 0
    while left and followed < _MOST_LINKS:
        step = place / left.pop()
        try:
            target = step.readlink()
        except OSError:  # it is none, or no path at all
            place = step.parent.parent if step.name == ".." else step
            continue
        yield str(step)
        followed += 1
        place = Path(target.anchor) if target.is_absolute() else place
        left += reversed(target.parts[1:] if target.is_absolute() else target.parts)


def _whole_tree(root: Path) -> tuple[File, ...]:
    try:
        return tuple(_tree(root))
    except OSError as error:
        what = f"cannot read all of {root}: {error.strerror}"
        raise CompanionError(what, "check what is in it") from None


def _tree(root: Path) -> Iterator[File]:
    """Yield a directory's files, sorted; symlinks are refused: they could lead anywhere."""
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
