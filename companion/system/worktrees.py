"""Worktrees of git: made, examined and removed so that nothing of the repository runs.

An agent can write to its repository, so git runs as in system/borrowed_git.py. What git keeps of a
worktree are three files that we write.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from companion.errors import Code, CompanionError
from companion.system import files, links
from companion.system.borrowed_git import BorrowedGit, WorkTree, borrowed

BESIDE = ".worktrees"
"""What is added to a repository's name for the directory of its worktrees, as VS Code does."""


@dataclass(frozen=True, slots=True)
class Worktree:
    """A worktree that we made; all paths are absolute."""

    directory: str
    common: str
    """The repository that it belongs to: a `.git`."""
    id: str
    """What the repository calls it."""
    branch: str
    makes_branch: bool
    """The branch was made with it, and is removed with it."""

    @property
    def own(self) -> Path:
        """What the repository keeps of it: HEAD and the index."""
        return Path(self.common, "worktrees", self.id)

    @property
    def work_tree(self) -> WorkTree:
        """Its files and its index."""
        return WorkTree(Path(self.directory), self.own / "index")

    @property
    def reference(self) -> str:
        """The full name of its branch."""
        return f"refs/heads/{self.branch}"


@dataclass(frozen=True, slots=True)
class Loss:
    """What would be lost with a worktree."""

    changes: tuple[str, ...] = ()
    """Files that were changed or added and are not committed."""
    commits: tuple[str, ...] = ()
    """Commits that no other branch, tag or remote has: abbreviated name and subject."""
    unknown: str = ""
    """Why not everything could be looked at."""

    def __bool__(self) -> bool:
        return bool(self.changes or self.commits or self.unknown)


def common_directory(top: Path) -> Path:
    """Return the repository of a work tree: its own `.git`, or the one that it is a worktree of.

    Raises:
        CompanionError: `.git` leads nowhere, or to a repository that does not know the work tree.
    """
    place = top / ".git"
    if files.is_directory(place) and not files.is_link(place):
        return place
    own = Path(os.path.normpath(top / _line(place).removeprefix("gitdir: ")))
    common = own.parent.parent
    knows = own.parent.name == "worktrees" and _work_tree(own) == top
    if not knows or not files.is_directory(common / "objects"):
        what = f"{top} is no work tree of a repository here: its .git leads to {own}"
        hint = "run `git worktree repair` in its repository; for a submodule, use the outer one"
        raise CompanionError(what, hint, code=Code.NO_REPOSITORY)
    return files.real(common)


def add(
    top: Path,
    common: Path,
    branch: str,
    directory: Path,
    before: Callable[[Worktree], None] = lambda _: None,
) -> Worktree:
    """Make a worktree on a branch, which begins at the commit that `top` has checked out.

    A branch that exists is checked out as it is. `before` is called before anything is written.

    Raises:
        CompanionError: the name is none, the branch is checked out elsewhere, there is no commit,
            something is in the way, or a link leads there.
    """
    links.unlinked(Path(directory.anchor), directory)
    if files.inode(directory):
        what = f"{directory} exists already"
        raise CompanionError(what, "remove it, or choose another branch", code=Code.EXISTS)
    head = _line((top / ".git" if common == top / ".git" else _own(top)) / "HEAD")
    with borrowed(common, head) as git:
        if git.run("check-ref-format", "--branch", branch).code:
            raise CompanionError(f"'{branch}' is not a valid branch name", "choose another one")
        _require_free(common, branch)
        start = git.commit("HEAD")
        if start is None:
            what = f"{top} has no commit yet, and a branch begins at one"
            raise CompanionError(what, "commit something first", code=Code.NO_REPOSITORY)
        existing = git.commit(f"refs/heads/{branch}")
        start = git.commit(f"refs/remotes/origin/{branch}") or start
        made = Worktree(str(directory), str(common), _free_id(common, directory.name), branch,
                        makes_branch=existing is None)  # fmt: skip
        for path in (made.own / "HEAD", common / made.reference):
            links.unlinked(common, path)
        before(made)
        links.make_directory(directory)
        try:
            _write(git, made, existing or start)
        except BaseException:
            _discard(git, made)
            raise
    return made


