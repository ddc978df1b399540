"""Borrowed git: runs git on a repository so that nothing runs that the repository configures.

Git works in an empty repository of ours, with our own configuration, that borrows the objects and
branches of the other one: hooks, fsmonitor, filters, aliases and remotes do not exist for it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from companion.errors import CompanionError
from companion.system import files, process, search

ISOLATED = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_ALLOW_PROTOCOL": "",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
}
"""Variables by which git reads a repository by nobody's settings, fetches and locks nothing."""

_SECONDS = 300.0
_CONFIG = """\
[core]
	repositoryformatversion = 1
	bare = false
	logAllRefUpdates = false
	excludesFile = {}
[extensions]
	objectformat = {}
"""
_DIGESTS = {40: "sha1", 64: "sha256"}


@dataclass(frozen=True, slots=True)
class WorkTree:
    """Files that are checked out, and the index of them."""

    directory: Path
    index: Path


@contextmanager
def borrowed(common: Path, head: str) -> Iterator["BorrowedGit"]:
    """Make a repository of ours for a while, with the objects and branches of another one."""
    import tempfile  # noqa: PLC0415 - start-up time is a budget

    if files.inode(common / "reftable"):
        what = f"{common} keeps its branches as a reftable, which Companion does not read"
        raise CompanionError(what, "make the worktree with git, and use `companion run` in it")
    with tempfile.TemporaryDirectory(prefix="companion-") as scratch:
        yield BorrowedGit(Path(scratch), common, head)


class BorrowedGit:
    """Git in a repository of ours that borrows another one's objects and branches."""

    def __init__(self, scratch: Path, common: Path, head: str) -> None:
        self._scratch, self._common = scratch, common
        (scratch / "HEAD").write_text(f"{head}\n", errors="surrogateescape")
        for name in ("refs", "packed-refs"):
            (scratch / name).symlink_to(common / name)
        self._configure("sha1")
        if len(head) in _DIGESTS:
            self._configure(_DIGESTS[len(head)])
        elif "objectformat = sha256" in _text(common / "config").lower():
            self._configure("sha256")

    def _configure(self, kind: str) -> None:
        ignored = self._common / "info" / "exclude"
        (self._scratch / "config").write_text(_CONFIG.format(_quoted(str(ignored)), kind))

    def run(self, *arguments: str, work_tree: WorkTree | None = None) -> process.Completed:
        """Run git; in a work tree if one is given."""
        program = search.find("git")
        if program is None:
            raise CompanionError("git is not installed", "install it: a package called git")
        environment = {
            "HOME": str(self._scratch),
            "LC_ALL": "C.UTF-8",
            "PATH": os.defpath,
            "SYSTEMROOT": os.environ.get("SYSTEMROOT", ""),
            "GIT_DIR": str(self._scratch),
            "GIT_OBJECT_DIRECTORY": str(self._common / "objects"),
            **ISOLATED,
            "GIT_TERMINAL_PROMPT": "0",
        }
        if work_tree:
            environment |= {
                "GIT_WORK_TREE": str(work_tree.directory),
                "GIT_INDEX_FILE": str(work_tree.index),
            }
        place = work_tree.directory if work_tree else self._scratch
        alone = process.Alone(environment, place)
        return process.run((program, *arguments), timeout=_SECONDS, alone=alone)

    def must(self, *arguments: str, work_tree: WorkTree | None = None) -> str:
        """Run git and return what it said.

        Raises:
            CompanionError: it failed.
        """
        done = self.run(*arguments, work_tree=work_tree)
        if done.code:
            raise CompanionError(f"git {arguments[0]} failed in {self._common}:\n{done.stderr}", "")
        return done.stdout

    def commit(self, name: str) -> str | None:
        """Return the commit that a name leads to; None: none."""
        done = self.run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        return done.stdout.strip() or None

    def changes(self, work_tree: WorkTree) -> tuple[str, ...] | None:
        """Return the files that are not committed; None: git cannot tell.

        No submodule is entered: its own configuration would run.
        """
        if not files.is_directory(work_tree.directory):
            return ()
        shown = ("--porcelain", "-z", "--untracked-files=normal", "--ignore-submodules=all")
        done = self.run("status", "--no-renames", *shown, work_tree=work_tree)
        return tuple(one[3:] for one in done.stdout.split("\0") if one) if not done.code else None

    def only_here(self, branch: str) -> tuple[str, ...] | None:
        """Return the commits of HEAD and a branch that nothing else has; None: git cannot tell.

        Args:
            branch: one that is about to be removed; "": none is.
        """
        mine = [
            one for one in ("HEAD", branch and f"refs/heads/{branch}") if one and self.commit(one)
        ]
        if not mine:
            return ()
        but = (f"--exclude={branch}",) if branch else ()
        others = ("--not", *but, "--branches", "--remotes", "--tags")
        done = self.run("log", "--format=%h %s", *mine, *others)
        return tuple(done.stdout.splitlines()) if not done.code else None


def _text(path: Path) -> str:
    return files.read_text(path, "surrogateescape") or ""


def _quoted(path: str) -> str:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
