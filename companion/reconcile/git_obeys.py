"""What git on the desktop obeys in a tree that is an agent's: settings, hooks, remotes.

Nothing of the tree is run. It may have any number of repositories, also some without a `.git`: git
takes every directory with HEAD, objects and refs for one.
"""

import hashlib
import os
import re
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from companion.reconcile import git_facts
from companion.sandbox.repositories import (
    COMMON,
    CONFIG,
    GIT,
    OBEYED,
    REMOTES,
    WORKTREE_CONFIG,
    WORKTREES,
)
from companion.system import files, git

CONFIGS = (CONFIG, WORKTREE_CONFIG)
_MOST = 10_000
"""Entries of one directory that are looked at."""
_DIRECTORIES = 100_000
_REPOSITORIES = 500
_SECONDS = 5.0
_RUNS = re.compile(
    r"core\.(fsmonitor|hookspath|sshcommand|editor|pager|askpass|gitproxy|alternaterefscommand)"
    r"|(alias|pager)\..+|filter\..+\.(clean|smudge|process)|diff\.(external|.+\.(command|textconv))"
    r"|merge\..+\.driver|credential(\..+)?\.helper|gpg(\..+)?\.(program|defaultkeycommand)"
    r"|include\.path|includeif\..+\.path|(diff|merge|guit)tool\..+\.(cmd|path)|sequence\.editor"
    r"|uploadpack\.packobjectshook|remote\..+\.(uploadpack|receivepack|vcs)"
    r"|trailer\..+\.(cmd|command)|interactive\.difffilter|init\.templatedir"
    r"|protocol(\.ext)?\.allow|hook\..+\.command|gc\.recentobjectshook|tar\..+\.command"
    r"|(browser|man)\..+\.(cmd|path)|sendemail\..+cmd|sendemail\.smtpserver|imap\.tunnel"
)
_SUBMODULE = re.compile(r"submodule\..+\.update")
_PLAIN = {"", "true", "false", "yes", "no", "on", "off", "1", "0"}
_SAMPLE = ".sample"
_MODULES = "modules"
"""Where a repository keeps those of its submodules."""


class Effort:
    """What the check of one mounted directory may cost: its agent decides how much is there."""

    def __init__(
        self,
        seconds: float = _SECONDS,
        directories: int = _DIRECTORIES,
        repositories: int = _REPOSITORIES,
        entries: int = _MOST,
    ) -> None:
        self._until = time.monotonic() + seconds
        self._directories, self._repositories = directories, repositories
        self.entries = entries
        """Of one directory."""
        self.is_spent = False

    def take(self, *, directories: int = 0, repositories: int = 0) -> bool:
        """Tell whether so much more may be looked at."""
        self._directories -= directories
        self._repositories -= repositories
        late = time.monotonic() >= self._until
        self.is_spent |= late or self._directories < 0 or self._repositories < 0
        return not self.is_spent

    def left(self) -> float:
        """Return how many seconds are left."""
        seconds = max(0.0, self._until - time.monotonic())
        self.is_spent |= not seconds
        return seconds


@dataclass(frozen=True, slots=True)
class Obeyed:
    """A file by which a repository has git run something or look elsewhere."""

    path: Path
    what: str
    """Without the value of a setting, which may be a secret."""
    value: str = ""
    """Of a setting."""
    content: str = ""
    """A digest of a file that is run."""

    @property
    def said(self) -> str:
        """What git does because of it, with a setting's value."""
        return f"{self.what}={self.value}" if self.value else self.what

    def __str__(self) -> str:
        return f"{self.path}: {self.said}"


def in_tree(top: Path, effort: Effort) -> Iterator[Obeyed]:
    """Yield what git obeys in each repository of a tree, its top included; follow no link.

    A tree that is no part of another one has no way out: a `.git` that leads out of it is yielded.
    """
    for place in repositories(top, effort):
        if not effort.take(repositories=1):
            return
        own = _own(place)
        if own and not files.real(own).is_relative_to(files.real(top)):
            yield Obeyed(place / GIT, f"git obeys {own}")
        else:
            yield from at(place, effort)


def repositories(top: Path, effort: Effort) -> Iterator[Path]:
    """Yield the directories of a tree that git takes for repositories, or for work trees."""
    for place, found in tree(top, effort):
        names = {entry.name.casefold() for entry in found}
        if GIT in names or _is_bare(names):
            yield place


def at(place: Path, effort: Effort) -> Iterator[Obeyed]:
    """Yield what git obeys in one directory, which may be a repository with or without `.git`.

    `git status` above enters it if it is a submodule.
    """
    if _is_bare(entry.name.casefold() for entry in entries(place, effort)):
        yield from _all(place, effort)
    if files.is_file(place / GIT) and git_facts.text_of(place / GIT) is None:
        yield Obeyed(place / GIT, "cannot be read")
    elif (own := _own(place)) and files.status(own):
        yield from _all(own, effort)


def _own(place: Path) -> Path | None:
    """Return the directory that `.git` is or leads to; None: there is none that can be read."""
    found = place / GIT
    if not files.is_file(found):
        return found if files.status(found) else None
    text = git_facts.text_of(found)
    return place / os.fsdecode(text).removeprefix("gitdir: ").rstrip("\r\n") if text else None


