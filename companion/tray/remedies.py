"""Remedies: the click that leads to what can be done about a problem. Pure."""

import re

from companion.daemon.view import AgentView
from companion.engine.model import Health
from companion.errors import Code, Problem
from companion.tray.clicks import Click, Verb

_LOGIN = re.compile(r"`companion login ")
_OAUTH = re.compile(r"`companion oauth ([A-Za-z0-9_-]+)`")
_SECRET = re.compile(r"`companion secret set ([A-Za-z_][A-Za-z0-9_]*)`")
_OF_ENGINE = frozenset({Code.NO_ENGINE, Code.ENGINE_SILENT, Code.ENGINE_DENIED})
Remedy = tuple[str, Click]
"""The label of a button, and what it does."""


def remedy(agent_view: AgentView) -> Remedy | None:
    """Return what the user can do about a sandbox that needs them; None: nothing is wrong."""
    if agent_view.review:
        return "Review what it asks for…", Click(Verb.REVIEW, agent_view.id)
    if problem := agent_view.trouble or agent_view.changed_git or agent_view.login_problem:
        return of_problem(agent_view.id, problem)
    if agent_view.health is Health.CRASHED:
        return "Show its logs", Click(Verb.LOGS, agent_view.id)
    return None


def of_problem(sandbox: str, problem: Problem) -> Remedy:
    """Return what the user can do about a problem.

    Only commands of a fixed list come from its hint, each with a name and nothing else: what an
    agent.yaml makes a message say decides no other.
    """
    if problem.code is Code.BUILD_FAILED:
        return "Show the build log", Click(Verb.BUILD_LOG, sandbox)
    if problem.code in _OF_ENGINE:
        return "Run doctor", Click(Verb.DOCTOR)
    if _LOGIN.search(problem.hint):
        return "Log in…", Click(Verb.LOG_IN, sandbox)
    if found := _OAUTH.search(problem.hint):
        return f"Authorize {found[1]}…", Click(Verb.AUTHORIZE, sandbox, name=found[1])
    if problem.code is Code.SECRET_MISSING and (found := _SECRET.search(problem.hint)):
        return f"Set {found[1]}…", Click(Verb.SECRET, sandbox, name=found[1])
    if problem.place:
        file = problem.place.file
        label = f"Open {file.rpartition('/')[2]}"
        return label, Click(Verb.EDIT, sandbox, file=file)
    return "Open log", Click(Verb.LOG, sandbox)
