"""Repositories: what of a mounted git repository an agent must not change.

Git on the desktop obeys a repository's configuration and hooks, so the agent gets them read-only.
They are mounts of their own, and so is `.git`: what is a mount point can be neither renamed nor
removed. Pure.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from companion.spec.containers import Bind, Directory, File, Files, HostPath
from companion.spec.identity import digest

GIT = ".git"
COMMON = "commondir"
CONFIG = "config"
WORKTREE_CONFIG = "config.worktree"
WORKTREES = "worktrees"
OBEYED = {CONFIG: b"", WORKTREE_CONFIG: b"", COMMON: b".\n"}
"""The files that decide what git runs, with contents that mean the same as no file.

Only an existing file can be a mount point: what is missing is created before a sandbox starts.
"""
REMOTES = ("remotes", "branches")
"""Directories of old; a file in them says where `git fetch NAME` and `git push NAME` go."""
_ABSOLUTE = b"gitdir: /"
"""How a worktree's `.git` begins if git made it; relative paths are right in a sandbox, too."""
DIRECTORIES = ("hooks", WORKTREES, *REMOTES)


@dataclass(frozen=True, slots=True)
class GitFacts:
    """What of a git repository lies at the top of a mounted directory."""

    inner: str
    """Where, relative to that directory: `.git`, or "" if the directory is a repository."""
    directory: str
    """Its absolute path; of a worktree, what the repository keeps of it (…/worktrees/NAME)."""
    files: tuple[File, ...] = ()
    """The files that git obeys there; of a worktree, its file `.git`, too."""
    obstacle: str = ""
    """Why the agent must not write there; completes `the mount 'x' …`."""

    @property
    def is_worktree(self) -> bool:
        """Whether it is a worktree, which has a file `.git` that leads to its repository."""
        return any(file.path == GIT for file in self.files)


def binds(mounted: Iterable[tuple[str, GitFacts]]) -> Iterator[Bind]:
    """Yield the mounts that protect repositories; `mounted` are writable mounts by target."""
    every = tuple(mounted)
    worktrees = [facts for _, facts in every if facts.is_worktree]
    for target, facts in every:
        base = f"{target}/{facts.inner}".rstrip("/")
        if facts.is_worktree:
            yield Bind(stored(facts, GIT), base, read_only=True)
            continue
        if facts.inner:
            yield Bind(HostPath(facts.directory), base, read_only=False)
        for file in facts.files:
            yield Bind(stored(facts, file.path), f"{base}/{file.path}", read_only=True)
        for name in DIRECTORIES:
            yield Bind(HostPath(f"{facts.directory}/{name}"), f"{base}/{name}", read_only=True)
        for own in worktrees:
            if _repository(own) == facts.directory:
                yield from _worktree(own, f"{base}/{WORKTREES}")


def files(mounted: Iterable[tuple[str, GitFacts]]) -> Iterator[File]:
    """Yield our copies of the files that git obeys, which are what is mounted.

    A copy cannot be exchanged for a link by whoever may write to the repository. That of a worktree
    leads to where its repository is in the sandbox. `mounted` are writable mounts by target.
    """
    every = tuple(mounted)
    places = _places(every)
    for _, facts in every:
        for file in facts.files:
            content = file.content
            if file.path == GIT and content.startswith(_ABSOLUTE):
                place = PurePosixPath(facts.directory)
                if repository := places.get(_repository(facts)):
                    content = f"gitdir: {repository}/{WORKTREES}/{place.name}\n".encode()
            yield File(stored(facts, file.path).file, content)


def misled(mounted: Iterable[tuple[str, GitFacts]]) -> Iterator[str]:
    """Yield the targets of worktrees that do not find their repository if `.git` is mounted as is.

    So it is with a copy. `mounted` are mounts by target.
    """
    every = tuple(mounted)
    places = _places(every)
    for target, facts in every:
        link = next((file.content for file in facts.files if file.path == GIT), b"")
        own = _repository(facts)
        if link.startswith(_ABSOLUTE) and places.get(own, own) != own:
            yield target


def _places(mounted: Iterable[tuple[str, GitFacts]]) -> dict[str, str]:
    """Return where each repository is in the sandbox, by its directory."""
    return {f.directory: f"{t}/{f.inner}".rstrip("/") for t, f in mounted if not f.is_worktree}


def is_fixed(path: str, held: Iterable[str]) -> bool:
    """Tell whether an agent cannot exchange `path`: it is a mount point in its sandbox.

    `held` are the directories of the repositories that are protected there.
    """
    place = PurePosixPath(path)
    for directory in held:
        own = [PurePosixPath(directory, name) for name in DIRECTORIES]
        if place == PurePosixPath(directory) or place in own:
            return True
        if place.parent == PurePosixPath(directory, WORKTREES):
            return True
    return False


def _worktree(facts: GitFacts, above: str) -> Iterator[Bind]:
    """Yield the mounts of what a repository keeps of the agent's own worktree."""
    base = f"{above}/{PurePosixPath(facts.directory).name}"
    yield Bind(HostPath(facts.directory), base, read_only=False)
    for file in facts.files:
        if file.path != GIT:
            yield Bind(stored(facts, file.path), f"{base}/{file.path}", read_only=True)


def _repository(worktree: GitFacts) -> str:
    return str(PurePosixPath(worktree.directory).parent.parent)


def stored(facts: GitFacts, name: str) -> Files:
    """Return where our copy of a file that git obeys is kept."""
    return Files(Directory.GIT, f"{digest(facts.directory)}-{name.lstrip('.')}")
