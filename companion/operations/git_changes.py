"""Git changes: what git newly obeys where an agent writes, in words that are safe to show.

An agent may have written any number of settings with any names, and the user some with secrets: so
no value is shown, and what git runs unasked comes first.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from companion.project.agent_lock import agent_lock
from companion.reconcile import git_baseline
from companion.reconcile.git_obeys import Effort, Obeyed
from companion.reconcile.progress import Progress
from companion.system import plain
from companion.system.project_paths import AgentPaths

_SECONDS = 1.0
"""For one directory."""
_NAMED = 3
_LONGEST = 200
"""Characters of a path, and of what follows."""
_LOGIN = re.compile(r"//[^/@\s]*@")
_SETTING = "git obeys "
_FIRST = re.compile(r"(core\.(fsmonitor|hookspath|worktree)|include\.path|includeif\..*)")
"""What any git command takes, such as that of a shell's prompt."""
_LAST = re.compile(r"(alias|pager|trailer|tar|man|browser|sendemail|(diff|merge|gui)tool)\..*")
"""What only the command runs that the setting is for."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What git obeys and did not before an agent could write there, the worst first."""

    new: tuple[Obeyed, ...] = ()
    unseen: tuple[str, ...] = ()
    """Directories in which not everything was looked at."""

    def sentences(self, most: int = _NAMED) -> tuple[str, ...]:
        """Return what to look at before running git, at most so many changes one by one."""
        more = len(self.new) - most
        others = "1 more setting or hook is" if more == 1 else f"{more} more settings or hooks are"
        return (
            *map(sentence, self.new[:most]),
            *([f"{others} new there, too"] if more > 0 else ()),
            *(f"{cut(one)}: not everything was looked at" for one in self.unseen),
        )


def of(agent_paths: AgentPaths) -> Changes:
    """Return what git newly obeys where an agent writes, or wrote.

    Raises:
        CompanionError: what git obeyed before cannot be read.
    """
    found: list[Obeyed] = []
    unseen: list[str] = []
    for directory, known in git_baseline.read(agent_paths).directories.items():
        effort = Effort(seconds=_SECONDS)
        found += git_baseline.new(Path(directory), known, effort)
        if effort.is_spent:
            unseen.append(directory)
    return Changes(tuple(sorted(dict.fromkeys(found), key=_rank)), tuple(unseen))


def accept(agent_paths: AgentPaths, shown: Sequence[Obeyed], progress: Progress) -> None:
    """Report no more what the user was shown.

    Raises:
        CompanionError: the system refuses to write that.
    """
    if shown:
        with agent_lock(agent_paths, progress):
            git_baseline.accept(agent_paths, shown)


def sentence(one: Obeyed) -> str:
    """Return what git newly obeys, without the value of a setting or a password in its name."""
    what = _LOGIN.sub("//…@", one.what)
    return f"{cut(str(one.path))}: {cut(what)}, which is new"


def cut(text: str) -> str:
    """Return text on one line, without what a terminal obeys; the middle of a long one is left out.

    Args:
        text: what an agent may have written.
    """
    shown = plain.line(text)
    half = _LONGEST // 2
    return shown if len(shown) <= _LONGEST else f"{shown[:half]}…{shown[-half:]}"


def _rank(one: Obeyed) -> int:
    name = one.what.removeprefix(_SETTING)
    if name == one.what or _FIRST.fullmatch(name):
        return 0
    return 2 if _LAST.fullmatch(name) else 1
