"""Uninstall: remove everything that Companion created and nothing that the user wrote."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from companion.desktop import autostart, editor_settings, made_directories, ssh_config
from companion.engine import detection
from companion.engine.client import Engine
from companion.engine.driver import driver
from companion.engine.inventory import GATEWAY_IMAGE
from companion.engine.model import EngineChoice
from companion.errors import CompanionError
from companion.keychain import store as secrets
from companion.operations import registry, runs_made
from companion.project import kept_volumes, runs, store
from companion.project.model import Project
from companion.reconcile.progress import Progress
from companion.spec.identity import Role
from companion.system import files, locks, project_paths, trees
from companion.system.paths import Paths


@dataclass(frozen=True, slots=True)
class UninstallReport:
    """What was removed, and what could not be."""

    projects: tuple[str, ...]
    left: tuple[str, ...]
    stopped: tuple[str, ...]
    """The sandboxes that ran."""
    shared: tuple[str, ...]
    """Images of ours that sandboxes of others use: another user's, or another data directory's."""


def running(home: Paths) -> tuple[str, ...]:
    """Return the sandboxes that run now, as far as their engines answer, for people."""
    known = store.all_projects(home)
    engines = {e for w in known.values() for r in w.agents.values() for e in r.engines}
    found: set[str] = set()
    for choice in engines:
        with suppress(CompanionError):  # uninstall() names an engine that does not answer
            held = (c for c in driver(choice).containers() if c.running and c.role is Role.AGENT)
            found |= {f"{c.agent} in {known[c.project].directory}" for c in held
                      if c.project in known}  # fmt: skip
    return tuple(sorted(found))


def uninstall(home: Paths, progress: Progress, *, volumes: bool = False) -> UninstallReport:
    """Remove sandboxes, images, SSH and editor entries, autostart, keys and state.

    Your settings.yaml and all projects' own files stay; volumes do unless `volumes` says so.

    Raises:
        CompanionError: the watcher runs, or an engine that holds sandboxes does not answer; the
            next run goes on.
    """
    with locks.attempt(home.watch_lock) as mine:
        if not mine:
            raise CompanionError("companion watches the projects", "quit the tray or `watch` first")
        known = store.all_projects(home)
        if ran := running(home):
            progress(f"ending the work of {', '.join(ran)}")
        engines = {e for w in known.values() for r in w.agents.values() for e in r.engines}
        if any(written.broken for written in known.values()):
            engines |= {choice for choice in detection.installed() if Engine(choice).answers()}
        for project_id, written in known.items():
            directory = Path(written.directory)
            progress(f"forgetting {directory}")
            registry.forget(home, project_id, progress, volumes=volumes)
            if files.real(directory) == directory or _is_build_of(directory, project_id):
                trees.remove(Project(directory, project_id).build)
        silent = tuple(_remove_kept(home, progress)) if volumes else ()
        with_images = [choice for choice in engines if isinstance(choice, EngineChoice)]
        silent += tuple(_discard_images(with_images))
        shared = tuple(_shared_images(with_images))
        left = tuple(
            f"{s.found.settings}: {s.problem}" for s in editor_settings.remove(home) if s.problem
        )
        autostart.turn_off(home)
        silent += (*_exclude(home), *_forget_secrets(home))
        made = made_directories.clear(home)
        for run in runs.all_of_user(home):  # a worktree may hold work, so it stays
            runs_made.take_back(home, replace(run, worktree=None))
    for ours in (home.data, *(() if left else (home.state,))):
        trees.remove(ours)
    made_directories.remove(made)
    projects = tuple(w.directory for w in known.values())
    return UninstallReport(projects, (*left, *silent), ran, shared)


def _remove_kept(home: Paths, progress: Progress) -> Iterator[str]:
    """Remove the volumes of projects that were removed earlier; yield those that remain."""
    for project_id, kept in kept_volumes.all_of_user(home):
        progress(f"removing the volumes of {kept.directory}")
        for engine, agent in product(kept.engines, kept.agents):
            try:
                driver(engine, project_id, agent).remove_volumes()
            except CompanionError as error:
                yield f"volumes of {kept.directory}: {error}"


def _exclude(home: Paths) -> Iterator[str]:
    """Remove our line from the user's ~/.ssh/config; yield why it cannot be."""
    try:
        ssh_config.exclude(home)
    except CompanionError as error:
        yield f"our line in {home.user_ssh_config}: {error}"


def _forget_secrets(home: Paths) -> Iterator[str]:
    """Remove the user's secrets from the keychain; yield those that cannot be removed."""
    names: list[str] = []
    try:
        names += secrets.held(home)
        while names:
            secrets.remove(home, names[0])
            names.pop(0)
    except CompanionError as error:
        what = f"the keychain's entries companion/{', '.join(names)}: " if names else ""
        yield f"{what}{error.problems[0].what}"


def _is_build_of(directory: Path, project_id: str) -> bool:
    """Tell whether the generated files in a directory that is now a symlink are the project's."""
    files_there = Project(directory, project_id).build.glob(f"*/{project_paths.COMPOSE_NAME}")
    return any(project_id in (files.read_text(file) or "") for file in files_there)


def _discard_images(engines: Iterable[EngineChoice]) -> Iterator[str]:
    """Remove what belongs to no single agent; yield what cannot be removed."""
    for engine in map(Engine, engines):
        try:
            for image in engine.unused_images(keep=""):
                engine.discard_image(image)
        except CompanionError as error:
            yield f"what {engine.choice.name} holds: {error}"


def _shared_images(engines: Iterable[EngineChoice]) -> Iterator[str]:
    """Yield the gateway images that remain, because containers of others use them."""
    for engine in map(Engine, engines):
        with suppress(CompanionError):
            yield from sorted(tag for tag in engine.images() if tag.startswith(GATEWAY_IMAGE))
