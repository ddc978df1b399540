"""Unsaved work: refuses to remove the worktree of a run while work would be lost with it."""

import shlex

from companion.engine.driver import driver
from companion.errors import Code, CompanionError
from companion.project import store
from companion.project.model import Project
from companion.project.runs import Run
from companion.reconcile.desired import is_seed
from companion.system import worktrees
from companion.system.paths import Paths
from companion.system.worktrees import Worktree

_SHOWN = 10
"""Files and commits that a message names at most."""


def require_nothing_lost(run: Run, worktree: Worktree) -> None:
    """Check that the worktree of a run can be removed without losing work.

    Raises:
        CompanionError: names what would be lost.
    """
    lost = worktrees.loss(worktree)
    if not lost:
        return
    lines = [lost.unknown] if lost.unknown else []
    lines += [f"not committed: {name}" for name in lost.changes[:_SHOWN]]
    lines += [f"only on {worktree.branch}: {commit}" for commit in lost.commits[:_SHOWN]]
    if more := sum(max(0, len(one) - _SHOWN) for one in (lost.changes, lost.commits)):
        lines.append(f"and {more} more")
    what = f"removing {worktree.directory} would lose work:"
    details = "\n".join(f"  {line}" for line in lines)
    hint = f"commit and merge or push it; or lose it: `companion remove {run.name} --discard`"
    raise CompanionError(f"{what}\n{details}", hint, code=Code.WORK_UNSAVED)


def require_no_copy(home: Paths, project: Project, run: Run) -> None:
    """Check that no copy of a run's worktree is elsewhere, where its work cannot be judged.

    Raises:
        CompanionError: names the copy and its engine, or the record that would name them.
    """
    written, lose = store.of_project(home, project), f"`companion remove {run.name} --discard`"
    for damaged in written.broken.values():
        what = f"{run.name} may have work on another machine: {damaged.what}"
        hint = f"if it never ran on one, remove that file; or lose its work: {lose}"
        raise CompanionError(what, hint, code=Code.WORK_UNSAVED)
    for agent, record in written.agents.items():
        for choice in (one for one in record.engines if not one.shares_files):
            engine = driver(choice, project.id, agent)
            if engine.answers() and not any(is_seed(agent, name) for name in engine.volumes()):
                continue
            what = f"{run.name} may have work on {choice.label}, in its copy of {run.directory}"
            down = f"`companion -C {shlex.quote(run.directory)} down --volumes`"
            hint = f"bring it back by git or `companion cp`, then run {down}; or lose it: {lose}"
            raise CompanionError(what, hint, code=Code.WORK_UNSAVED)
