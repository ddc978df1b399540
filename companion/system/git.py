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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from companion.system import files, process, search

_SECONDS = 5.0
_LONGEST = 64 * 1024 * 1024
"""Bytes of a file that is read: packed-refs of a million branches."""
_LONGEST_SETTINGS = 1 << 20
_LINKS = 5
"""How often a name of git may stand for another one, as in git itself."""
_DIGESTS = {40: "sha1", 64: "sha256"}
_OTHER_SYSTEMS = (".jj", ".hg", ".svn", ".bzr", ".fslckout", "_FOSSIL_", "_darcs", ".pijul")
_CONFIG = """\
[core]
	repositoryformatversion = 1
	bare = true
[extensions]
	objectformat = {}
"""
_REF = re.compile(r"refs(/(?!\.)[^/\0]+)+")
# What `git ls-files --stage --debug -z` says of a file.
_ENTRY = re.compile(
    r"\d+ ([0-9a-f]+) \d\t([^\0]*)\0.*?mtime: (\d+):.*?size: (\d+)[^\n]*\n", re.DOTALL
)


class _CannotTellError(Exception):
    """Git or the repository gives no answer."""


@dataclass(frozen=True, slots=True)
class _Repository:
    """A work tree and where its repository keeps what."""

    top: Path
    own: Path
    """What belongs to this work tree: HEAD and the index."""
    common: Path
    """What all work trees share: objects and branches."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file as the index knows it: its name, and when and how long git last saw it."""

    digest: str
    name: str
    seconds: int
    size: int


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
    except (_CannotTellError, OSError, ValueError):
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
            git = _Git(Path(scratch), repository, _DIGESTS[len(head)] if head else "sha1")
            tracked = git.tracked(place, repository.top, head)
            return tuple(git.text(digest) for digest in sorted(tracked))
    except (_CannotTellError, OSError, ValueError):
        return None


def submodules(top: Path) -> tuple[Path, ...] | None:
    """Return where the index of a work tree has other repositories; None: there is no answer."""
    try:
        repository = _repository(top / "any")
        if repository is None or repository.top != top:
            return ()
        head = _head(repository)
        with tempfile.TemporaryDirectory(prefix="companion-") as scratch:
            git = _Git(Path(scratch), repository, _DIGESTS[len(head)] if head else "sha1")
            return tuple(top / name for name in git.links())
    except (_CannotTellError, OSError, ValueError):
        return None


def settings(config: Path) -> tuple[tuple[str, str], ...] | None:
    """Return the names and values of a configuration, without what it includes.

    None: there is no answer, or it is longer than 1 MiB.
    """
    try:
        content = _read(config, _LONGEST_SETTINGS)
        with tempfile.TemporaryDirectory(prefix="companion-") as scratch:
            nothing = _Repository(Path(scratch), Path(scratch), Path(scratch))
            return tuple(_Git(Path(scratch), nothing, "sha1").settings(content))
    except (_CannotTellError, OSError, ValueError):
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
        git = _Git(Path(scratch), repository, _DIGESTS[len(head)] if head else "sha1")
        entries = [one for one in git.index(path.name) if _is_same(repository.top / one.name, path)]
        if any(_is_untouched(repository.top / one.name, one) for one in entries):
            return True
        names = {path.relative_to(repository.top).as_posix(), *(one.name for one in entries)}
        tracked = {one.digest for one in entries} | (git.tree(head, names) if head else set())
    return bool(tracked & digests)


def _has_tracked_files(directory: Path, repository: _Repository) -> bool:
    """Tell whether a version control system knows a file in a directory."""
    for _, folders, names in os.walk(directory):
        if not {".git", *_OTHER_SYSTEMS}.isdisjoint((*folders, *names)):  # another repository
            return True
    head = _head(repository)
    with tempfile.TemporaryDirectory(prefix="companion-") as scratch:
        git = _Git(Path(scratch), repository, _DIGESTS[len(head)] if head else "sha1")
        places = {repository.top / name for name in git.below(directory.name)}
        above = {parent for place in places for parent in place.parents}
        if any(parent == directory or _is_same(parent, directory) for parent in above):
            return True
        name = directory.relative_to(repository.top).as_posix()
        return head is not None and bool(git.tree(head, [name]))


def _repository(path: Path) -> _Repository | None:
    for top in path.parents:
        if any((top / name).exists() for name in _OTHER_SYSTEMS):
            raise _CannotTellError
        place = top / ".git"
        if place.is_dir():
            return _Repository(top, place, place)
        if place.exists():
            own = top / _line(place).removeprefix("gitdir: ")
            shared = own / "commondir"
            return _Repository(top, own, own / _line(shared) if shared.exists() else own)
    return None


