"""How is a project's sandbox right now? A project that cannot be read is a value, not an error."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from companion import observe, state_file
from companion.check import Checked, check
from companion.engine import Engine, detect
from companion.errors import CompanionError, Problem
from companion.paths import Paths
from companion.services import Network, Role
from companion.state import AgentRecord, Container, Written

ABSENT, PARTIAL, RUNNING, STOPPED = "absent", "partial", "running", "stopped"


@dataclass(frozen=True, slots=True)
class Status:
    """One agent's sandbox; `problems` say why it may not be what its config says."""

    agent: str
    directory: str
    state: str
    alias: str
    ssh_port: int | None
    host_address: str
    """The desktop's address as the gateway sees it: host.containers.internal."""
    engine: str
    egress: str
    services: tuple[tuple[str, str], ...]
    problems: tuple[Problem, ...]


def status(home: Paths, directory: Path) -> Status:
    """Return the status of the project in `directory`.

    Raises:
        CompanionError: there is no such directory, or no engine answers.
    """
    project = observe.project(directory)
    written = state_file.read(home.project(project.id), project.directory)
    checked, problems = _checked(home, project)
    wanted = checked.config.container_runtime if checked else None
    engine = Engine(detect(wanted, written.engine), project.id)
    containers = engine.containers()
    name = checked.config.name if checked else _remembered(written)
    record = written.agents.get(name)
    return Status(
        agent=name,
        directory=str(project.directory),
        state=state_of(containers),
        alias=record.allocation.alias if record else "",
        ssh_port=record.allocation.ssh_port if record else None,
        host_address=_host_address(record),
        engine=engine.choice.name,
        egress=checked.config.egress.mode if checked else "unknown",
        services=tuple((c.service, c.status) for c in containers),
        problems=problems,
    )


def _checked(home: Paths, project: observe.Project) -> tuple[Checked | None, tuple[Problem, ...]]:
    try:
        checked = check(home, project)
    except CompanionError as error:
        return None, error.problems
    return checked, checked.missing


def _host_address(record: AgentRecord | None) -> str:
    if record is None:
        return ""
    return Network("default", record.allocation.egress_subnet, internal=False).address(1)


def _remembered(written: Written) -> str:
    return next(iter(written.agents), "")


def state_of(containers: Iterable[Container]) -> str:
    """Return one word: all three run, some, none although they exist, or nothing exists."""
    running = {c.role for c in containers if c.running}
    if running == set(Role):
        return RUNNING
    if running:
        return PARTIAL
    return STOPPED if list(containers) else ABSENT
