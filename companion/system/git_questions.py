"""What git is asked about a repository, without its settings: see git.py."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from companion.system import process, search
from companion.system.borrowed_git import ISOLATED

SECONDS = 5.0
"""How long git may take for one answer."""
_CONFIG = """\
[core]
	repositoryformatversion = 1
	bare = true
[extensions]
	objectformat = {}
"""
# What `git ls-files --stage --debug -z` says of a file.
_ENTRY = re.compile(
    r"\d+ ([0-9a-f]+) \d\t([^\0]*)\0.*?mtime: (\d+):.*?size: (\d+)[^\n]*\n", re.DOTALL
)


class CannotTellError(Exception):
    """Git or the repository gives no answer."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A work tree and where its repository keeps what."""

    top: Path
    own: Path
    """What belongs to this work tree: HEAD and the index."""
    common: Path
    """What all work trees share: objects and branches."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as the index knows it: its name, and when and how long git last saw it."""

    digest: str
    name: str
    seconds: int
    size: int


@dataclass(frozen=True, slots=True)
class Mark:
    """What the index says of a name, apart from its text."""

    name: str
    is_repository: bool
    """It stands for a commit of another repository."""
    is_unwatched: bool
    """Changes of the file are not looked for: assume-unchanged or skip-worktree."""


class Git:
    """Git in an empty repository of ours, with the objects and the index of another one."""

    def __init__(
        self, scratch: Path, repository: Repository, kind: str, seconds: float = SECONDS
    ) -> None:
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
            **ISOLATED,
        }
        self._alone = process.Alone(environment, scratch)
        self._seconds = min(seconds, SECONDS)

    def index(self, name: str) -> list[Entry]:
        """Return the files of the index with this name, in any case: some disks ignore it."""
        output = self._run("ls-files", "--stage", "--debug", "-z", "--", _pattern(name))
        return [
            Entry(digest, found, int(seconds), int(size))
            for digest, found, seconds, size in _ENTRY.findall(output)
        ]

    def below(self, name: str) -> list[str]:
        """Return the files of the index in directories with this name, in any case."""
        return self._run("ls-files", "-z", "--", f"{_pattern(name)}/**").split("\0")[:-1]

    def tracked(self, path: Path, top: Path, head: str | None) -> set[str]:
        """Return the names of the texts that HEAD and the index have of a file."""
        entries = [one for one in self.index(path.name) if is_same(top / one.name, path)]
        names = {path.relative_to(top).as_posix(), *(one.name for one in entries)}
        return {one.digest for one in entries} | (self.tree(head, names) if head else set())

    def text(self, digest: str) -> bytes:
        """Return a text by its name."""
        return self._run("cat-file", "blob", digest).encode(errors="surrogateescape")

    def marks(self) -> list[Mark]:
        """Return what the index says of each name."""
        found = []
        for line in self._run("ls-files", "-v", "--stage", "-z").split("\0")[:-1]:
            facts, _, name = line.partition("\t")
            tag, mode, *_ = facts.split(" ")
            found.append(Mark(name, mode == "160000", tag == "S" or tag.islower()))
        return found

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
            raise CannotTellError
        done = process.run((program, *arguments), timeout=self._seconds, alone=self._alone)
        if done.code:
            raise CannotTellError
        return done.stdout


def is_same(one: Path, other: Path) -> bool:
    """Tell whether two paths lead to the same file; never raises."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _pattern(name: str) -> str:
    return ":(icase,glob)**/" + re.sub(r"([\\*?\[])", r"\\\1", name)