def _digests(path: Path) -> set[str]:
    """Return the names that git may give to a file's text; with LF for CR LF, too."""
    text = os.fsencode(path.readlink()) if path.is_symlink() else _read(path)
    return {
        hashlib.new(kind, b"blob %d\0" % len(form) + form, usedforsecurity=False).hexdigest()
        for form in (text, text.replace(b"\r\n", b"\n"))
        for kind in _DIGESTS.values()
    }


def _head(repository: _Repository) -> str | None:
    """Return the name of the commit that is checked out; None: there is none yet."""
    line = _line(repository.own / "HEAD")
    for _ in range(_LINKS):
        if not line.startswith("ref: "):
            if len(line) not in _DIGESTS:
                raise _CannotTellError
            return line
        name = line.removeprefix("ref: ")
        if not _REF.fullmatch(name):  # reftable's HEAD, for example
            raise _CannotTellError
        place = repository.common / name
        if not place.exists():
            return _packed(repository.common / "packed-refs", name)
        line = _line(place)
    raise _CannotTellError


def _packed(place: Path, name: str) -> str | None:
    if not place.exists():
        return None
    lines = (line.split(" ") for line in os.fsdecode(_read(place)).splitlines())
    return next((words[0] for words in lines if words[1:] == [name]), None)


def _line(path: Path) -> str:
    return os.fsdecode(_read(path)).rstrip("\r\n")


def _read(path: Path, most: int = _LONGEST) -> bytes:
    """Read a regular file of sensible size; a pipe in its place would block."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > most:
        raise _CannotTellError
    return path.read_bytes()


def _pattern(name: str) -> str:
    return ":(icase,glob)**/" + re.sub(r"([\\*?\[])", r"\\\1", name)


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _is_untouched(path: Path, entry: _Entry) -> bool:
    found = path.lstat()
    return (found.st_mtime_ns // 10**9, found.st_size) == (entry.seconds, entry.size)


class _Git:
    """Git in an empty repository of ours, with the objects and the index of another one."""

    def __init__(self, scratch: Path, repository: _Repository, kind: str) -> None:
        (scratch / "HEAD").write_text("ref: refs/heads/none\n")
        (scratch / "config").write_text(_CONFIG.format(kind))
        (scratch / "refs").mkdir()
        environment = {
            "HOME": str(scratch),
            "LC_ALL": "C",
            "SYSTEMROOT": os.environ.get("SYSTEMROOT", ""),
            "GIT_DIR": str(scratch),
            "GIT_OBJECT_DIRECTORY": str(repository.common / "objects"),
            "GIT_INDEX_FILE": str(repository.own / "index"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_ALLOW_PROTOCOL": "",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
        }
        self._alone = process.Alone(environment, scratch)

    def index(self, name: str) -> list[_Entry]:
        """Return the files of the index with this name, in any case: some disks ignore it."""
        output = self._run("ls-files", "--stage", "--debug", "-z", "--", _pattern(name))
        return [
            _Entry(digest, found, int(seconds), int(size))
            for digest, found, seconds, size in _ENTRY.findall(output)
        ]

    def below(self, name: str) -> list[str]:
        """Return the files of the index in directories with this name, in any case."""
        return self._run("ls-files", "-z", "--", f"{_pattern(name)}/**").split("\0")[:-1]

    def tracked(self, path: Path, top: Path, head: str | None) -> set[str]:
        """Return the names of the texts that HEAD and the index have of a file."""
        entries = [one for one in self.index(path.name) if _is_same(top / one.name, path)]
        names = {path.relative_to(top).as_posix(), *(one.name for one in entries)}
        return {one.digest for one in entries} | (self.tree(head, names) if head else set())

    def text(self, digest: str) -> bytes:
        """Return a text by its name."""
        return self._run("cat-file", "blob", digest).encode(errors="surrogateescape")

    def links(self) -> list[str]:
        """Return where the index has commits of other repositories."""
        entries = self._run("ls-files", "--stage", "-z").split("\0")
        return [line.partition("\t")[2] for line in entries if line.startswith("160000 ")]

    def settings(self, content: bytes) -> Iterator[tuple[str, str]]:
        """Yield the entries of a configuration's text; one without a value is true."""
        place = self._alone.directory / "settings"
        place.write_bytes(content)
        words = ("config", "--file", str(place), "--no-includes", "--list", "-z")
        for entry in self._run(*words).split("\0")[:-1]:
            name, _, value = entry.partition("\n")
            yield name, value

    def tree(self, commit: str, names: Iterable[str]) -> set[str]:
        """Return what a commit has at these names, as far as there is something."""
        output = self._run("ls-tree", "-z", "--full-tree", commit, "--", *names)
        return {line.split("\t")[0].split(" ")[2] for line in output.split("\0") if line}

    def _run(self, *arguments: str) -> str:
        program = search.find("git")
        if program is None:
            raise _CannotTellError
        done = process.run((program, *arguments), timeout=_SECONDS, alone=self._alone)
        if done.code:
            raise _CannotTellError
        return done.stdout
