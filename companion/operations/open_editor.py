"""Open a sandbox in an editor or terminal: how editors see it, and the directory to open."""

from companion.desktop import editor_settings
from companion.errors import CompanionError
from companion.project import store
from companion.project.model import Project
from companion.system.paths import Paths
from editors.base import Remote


def remote(home: Paths, project: Project, agent: str) -> Remote:
    """Return an agent as editors see it.

    Raises:
        CompanionError: it was never started, or takes no logins.
    """
    written = store.of_project(home, project)
    record, agents = written.agent(agent), written.agents
    if record is None or not record.allocation.ssh_port:
        known = ", ".join(n for n, r in agents.items() if r.allocation.ssh_port) or "none"
        what = f"there is no agent '{agent}' that takes logins in {project.directory}"
        raise CompanionError(what, f"known: {known}; an agent needs the ssh plugin")
    return editor_settings.remote(agent, record)


def folder(remote: Remote, path: str | None) -> str:
    """Return the absolute directory to open: the workdir, or a path relative to it."""
    base = remote.workdir or "/"
    return base if path is None else path if path.startswith("/") else f"{base}/{path}"
