"""Git: whether a file's text came with a checkout, asked without trusting the repository.

Nothing of the repository decides how git runs. Its configuration is never read: git gets an empty
repository of ours that borrows the other one's objects and index. So hooks, fsmonitor, filters,
textconv, aliases, pagers, signing programs, includes and promised remotes do not exist for it.
"""

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

from companion.system import files, open_flags
from companion.system.git_questions import (
    SECONDS,
    CannotTellError,
    Entry,
    Git,
    Mark,
    Repository,
    is_same,
)

_LONGEST = 64 * 1024 * 1024
"""Bytes of a file that is read: packed-refs of a million branches."""
_LONGEST_SETTINGS = 1 << 20
_LINKS = 5
"""How often a name of git may stand for another one, as in git itself."""
_DIGESTS = {40: "sha1", 64: "sha256"}
_OTHER_SYSTEMS = (".jj", ".hg", ".svn", ".bzr", ".fslckout", "_FOSSIL_", "_darcs", ".pijul")
_REF = re.compile(r"refs(/(?!\.)[^/\0]+)+")


def committed(path: Path) -> bool:
    """Tell whether a file's text may have come with a checkout, rather than from the user's hand.

    True if git tracks the file and its text is that of HEAD or of the index: git writes files
    first, then the index, then HEAD. True as well while git is at work, and if there is no answer
    (git is missing, the repository is damaged, another version control system). So False can be
    relied on: there is no repository, or git does not track the file, or its text was changed.

    Conversions (.gitattributes, LFS, line ends) do not hide a checkout: a file with the time and
    size that the index remembers was not changed since git wrote it. Links are followed. A
    directory's files count as one text: True if git tracks anything in it.
    """
    try:
        places = {files.real(path.parent) / path.name, files.real(path)}
        return any(_is_committed(place) for place in places)
    except (CannotTellError, OSError, ValueError):
        return True


def recorded(path: Path) -> tuple[bytes, ...] | None:
    """Return the texts that git has of a file, in HEAD and in the index; None: there is no answer.

    An edit of the user's does not hide from them what a checkout brought.
    """
    try:
        place = files.real(path)
        repository = _repository(place)
        if repository is None:
            return ()
        head = _head(repository)
        with tempfile.TemporaryDirectory(prefix="companion-") as scratch:
            git = Git(Path(scratch), repository, _DIGESTS[len(head)] if head else "sha1")
            tracked = git.tracked(place, repository.top, head)
            return tuple(git.text(digest) for digest in sorted(tracked))
    except (CannotTellError, OSError, ValueError):
        return None


def marks(top: Path, seconds: float = SECONDS) -> tuple[Mark, ...] | None:
    """Return what the index of a work tree says of each name.

    None: there is no answer within this time, at most 5 seconds.
    """
    try:
        repository = _repository(top / "any")
        if repository is None or repository.top != top:
            return ()
        index = files.status(repository.own / "index")
        if index and not stat.S_ISREG(index.st_mode):  # git would wait for who writes to a pipe
            return None
        head = _head(repository)
        with tempfile.TemporaryDirectory(prefix="companion-") as scratch:
            kind = _DIGESTS[len(head)] if head else "sha1"
            return tuple(Git(Path(scratch), repository, kind, seconds).marks())
    except (CannotTellError, OSError, ValueError):
        return None


def settings(config: Path, seconds: float = SECONDS) -> tuple[tuple[str, str], ...] | None:
    """Return the names and values of a configuration, without what it includes.

    None: there is no answer within this time, at most 5 seconds, or it is longer than 1 MiB.
    """
    try:
        content = _read(config, _LONGEST_SETTINGS)
        with tempfile.TemporaryDirectory(prefix="companion-") as scratch:
            nothing = Repository(Path(scratch), Path(scratch), Path(scratch))
            return tuple(Git(Path(scratch), nothing, "sha1", seconds).settings(content))
    except (CannotTellError, OSError, ValueError):
        return None


