"""Edits of a sandbox that runs: what `run` applies before it attaches a terminal."""

from argparse import Namespace

from companion.cli import live
from companion.cli.commands import trust
from companion.cli.output import ask, comment, report
from companion.errors import Code, CompanionError, Problem
from companion.project.model import AgentRef
from companion.reconcile import run
from companion.reconcile.compare import preview
from companion.reconcile.comparison import Restarts
from companion.spec.identity import Role
from companion.system.paths import Paths


def apply(home: Paths, ref: AgentRef, arguments: Namespace, *, asks: bool) -> None:
    """Apply what was edited since a sandbox was started; if that fails, say that it runs on.

    What would end an agent's terminal is applied only if the user says so when asked.

    Raises:
        CompanionError: the user does not want to attach to it as it is.
    """
    try:
        trust.offer(home, ref.project, "Apply it", arguments)
        seen = preview(home, ref, Restarts.EDITED)
        if Role.AGENT in seen.plan.starts and not _may_end_them(asks=asks):
            return
        if seen.update_waits:
            comment(f"{seen.update_waits}: `companion restart {seen.checked.config.name}`")
        with live.of_one(ref.folder, raw=arguments.verbose) as progress:
            run.reconcile(home, ref, progress, restarts=Restarts.EDITED, only_if_changed=True)
    except CompanionError as error:
        report(error.problems, label="warning")
        comment("what was edited is not applied; the sandbox keeps running as it was")
        if asks and ask("Attach to it? [Y/n] ", at_the_end="n").lower() not in {"", "y", "yes"}:
            what = "no terminal was attached"
            raise CompanionError(what, code=Code.CONFIRMATION_REQUIRED) from None


def _may_end_them(*, asks: bool) -> bool:
    """Ask whether to restart the agent's container; nobody to ask, and `--yes`, mean no."""
    what = (
        "the sandbox's files were edited; applying them restarts it, and ends the agent's terminal"
    )
    if asks:
        comment(what)
        return ask("Apply them now? [Y/n] ", at_the_end="n").lower() in {"", "y", "yes"}
    not_now = Problem(f"{what}; nothing was applied", "`companion up` applies them")
    report([not_now], label="warning")
    return False
