"""Commands: which of Companion's own commands a click runs in a terminal."""

from companion.daemon.view import AgentView
from companion.project import runs
from companion.project.runs import Run
from companion.system import process, programs
from companion.system.paths import Paths
from companion.tray.clicks import Click, Verb

OF_SANDBOX = frozenset({
    Verb.ANSWER,
    Verb.AUTHORIZE,
    Verb.BUILD_LOG,
    Verb.LOGS,
    Verb.LOG_IN,
    Verb.NETWORK,
    Verb.REVIEW,
    Verb.UPGRADE,
})  # fmt: skip
"""Clicks that run a command about one sandbox."""


def words(home: Paths, agent_view: AgentView, click: Click) -> tuple[str, ...]:
    """Return the command of a click about a sandbox."""
    agent = agent_view.agent
    where = ("-C", str(agent_view.ref.project.directory))
    match click.verb:
        case Verb.ANSWER:
            run = runs.of_project(home, agent_view.ref.project)
            return ("run", "--name", run.name, run.directory) if run else (*where, "ssh", agent)
        case Verb.AUTHORIZE:
            return (*where, "oauth", click.name)
        case Verb.BUILD_LOG:
            return (*where, "logs", agent, "--build")
        case Verb.LOGS:
            return (*where, "logs", agent, "--follow")
        case Verb.LOG_IN:
            return (*where, "login", agent)
        case Verb.NETWORK:
            return (*where, "network", agent, "--follow")
        case Verb.REVIEW:
            return (*where, "trust")
        case _:
            return (*where, "upgrade", agent)


def kept(directory: str, made: Run | None) -> str:
    """Return what the removal of a project in a directory keeps, and what it takes."""
    if made and made.worktree:
        branch = f" and its branch {made.worktree.branch}" if made.worktree.makes_branch else ""
        goes = f"Removes the worktree {made.directory}{branch}, unless work would be lost."
        return f"{goes} Its volumes stay."
    return f"Its files in {made.directory if made else directory} and its volumes stay."


def show(*command: str) -> None:
    """Run one of our commands in a terminal whose window stays until the user has read it.

    Raises:
        CompanionError: there is no terminal that we know.
    """
    argv = programs.staying(programs.companion(*command))
    process.launch(programs.terminal(argv))