def loss(worktree: Worktree) -> Loss:
    """Return what would be lost with a worktree.

    Raises:
        CompanionError: a link leads to it, so it may be another directory.
    """
    own = worktree.own
    _require_unlinked(worktree)
    head = _line(own / "HEAD") if files.is_directory(own) else f"ref: {worktree.reference}"
    with borrowed(Path(worktree.common), head) as git:
        changes = git.changes(worktree.work_tree)
        commits = git.only_here(worktree.branch if worktree.makes_branch else "")
    unknown = "" if None not in (changes, commits) else "git cannot read the repository"
    if files.is_directory(own / "modules"):
        unknown = "it has submodules"
    return Loss(changes or (), commits or (), unknown)


def remove(worktree: Worktree) -> None:
    """Remove a worktree with all that is in it, and the branch that was made for it.

    Raises:
        CompanionError: the system refuses, or a link leads to it.
    """
    _require_unlinked(worktree)
    with borrowed(Path(worktree.common), f"ref: {worktree.reference}") as git:
        _discard(git, worktree)


def _write(git: BorrowedGit, made: Worktree, commit: str) -> None:
    common, directory, own = Path(made.common), Path(made.directory), made.own
    if made.makes_branch:
        git.must("update-ref", made.reference, commit, "0" * len(commit))
    files.make_dir(own)
    files.write(own / "commondir", "../..\n", files.READABLE)
    files.write(own / "gitdir", f"{directory}/.git\n", files.READABLE)
    files.write(own / "HEAD", f"ref: {made.reference}\n", files.READABLE)
    way = os.path.relpath(own, directory)  # as it is in a sandbox, whatever lies above
    files.write(directory / ".git", f"gitdir: {way}\n", files.READABLE)
    git.must("read-tree", "--reset", "-u", commit, work_tree=made.work_tree)
    if files.user_id() == 0:
        _own_alike(common, made)


def _own_alike(common: Path, made: Worktree) -> None:
    """Give what root made to the owner of the repository, who is the agents' user."""
    owner, directory, branch = common.stat().st_uid, Path(made.directory), common / made.reference
    trees = (path for root in (made.own, directory) for path in (root, *root.rglob("*")))
    above = (p for p in branch.parents if p.is_relative_to(common / "refs"))
    others = (branch, *above, made.own.parent, directory.parent)
    for path in (*trees, *(p for p in others if p.exists() and p.stat().st_uid == 0)):
        if sys.platform != "win32":
            os.chown(path, owner, owner, follow_symlinks=False)


def _discard(git: BorrowedGit, worktree: Worktree) -> None:
    common, directory = Path(worktree.common), Path(worktree.directory)
    links.remove_tree(directory)
    links.remove_tree(worktree.own)
    if files.inode(directory):
        raise CompanionError(f"cannot remove {directory}", "check its owner", code=Code.FILE_ACCESS)
    if directory.parent.name.endswith(BESIDE):  # .git/worktrees may be a mount point: it stays
        with suppress(OSError):  # others are in it
            directory.parent.rmdir()
    if worktree.makes_branch and git.commit(worktree.reference):
        links.unlinked(common, common / worktree.reference)
        git.must("update-ref", "-d", worktree.reference)


def _require_unlinked(worktree: Worktree) -> None:
    """Require that no link leads to a worktree: its paths had none when it was made."""
    for path in (Path(worktree.directory), worktree.own / "HEAD"):
        links.unlinked(Path(path.anchor), path)


def _require_free(common: Path, branch: str) -> None:
    wanted, trees = f"ref: refs/heads/{branch}", common / "worktrees"
    own = sorted(trees.iterdir()) if files.is_directory(trees) else []
    for place in (common, *own):
        if files.is_file(place / "HEAD") and _line(place / "HEAD") == wanted:
            where = common.parent if place == common else _work_tree(place)
            what = f"the branch {branch} is checked out in {where}"
            raise CompanionError(what, "choose another branch", code=Code.EXISTS)


def _free_id(common: Path, name: str) -> str:
    names = (name, *(f"{name}-{number}" for number in range(2, 1000)))
    return next(one for one in names if not files.inode(common / "worktrees" / one))


def _work_tree(own: Path) -> Path:
    """Return the directory of a worktree; with worktree.useRelativePaths, git keeps it relative."""
    return Path(os.path.normpath(own / _line(own / "gitdir"))).parent


def _own(top: Path) -> Path:
    return top / _line(top / ".git").removeprefix("gitdir: ")


def _line(path: Path) -> str:
    """Return the only line of a small file; "" if there is none."""
    return (files.read_text(path, "surrogateescape") or "").rstrip("\r\n")
