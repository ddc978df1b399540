"""Repositories: what `companion run` finds in a directory, without running anything of it."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from urllib.parse import urlsplit

from companion.config.draft import Committer
from companion.errors import Code, CompanionError
from companion.project import discovery
from companion.reconcile import host_facts
from companion.system import files, git, process, project_paths, search, users, worktrees

_MOST_ENTRIES = 2000
"""Directory entries that are looked at: marks of tools lie near the top."""
_LEVELS = 3
"""Parts of a repository lie in directories such as `packages/web`."""
_SECONDS = 5.0
_SECRETS = (".env", ".envrc", ".npmrc", ".pypirc", ".netrc")
_NO_SECRETS = (".example", ".sample", ".template", ".dist")
_REMOTE = re.compile(r"remote\..+\.(?:url|pushurl)", re.DOTALL)
_BY_SSH = re.compile(r"(?:[^/:@]*@)?(?P<host>[^/:@]+):")
_HIDDEN_TREES = {"node_modules", "vendor", "target", "dist", "build", "venv"}


@dataclass(frozen=True, slots=True)
class Repository:
    """A work tree of git, and what lies in it."""

    top: Path
    common: Path
    """Its repository, which all its work trees share: `.git` of the first one."""
    files: tuple[str, ...]
    """Files near the top, relative to it."""
    secrets: tuple[str, ...]
    """Files that usually hold secrets; an agent in the directory sees them."""

    @property
    def is_worktree(self) -> bool:
        """Whether the repository itself lies elsewhere."""
        return self.common != self.top / ".git"

    @property
    def remote_hosts(self) -> tuple[str, ...]:
        """The hosts of its remotes, as its own settings name them."""
        found = git.settings(self.common / "config") or ()
        urls = (value for name, value in found if _REMOTE.fullmatch(name))
        return tuple(host for host in map(host_of, urls) if host)


def host_of(url: str) -> str:
    """Return the host of a remote, "" if it is on this machine: URLs, and `user@host:path`."""
    if "://" not in url:
        found = _BY_SSH.match(url)
        return found["host"].lower() if found else ""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def find(directory: Path) -> Repository:
    """Return the repository that a directory lies in.

    Raises:
        CompanionError: there is none, or none that an agent can work in.
    """
    start = files.real(files.expanded(directory))
    if not files.is_directory(start):
        what = f"there is no directory {directory}"
        raise CompanionError(what, "correct the path", code=Code.CONFIG_MISSING)
    discovery.require_encodable(start)
    places = (start, *start.parents)
    top = next((place for place in places if files.inode(place / ".git")), None)
    if top is None:
        hint = "run `git init` there, or `companion init` for a project with a directory for code"
        if files.real(files.expanded(Path("~"))).is_relative_to(start):
            hint = "change to the directory of your code: no agent may have your whole home"
        raise CompanionError(f"{start} is not in a git repository", hint, code=Code.NO_REPOSITORY)
    _require_own(top)
    _require_no_project(top)
    found = tuple(_files(top))
    secrets = tuple(name for name in found if _may_be_secret(name))
    return Repository(top, worktrees.common_directory(top), found, secrets)


def committer() -> Committer | None:
    """Return who the desktop's own git says the user is; None if it does not."""
    name, email = (_setting(f"user.{key}") for key in ("name", "email"))
    return Committer(name, email) if name and email else None


def _setting(key: str) -> str:
    """Return a value of the user's own git settings; no repository is asked."""
    if search.find("git") is None:
        return ""
    done = process.run(("git", "config", "--global", "--get", key), timeout=_SECONDS)
    text = done.stdout.strip()
    return text if done.code == 0 and text.isprintable() else ""


def _require_own(top: Path) -> None:
    """Check that the agent's user, who is the desktop's, may write there.

    Raises:
        CompanionError: the directory belongs to another user.
    """
    owner, agent = users.owner(top), host_facts.agent_uid()
    if owner is None or owner == agent:
        return
    what = f"{top} belongs to {users.name_of(owner)}, not to you"
    hint = "clone it yourself, or run Companion as that user"
    if files.user_id() == 0:
        what = f"{top} belongs to {users.name_of(owner)}; agents that root starts are user {agent}"
        hint = f"run Companion as an ordinary user, or `chown -R {agent}:{agent} {quote(str(top))}`"
    raise CompanionError(what, hint, code=Code.FILE_ACCESS)


def _require_no_project(top: Path) -> None:
    for name in (project_paths.CONFIG_NAME, project_paths.FLEET_NAME):
        if files.status(top / name):
            what = f"{top} has an {name} of its own" if name[0] == "a" else f"{top} has a {name}"
            raise CompanionError(what, f"start that: companion -C {top} up", code=Code.EXISTS)


def _may_be_secret(name: str) -> bool:
    is_named = any(name == one or name.startswith(f"{one}.") for one in _SECRETS)
    return is_named and not name.endswith(_NO_SECRETS)


def _files(top: Path) -> Iterator[str]:
    """Yield files as relative paths: those at the top, then those below, level by level."""
    waiting, looked = [""], 0
    for _ in range(_LEVELS):
        below: list[str] = []
        for folder in waiting:
            entries = list(_entries(top / folder))
            looked += len(entries)
            yield from sorted(
                f"{folder}{e.name}" for e in entries if e.is_file(follow_symlinks=False)
            )
            below += (f"{folder}{name}/" for name in sorted(_folders(entries)))
            if looked > _MOST_ENTRIES:
                return
        waiting = below


def _folders(entries: Iterable["os.DirEntry[str]"]) -> Iterator[str]:
    for entry in entries:
        is_shown = not entry.name.startswith(".") and entry.name not in _HIDDEN_TREES
        if is_shown and entry.is_dir(follow_symlinks=False):
            yield entry.name


def _entries(directory: Path) -> Iterator["os.DirEntry[str]"]:
    try:
        with os.scandir(directory) as found:
            for number, entry in enumerate(found):
                if number >= _MOST_ENTRIES:
                    return
                yield entry
    except OSError:
        return
