"""Disarming: what came out of a sandbox has git on the desktop run nothing.

A copied directory may hold repositories, whose settings and hooks the agent wrote. A shell's prompt
asks such a repository for its status before anybody has read them. So each file by which git would
run something is renamed: nothing of it is lost, and git does not know the new name.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from companion.reconcile import git_obeys
from companion.reconcile.git_obeys import Effort
from companion.system import files, links

ENDING = ".disabled"
_SECONDS, _DIRECTORIES, _REPOSITORIES, _ENTRIES = 60.0, 1_000_000, 5_000, 1_000_000


@dataclass(slots=True)
class Disarmed:
    """The files that were renamed, by old name, each with what it would have git do."""

    renamed: dict[str, str] = field(default_factory=dict)
    is_whole: bool = True
    """Whether everything was looked at."""

    def without(self, left_out: Iterable[str]) -> "Disarmed":
        """Return this without files in directories that were left out, such as `./a/.git`."""
        gone = [Path(name) for name in left_out]
        kept = (n for n in self.renamed if not any(Path(n).is_relative_to(p) for p in gone))
        return Disarmed({name: self.renamed[name] for name in kept}, self.is_whole)


def disarm(top: Path) -> Disarmed:
    """Rename all by which git would run something in a tree, or look outside of it.

    Raises:
        OSError: something cannot be renamed; the tree is not to be used.
    """
    done, effort = Disarmed(), Effort(_SECONDS, _DIRECTORIES, _REPOSITORIES, _ENTRIES)
    for one in list(git_obeys.in_tree(top, effort)):
        if _is_below(one.path, top) and _rename(one.path):
            done.renamed[str(one.path.relative_to(top))] = one.said
    done.is_whole = not effort.is_spent
    return done


def _is_below(path: Path, top: Path) -> bool:
    return files.real(path.parent).joinpath(path.name).is_relative_to(files.real(top))


def _rename(path: Path) -> bool:
    """Rename a file; return False if that was done before."""
    with links.held(files.real(path.parent)) as directory:
        try:
            new = f"{path.name}{ENDING}"
            os.rename(path.name, new, src_dir_fd=directory, dst_dir_fd=directory)
        except FileNotFoundError:
            return False
    return True
