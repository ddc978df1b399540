"""What does it mean to know a project, and to forget it or an agent of it?"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from companion.desktop import editor_settings, ssh_config
from companion.errors import Code, CompanionError
from companion.oauth import grant_store
from companion.project import discovery, store
from companion.project.model import AgentRef, Project
from companion.project.record import AgentRecord
from companion.reconcile import migrate, teardown
from companion.reconcile.apply import Progress
from companion.system import files
from companion.system.paths import Paths


def add(home: Paths, directory: Path) -> bool:
    """Know a project from now on, without starting it; False: it was known.

    Raises:
        CompanionError: there is no agent.yaml.
    """
    project = discovery.project(directory)
    for ref in discovery.agent_refs(project):
        discovery.config_text(ref)
    return store.register(home.project(project.id), project.directory)


def remove(home: Paths, directory: Path, progress: Progress, *, volumes: bool = False) -> None:
    """Take a project's sandboxes down and forget it; its directory stays, its volumes by default.

    Raises:
        CompanionError: it is not known, or the engine does not answer.
    """
    name = str(files.real(files.expanded(directory)))
    known = {w.directory: (i, w) for i, w in store.all_projects(home).items()}
    if name not in known:
        raise CompanionError(
            f"{name} is not registered",
            f"registered: {', '.join(known) or 'none'}",
            code=Code.NOT_REGISTERED,
        )
    project_id, written = known[name]
    project, place = Project(Path(name), project_id), home.project(project_id)
    for agent in written.agents:
        teardown.down(home, project, agent, progress, volumes=volumes)
        _forget(home, project, agent)
    place.paused.unlink(missing_ok=True)
    grant_store.forget(home, project_id)
    shutil.rmtree(place.root)
    ssh_config.sync(home)
    editor_settings.sync(home)


def retire(home: Paths, ref: AgentRef, progress: Progress) -> None:
    """Take down an agent that is not configured any more; its volumes and its keys stay."""
    teardown.down(home, ref.project, ref.folder, progress, wanted="gone")
    files.remove_tree(ref.build(ref.folder))


def _forget(home: Paths, project: Project, agent: str) -> None:
    record = store.read(home.project(project.id).agent(agent))
    if record is None:
        return
    for engine in migrate.holding_engines(
        record, project.id, agent, lambda _: None
    ):  # down() said it
        for tag in engine.agent_images():
            engine.discard_image(tag)
    for path in _client_keys(home, record):
        path.unlink(missing_ok=True)


def _client_keys(home: Paths, record: AgentRecord) -> Iterator[Path]:
    key = home.client_key(record.allocation.alias)
    yield from (key, key.with_name(f"{key.name}.pub"))