def modules(own: Path, effort: Effort) -> Iterator[Obeyed]:
    """Yield what git obeys once a submodule is checked out that is not now; `own` is a `.git`."""
    waiting = [own / _MODULES]
    while waiting and effort.take(directories=1):
        place = waiting.pop()
        if files.is_link(place):
            continue
        found = [*entries(place, effort)]
        if not _is_bare(entry.name.casefold() for entry in found):
            waiting += (Path(entry.path) for entry in found if entry.is_dir(follow_symlinks=False))
            continue
        if not effort.take(repositories=1):
            return
        yield from settings_and_hooks(place, effort)
        waiting.append(place / _MODULES)


def settings_and_hooks(own: Path, effort: Effort, but: Collection[Path] = ()) -> Iterator[Obeyed]:
    """Yield all that a repository has git run; `own` is its `.git`, `but` files to leave out."""
    common = own / COMMON
    is_foreign = files.is_file(common) and git_facts.text_of(common) != OBEYED[COMMON]
    if is_foreign and not _is_a_worktrees(own, effort):
        yield of_text(common, "git obeys another directory")
    for path in (one for name in CONFIGS if (one := own / name) not in but):
        found = settings(path, effort)
        if found is None:
            yield Obeyed(path, "cannot be read")
        for entry in found or ():
            if runs(*entry) or _leads_out(own, *entry):
                yield Obeyed(path, f"git obeys {entry[0]}", entry[1])
    for hook in entries(own / "hooks", effort):
        if not hook.name.endswith(_SAMPLE) and os.access(hook, os.X_OK):
            yield of_text(Path(hook), "git may run it")


def settings(path: Path, effort: Effort) -> tuple[tuple[str, str], ...] | None:
    """Return the names and values of a configuration; None: it is there and cannot be read.

    Nothing is returned if the time is over.
    """
    seconds, there = effort.left(), files.status(path)
    if not seconds or not there or (files.is_file(path) and not there.st_size):
        return ()
    found = git.settings(path, seconds)
    return () if found is None and not effort.left() else found


def of_text(path: Path, what: str) -> Obeyed:
    """Return what git does because of a file, which counts as another one with another text."""
    text = git_facts.text_of(path)
    if text is not None:
        return Obeyed(path, what, content=hashlib.sha256(text).hexdigest())
    with suppress(OSError):  # it is no link
        return Obeyed(path, what, content=str(path.readlink()))
    found = files.status(path)
    return Obeyed(path, what, content=f"{found.st_size} {found.st_ctime_ns}" if found else "")


def _is_a_worktrees(own: Path, effort: Effort) -> bool:
    """Tell whether this is what a repository keeps of a worktree: it is looked at by itself."""
    text = git_facts.text_of(own / COMMON) or b""
    common = files.real(own).parent.parent
    obeys = files.real(own / os.fsdecode(text).rstrip("\r\n"))
    is_whole = _is_bare(entry.name.casefold() for entry in entries(common, effort))
    is_seen = GIT not in map(str.casefold, common.parts[:-1])  # tree() enters no `.git`
    return own.parent.name == WORKTREES and obeys == common and is_whole and is_seen


def remotes(own: Path, effort: Effort) -> Iterator[Obeyed]:
    """Yield the files that say where `git fetch NAME` and `git push NAME` go."""
    for name in REMOTES:
        for entry in entries(own / name, effort):
            words = f"`git push {entry.name}` and `git fetch {entry.name}`"
            yield of_text(Path(entry), f"{words} go where it says")


def runs(name: str, value: str) -> bool:
    """Tell whether a setting names a command, or a file or directory with some."""
    if _SUBMODULE.fullmatch(name):
        return value.startswith("!")
    return bool(_RUNS.fullmatch(name)) and value not in _PLAIN


def _leads_out(own: Path, name: str, value: str) -> bool:
    """Tell whether git would write the files of a repository somewhere else."""
    parts = [part.casefold() for part in own.parts]
    place = Path(*own.parts[: parts.index(GIT)]) if GIT in parts else own
    is_named = name == "core.worktree"
    return is_named and not files.real(own / value).is_relative_to(files.real(place))


def tree(top: Path, effort: Effort) -> Iterator[tuple[Path, list["os.DirEntry[str]"]]]:
    """Yield directories with their entries, the upper ones first; follow no link."""
    waiting = deque([top])
    while waiting and effort.take(directories=1):
        place = waiting.popleft()
        found = [*entries(place, effort)]
        yield place, found
        waiting += (
            Path(entry.path)
            for entry in found
            if entry.name != GIT and entry.is_dir(follow_symlinks=False)
        )


def entries(directory: Path, effort: Effort) -> Iterator["os.DirEntry[str]"]:
    """Yield the entries of a directory, of which there may be any number."""
    try:
        with os.scandir(directory) as found:
            yield from islice(found, effort.entries)
            if next(found, None):
                effort.is_spent = True
    except OSError:  # it is missing, or git cannot read it, either
        return


def _all(own: Path, effort: Effort) -> Iterator[Obeyed]:
    yield from remotes(own, effort)
    yield from settings_and_hooks(own, effort)
    yield from modules(own, effort)


def _is_bare(names: Iterable[str]) -> bool:
    """Tell by the names in a directory, in lower case, whether git may take it for a repository."""
    known = set(names)
    return "head" in known and ({"objects", "refs"} <= known or COMMON in known)
