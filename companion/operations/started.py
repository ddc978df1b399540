"""Started: commands that need a running sandbox start a stopped one first."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from companion.engine.detection import detect
from companion.engine.driver import driver
from companion.engine.model import Health
from companion.operations.condition import health_of
from companion.project import store
from companion.project.model import Project
from companion.project.record import AgentRecord
from companion.system.paths import Paths

if TYPE_CHECKING:
    from companion.reconcile.run import Report

WHOLE = frozenset({Health.RUNNING})
INSIDE = frozenset({Health.RUNNING, Health.BROKEN})
"""What a command in the agent's own container needs; by one you find out what broke the rest."""


def ensure(
    home: Paths,
    project: Project,
    agent: str,
    progress: Callable[[str], None],
    *,
    even_first: bool = False,
    enough: frozenset[Health] = WHOLE,
) -> AgentRecord:
    """Start the sandbox of an agent unless it runs, and return its record.

    If it runs, this costs one call to the engine. `progress` is told what is about to be done.

    Args:
        home: the user's paths.
        project: the agent's project.
        agent: the agent's name.
        progress: receives one sentence per step.
        even_first: also start an agent that was never started.
        enough: the conditions in which it is left as it is.

    Raises:
        UntrustedError: it opens more than its user agreed to.
        CompanionError: it was never started, or does not start.
    """
    written = store.of_project(home, project)
    record = written.agent(agent)
    if record is None and not even_first:
        raise store.unknown_agent(agent, project, written.names)
    health = _health(project, agent, record) if record else Health.ABSENT
    if record and health in enough:
        return record
    from companion.project import inventory  # noqa: PLC0415 - start-up time is a budget
    from companion.reconcile import run  # noqa: PLC0415
    from companion.reconcile.comparison import Restarts  # noqa: PLC0415

    was = f"{agent} is {'stopped' if health is Health.ABSENT else health}; starting it"
    progress(was if record else f"starting {agent}")
    ref = inventory.find_agent(home, project, agent)
    tell_waiting(run.reconcile(home, ref, progress, restarts=Restarts.EDITED), progress)
    now = store.of_project(home, project)
    if (record := now.agent(agent)) is None:
        raise store.unknown_agent(agent, project, now.names)
    return record


def tell_waiting(report: "Report", progress: Callable[[str], None]) -> None:
    """Tell how an update of Companion takes effect, if it waits for that."""
    if report.update_waits:
        progress(f"{report.update_waits}: `companion restart {report.agent}`")


def is_running(home: Paths, project: Project, agent: str) -> bool:
    """Tell whether the whole sandbox of an agent runs; this costs one call to the engine."""
    record = store.of_project(home, project).agent(agent)
    return record is not None and _health(project, agent, record) in WHOLE


def has_agent(home: Paths, project: Project, agent: str) -> bool:
    """Tell whether an agent that is wanted up is at work: a restart would end that.

    Raises:
        CompanionError: its engine does not answer, so nobody can tell.
    """
    record = store.of_project(home, project).agent(agent)
    if record is None or record.wanted != "up":
        return False
    return _health(project, agent, record) in INSIDE


def _health(project: Project, agent: str, record: AgentRecord) -> Health:
    if record.engine is None:
        return Health.ABSENT
    engine = driver(detect(None, record.engine), project.id, agent)
    known = record.applied.parts
    return health_of(engine.containers(known), known)
