"""Git facts: looks up the repositories in mounted directories, and makes what protects them.

What an agent could write to before is not trusted: links are not followed, and texts are bounded.
"""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from companion.errors import Code, CompanionError
from companion.sandbox.repositories import (
    COMMON,
    DIRECTORIES,
    GIT,
    OBEYED,
    REMOTES,
    WORKTREE_CONFIG,
    WORKTREES,
    GitFacts,
)
from companion.spec.containers import File
from companion.system import files, open_flags

_LONGEST = 1 << 20
_GITDIR = "gitdir"
_AS_IT_IS = open_flags.NO_LINK | open_flags.NOT_WAITING
"""Flags for opening a file that may be a link or a pipe."""


def find(directory: Path) -> GitFacts | None:
    """Return what of a git repository lies at the top of a directory; None: nothing does.

    A `.git` counts even if git would not take it for a repository: an agent can complete it.

    What cannot be read is an obstacle: an agent can make it so.
    """
    try:
        return _find(directory)
    except OSError as error:
        return GitFacts("", str(directory), obstacle=f"cannot be read: {error.strerror}")


def _find(directory: Path) -> GitFacts | None:
    place = directory / GIT
    found = _kind(place)
    if directory.name == GIT or _is_repository(directory):
        if found is None:
            return _repository(directory, "")
        return GitFacts("", str(directory), obstacle=f"is a repository and has a {GIT}, too")
    if found is None:
        return None
    if found == stat.S_IFLNK:
        return GitFacts(GIT, "", obstacle="has a .git that is a symbolic link")
    return _repository(place, GIT) if found == stat.S_IFDIR else _worktree(place)


def find_again(directory: Path, protected: Iterable[str]) -> GitFacts | None:
    """Return what find() does; a directory that was a repository must still be one.

    Args:
        directory: the directory.
        protected: the directories that were repositories when they were last mounted.
    """
    facts = find(directory)
    if str(directory) not in protected or (facts and not facts.inner):
        return facts
    reason = "was a repository when it was last mounted, and is none any more"
    return GitFacts("", str(directory), obstacle=reason)


def sources(directory: Path, facts: GitFacts | None) -> Iterator[Path]:
    """Yield the paths on which the facts of a directory depend."""
    marks = ("HEAD", "objects", "refs", *OBEYED, *DIRECTORIES)
    yield from (place / name for place in (directory, directory / GIT) for name in marks)
    yield directory / GIT
    if facts and facts.is_worktree:
        yield from (Path(facts.directory, name) for name in (COMMON, _GITDIR, WORKTREE_CONFIG))


def make_mount_points(facts: GitFacts) -> None:
    """Create what is missing of the files and directories that a sandbox gets read-only.

    They mean nothing to git. Remove them with remove_mount_points().

    Raises:
        CompanionError: one cannot be created.
    """
    try:
        for name in () if facts.is_worktree else DIRECTORIES:
            Path(facts.directory, name).mkdir(exist_ok=True)
        for one in facts.files:
            with suppress(FileExistsError):
                if one.path in OBEYED:
                    _create(Path(facts.directory, one.path), one.content)
    except OSError as error:
        what = f"cannot protect {facts.directory} from its agent: {error.strerror}"
        raise CompanionError(what, "mount it read-only (:ro)", code=Code.FILE_ACCESS) from None


def remove_mount_points(directories: Iterable[str], used: Iterable[str] = ()) -> None:
    """Remove what make_mount_points() created in the repositories of mounted directories.

    Directories in `used` are mounted in other sandboxes: what protects their repositories stays.
    """
    kept = {facts.directory for path in used if (facts := find(Path(path)))}
    for directory in directories:
        facts = find(Path(directory))
        if facts is None or facts.is_worktree or facts.obstacle or facts.directory in kept:
            continue
        for name in (COMMON, WORKTREE_CONFIG):
            path = Path(facts.directory, name)
            with suppress(OSError):
                if text_of(path) == OBEYED[name]:
                    path.unlink()
        for name in (WORKTREES, *REMOTES):
            with suppress(OSError):
                Path(facts.directory, name).rmdir()


def can_list(directory: Path) -> bool:
    """Tell whether what is in a directory can be seen; if it is missing, nothing is."""
    try:
        with os.scandir(directory):
            (directory / ".").stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return True


def _create(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, files.READABLE)
    with os.fdopen(handle, "wb") as file:
        file.write(content)


def _is_repository(place: Path) -> bool:
    return all(_is_there(place / name) for name in ("HEAD", "objects", "refs"))


def _is_there(path: Path) -> bool:
    """Tell whether something is there.

    Raises:
        OSError: the system does not tell.
    """
    try:
        path.stat()
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
            return False
        raise
    return True


def _repository(place: Path, inner: str) -> GitFacts:
    real = os.path.realpath(place)
    texts = {name: text_of(place / name) for name in OBEYED}
    if reason := next(_obstacles(place, texts), None):
        return GitFacts(inner, real, obstacle=reason)
    contents = (File(name, OBEYED[name] if text is None else text) for name, text in texts.items())
    return GitFacts(inner, real, tuple(contents))


def _obstacles(place: Path, texts: dict[str, bytes | None]) -> Iterator[str]:
    for name in (*OBEYED, *DIRECTORIES):
        found = _kind(place / name)
        wanted = stat.S_IFDIR if name in DIRECTORIES else stat.S_IFREG
        if found not in {None, wanted}:
            yield f"has a {GIT}/{name} that is no plain file or directory"
        elif found is not None and wanted == stat.S_IFREG and texts[name] is None:
            yield f"has a {GIT}/{name} that cannot be read"
    if (texts[COMMON] or b".").strip() != b".":
        yield f"has a {GIT}/{COMMON}, by which git obeys another directory"


def _worktree(place: Path) -> GitFacts:
    text = text_of(place)
    if text is None or b"\0" in text:
        return GitFacts(GIT, "", obstacle="has a .git that cannot be read")
    own = place.parent / os.fsdecode(text).removeprefix("gitdir: ").rstrip("\r\n")
    real = Path(os.path.realpath(own))
    inner = {name: text_of(real / name) for name in (COMMON, _GITDIR, WORKTREE_CONFIG)}
    if real.parent.name != WORKTREES or not inner[COMMON] or not inner[_GITDIR]:
        return GitFacts(GIT, str(real), (File(GIT, text),))  # of a submodule, for example
    kept = (File(name, content or b"") for name, content in inner.items())
    return GitFacts(GIT, str(real), (File(GIT, text), *kept))


def _kind(path: Path) -> int | None:
    try:
        return stat.S_IFMT(path.lstat().st_mode)
    except OSError:
        return None


def text_of(path: Path, most: int = _LONGEST) -> bytes | None:
    """Return the content of a plain file; None if there is none, or it has more bytes than that.

    A link is not followed, and a pipe not waited for: there is None.
    """
    try:
        handle = os.open(path, os.O_RDONLY | _AS_IT_IS)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        content = file.read(most + 1)
        return content if len(content) <= most else None
