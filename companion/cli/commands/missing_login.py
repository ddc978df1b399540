"""A run whose agent has no credential for its model: says so, and offers to log in."""

from contextlib import suppress

from companion.cli import parser
from companion.cli.commands import login
from companion.cli.output import ask, comment, report
from companion.errors import CompanionError, Problem
from companion.operations import runs_made
from companion.project.model import AgentRef
from companion.project.runs import Run
from companion.reconcile.validate import check
from companion.system.paths import Paths


def offer(home: Paths, made: Run, *, asks: bool) -> None:
    """Say that an agent has no credential for its model, and on a terminal offer to log in."""
    problems = _problems(home, made)
    if not problems:
        return
    if not asks:
        report(problems[:1], label="warning")
        return
    comment(problems[0].what)
    command = ("-C", str(runs_made.project_of(home, made).directory), "login")
    question = "Log in now? [Y/n] "
    while ask(question, at_the_end="n").lower() in {"", "y", "yes"}:
        try:
            done = login.login(parser.parse(parser.split(command)))
        except CompanionError as error:  # the sandbox can be started all the same
            report(error.problems, label="warning")
            question = "Try again? [Y/n] "
        else:
            comment("\n".join(one for one in done.text.splitlines() if "companion up" not in one))
            break
    else:
        comment(f"starting without a credential: {problems[0].hint} later")
    runs_made.remember(home, made)


def words(home: Paths, made: Run) -> str:
    """Say what an agent program lacks to work; "": nothing."""
    with suppress(CompanionError):  # the sandbox runs, whatever was saved since
        return "; ".join(f"{one.what}: {one.hint}" for one in _problems(home, made))
    return ""


def _problems(home: Paths, made: Run) -> tuple[Problem, ...]:
    return check(home, AgentRef(runs_made.project_of(home, made))).login_problems
