"""What must be before an editor or a terminal can get into a sandbox? It runs, and is reachable."""

from pathlib import Path

from companion import desktop, observe, reconcile, state_file, status
from companion.apply import Progress
from companion.errors import CompanionError
from companion.paths import Paths
from companion.state import Health
from editors.base import Remote


def start(home: Paths, directory: Path, agent: str, progress: Progress) -> None:
    """Start the sandbox of an agent unless it runs.

    Raises:
        CompanionError: it does not start.
    """
    seen = status.status(home, directory)
    if seen.condition.health is Health.RUNNING and seen.agent == agent:
        desktop.sync(home)
        return
    reconcile.reconcile(home, directory, progress)


def remote(home: Paths, directory: Path, agent: str) -> Remote:
    """Return an agent as editors see it.

    Raises:
        CompanionError: it was never started, or takes no logins.
    """
    project = observe.project(directory)
    written = state_file.read(home.project(project.id), project.directory)
    record = written.agents.get(agent)
    if record is None or not record.allocation.ssh_port:
        known = ", ".join(n for n, r in written.agents.items() if r.allocation.ssh_port) or "none"
        what = f"there is no agent '{agent}' that takes logins in {project.directory}"
        raise CompanionError(what, f"known: {known}; an agent needs the ssh plugin")
    return Remote(record.allocation.alias, agent, record.workdir, record.acp_command)


def folder(remote: Remote, path: str | None) -> str:
    """Return the absolute folder to open: the workdir, or a path that may be relative to it."""
    base = remote.workdir or "/"
    return base if path is None else path if path.startswith("/") else f"{base}/{path}"