def _is_committed(path: Path) -> bool:
    repository = _repository(path)
    if repository is None:
        return False
    if (repository.own / "index.lock").exists():
        return True
    if not files.is_link(path) and files.is_directory(path):
        return _has_tracked_files(path, repository)
    digests, head = _digests(path), _head(repository)
    with tempfile.TemporaryDirectory(prefix="companion-") as scratch:
        git = Git(Path(scratch), repository, _DIGESTS[len(head)] if head else "sha1")
        entries = [one for one in git.index(path.name) if is_same(repository.top / one.name, path)]
        if any(_is_untouched(repository.top / one.name, one) for one in entries):
            return True
        names = {path.relative_to(repository.top).as_posix(), *(one.name for one in entries)}
        tracked = {one.digest for one in entries} | (git.tree(head, names) if head else set())
    return bool(tracked & digests)


def _has_tracked_files(directory: Path, repository: Repository) -> bool:
    """Tell whether a version control system knows a file in a directory."""
    for _, folders, names in os.walk(directory):
        if not {".git", *_OTHER_SYSTEMS}.isdisjoint((*folders, *names)):  # another repository
            return True
    head = _head(repository)
    with tempfile.TemporaryDirectory(prefix="companion-") as scratch:
        git = Git(Path(scratch), repository, _DIGESTS[len(head)] if head else "sha1")
        places = {repository.top / name for name in git.below(directory.name)}
        above = {parent for place in places for parent in place.parents}
        if any(parent == directory or is_same(parent, directory) for parent in above):
            return True
        name = directory.relative_to(repository.top).as_posix()
        return head is not None and bool(git.tree(head, [name]))


def _repository(path: Path) -> Repository | None:
    for top in path.parents:
        if any((top / name).exists() for name in _OTHER_SYSTEMS):
            raise CannotTellError
        place = top / ".git"
        if place.is_dir():
            return Repository(top, place, place)
        if place.exists():
            own = top / _line(place).removeprefix("gitdir: ")
            shared = own / "commondir"
            return Repository(top, own, own / _line(shared) if shared.exists() else own)
    return None


def _digests(path: Path) -> set[str]:
    """Return the names that git may give to a file's text; with LF for CR LF, too."""
    text = os.fsencode(path.readlink()) if path.is_symlink() else _read(path)
    return {
        hashlib.new(kind, b"blob %d\0" % len(form) + form, usedforsecurity=False).hexdigest()
        for form in (text, text.replace(b"\r\n", b"\n"))
        for kind in _DIGESTS.values()
    }


def _head(repository: Repository) -> str | None:
    """Return the name of the commit that is checked out; None: there is none yet."""
    line = _line(repository.own / "HEAD")
    for _ in range(_LINKS):
        if not line.startswith("ref: "):
            if len(line) not in _DIGESTS:
                raise CannotTellError
            return line
        name = line.removeprefix("ref: ")
        if not _REF.fullmatch(name):  # reftable's HEAD, for example
            raise CannotTellError
        place = repository.common / name
        if not place.exists():
            return _packed(repository.common / "packed-refs", name)
        line = _line(place)
    raise CannotTellError


def _packed(place: Path, name: str) -> str | None:
    if not place.exists():
        return None
    lines = (line.split(" ") for line in os.fsdecode(_read(place)).splitlines())
    return next((words[0] for words in lines if words[1:] == [name]), None)


def _line(path: Path) -> str:
    return os.fsdecode(_read(path)).rstrip("\r\n")


def _read(path: Path, most: int = _LONGEST) -> bytes:
    """Read a regular file of sensible size; a pipe in its place would block."""
    handle = os.open(path, os.O_RDONLY | open_flags.NOT_WAITING)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise CannotTellError
        content = file.read(most + 1)
    if len(content) > most:
        raise CannotTellError
    return content


def _is_untouched(path: Path, entry: Entry) -> bool:
    found = path.lstat()
    return (found.st_mtime_ns // 10**9, found.st_size) == (entry.seconds, entry.size)
