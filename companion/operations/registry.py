"""The registry: add projects, and remove them or single agents."""

import shutil
from pathlib import Path

from companion.desktop import editor_settings, ssh_config
from companion.errors import Code, CompanionError
from companion.oauth import grant_store
from companion.project import discovery, kept_volumes, store, trust_store
from companion.project.model import AgentRef, Project
from companion.project.record import Written
from companion.reconcile import teardown
from companion.reconcile.progress import Progress
from companion.system import files, links, trees
from companion.system.paths import Paths


def add(home: Paths, directory: Path) -> bool:
    """Register a project without starting it; return False if it already was.

    Raises:
        CompanionError: there is no agent.yaml, or the directory's name is not UTF-8.
    """
    project = discovery.project(directory)
    discovery.require_encodable(project.directory)
    for ref in discovery.agent_refs(project):
        discovery.config_text(ref)
    return store.register(home.project(project.id), project.directory)


def remove(home: Paths, directory: Path, progress: Progress, *, volumes: bool = False) -> None:
    """Remove a project's sandboxes and forget it; keep its directory and, by default, its volumes.

    Args:
        home: the user's places.
        directory: as `list` shows it, or any other path that leads there now.
        progress: gets one sentence per step.
        volumes: remove its volumes, too.

    Raises:
        CompanionError: it is not known, or the engine does not answer.
    """
    forget(home, _find(home, files.expanded(directory)), progress, volumes=volumes)


def _find(home: Paths, directory: Path) -> str:
    """Return a project's id; the recorded directory may now be a symlink, or gone.

    Raises:
        CompanionError: it is not registered.
    """
    known = {Path(w.directory): i for i, w in store.all_projects(home).items()}
    real = files.real(directory)
    led = {files.real(path): project_id for path, project_id in known.items()}
    for found in (known.get(files.spelled(directory)), known.get(real), led.get(real)):
        if found:
            return found
    if not files.inode(directory) and directory.name == str(directory):
        what, hint = f"no sandbox is called {directory}", "`companion list` shows all of them"
        raise CompanionError(what, hint, code=Code.NOT_REGISTERED)
    listed = ", ".join(map(str, known)) or "none"
    raise CompanionError(
        f"{files.spelled(directory)} is not registered",
        f"registered: {listed}",
        code=Code.NOT_REGISTERED,
    )


def forget(home: Paths, project_id: str, progress: Progress, *, volumes: bool = False) -> None:
    """Remove the sandboxes of a project and forget it, wherever its directory is now.

    Raises:
        CompanionError: the engine does not answer.
    """
    written, project_paths = store.all_projects(home)[project_id], home.project(project_id)
    project = Project(Path(written.directory), project_id)
    for agent in written.names:
        teardown.down(home, project, agent, progress, volumes=volumes)
        _discard(home, project, written, agent, progress)
    if volumes:
        kept_volumes.forget(home, project_id, written.names)
    else:
        kept_volumes.keep(home, project_id, written)
    files.remove(project_paths.paused)
    grant_store.forget(home, project_id)
    trust_store.forget(home, project_id)
    shutil.rmtree(project_paths.root)
    ssh_config.sync(home)
    editor_settings.sync(home)


def retire(home: Paths, ref: AgentRef, progress: Progress) -> None:
    """Remove the sandbox of an agent that is no longer configured; keep its volumes and keys."""
    teardown.down(home, ref.project, ref.folder, progress, wanted="gone")
    trees.remove(links.unlinked(ref.project.directory, ref.build(ref.folder)))


def _discard(
    home: Paths, project: Project, written: Written, agent: str, progress: Progress
) -> None:
    """Remove an agent's images and keys; down() reported engines that do not answer."""
    for engine in teardown.engines_of(home, written, project.id, agent, lambda _: None):
        try:
            for tag in engine.agent_images():
                engine.discard_image(tag)
        except CompanionError as error:  # those of a cluster are on an engine of this desktop
            progress(f"images of {agent} may remain: {error}")
    record, agent_paths = written.agents.get(agent), home.project(project.id).agent(agent)
    alias = record.allocation.alias if record else ssh_config.last_alias(home, agent_paths)
    if alias:
        key = home.client_key(alias)
        for path in (key, key.with_name(f"{key.name}.pub")):
            files.remove(path)
