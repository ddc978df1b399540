"""What must be before an editor or a terminal can get into a sandbox? It runs, and is reachable."""

from companion import desktop, editing, reconcile, state_file
from companion.apply import Progress
from companion.errors import CompanionError
from companion.paths import Paths
from companion.seats import Project, Seat
from companion.state import Health
from companion.status import status_of
from editors.base import Remote


def start(home: Paths, seat: Seat, progress: Progress) -> None:
    """Start the sandbox of an agent unless it runs.

    Raises:
        CompanionError: it does not start.
    """
    if status_of(home, seat).condition.health is Health.RUNNING:
        desktop.sync(home)
    else:
        reconcile.reconcile(home, seat, progress)


def remote(home: Paths, project: Project, agent: str) -> Remote:
    """Return an agent as editors see it.

    Raises:
        CompanionError: it was never started, or takes no logins.
    """
    agents = state_file.of_project(home, project).agents
    record = agents.get(agent)
    if record is None or not record.allocation.ssh_port:
        known = ", ".join(n for n, r in agents.items() if r.allocation.ssh_port) or "none"
        what = f"there is no agent '{agent}' that takes logins in {project.directory}"
        raise CompanionError(what, f"known: {known}; an agent needs the ssh plugin")
    return editing.remote(agent, record)


def folder(remote: Remote, path: str | None) -> str:
    """Return the absolute folder to open: the workdir, or a path that may be relative to it."""
    base = remote.workdir or "/"
    return base if path is None else path if path.startswith("/") else f"{base}/{path}"
