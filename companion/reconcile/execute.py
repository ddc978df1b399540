"""Execute: writes what containers mount, performs the plan, and records what was done."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from companion import __version__
from companion.desktop import ssh_config
from companion.reconcile import (
    bring,
    build_dir,
    build_places,
    carrying,
    mount_guard,
    mounted_files,
    ownership,
    recording,
    seeding,
    snapshot,
    user_settings,
)
from companion.reconcile.apply import Applier
from companion.reconcile.carrying import Carrying
from companion.reconcile.comparison import Comparison
from companion.reconcile.desire import is_needed
from companion.reconcile.image_builder import ImageBuilder
from companion.reconcile.progress import Progress
from companion.reconcile.snapshot import Snapshot
from companion.reconcile.steps import Change
from companion.reconcile.teardown import last_stop_request
from companion.spec.identity import Role
from companion.system.paths import Paths
from companion.system.project_paths import AgentPaths


def execute(home: Paths, comparison: Comparison, progress: Progress, stopped: int) -> float:
    """Write mounted files, perform the plan and record it; return the seconds of the login.

    Args:
        home: the user's paths.
        comparison: the agent's sandbox, and the plan.
        progress: receives one sentence per step.
        stopped: the last stop request for the agent before; a later one ends what is under way.

    Raises:
        CompanionError: the engine refused, or SSH does not answer.
    """
    checked, agent_paths = comparison.checked, comparison.checked.agent_paths(home)
    if not comparison.waits_for:
        build_dir.write(home, checked, comparison.desired)
    recording.claim(home, comparison)
    build_dir.write_env_example(home, checked.project)
    mounted_files.write(comparison.desired, home, checked, restarts=not comparison.waits_for)
    ssh_config.sync(home)
    brings = carrying.of(home, comparison)
    applier = _applier(home, comparison, progress, stopped, brings)
    if Role.AGENT in comparison.plan.starts:
        agent = comparison.desired.target.service(Role.AGENT)
        mount_guard.require_unshared(home, checked, agent)
    for sentence in _told_before(home, comparison):
        progress(sentence)
    login_seconds = applier.perform(comparison.plan)
    brings.carry(anew=False)
    recording.record(home, comparison, complete=True)
    _keep(agent_paths, comparison)
    if comparison.plan.change is Change.REBUILD:
        applier.remove_stale_images()
    return login_seconds


def _applier(
    home: Paths, comparison: Comparison, progress: Progress, stopped: int, brings: Carrying
) -> Applier:
    engine, target, checked = comparison.engine, comparison.desired.target, comparison.checked
    agent_paths = checked.agent_paths(home)

    def is_awaited() -> bool:
        return stopped == last_stop_request(agent_paths)

    @contextmanager
    def withdrawn_if_interrupted() -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            recording.withdraw(home, comparison)
            raise

    builder = ImageBuilder(
        engine,
        target,
        checked.ref.build(checked.config.name),
        home,
        agent_paths,
        progress,
        checked.host.build_network,
        lambda image: is_awaited() and is_needed(home, comparison, image),
        partial(build_places.find, checked.ref),
    )
    return Applier(
        engine,
        target,
        home,
        agent_paths,
        progress,
        withdrawn_if_interrupted()(builder.build),
        is_awaited,
        partial(mount_guard.prepare, home, checked),
        withdrawn_if_interrupted()(partial(seeding.seed, comparison, progress)),
        brings,
    )


def _told_before(home: Paths, comparison: Comparison) -> Iterator[str]:
    """Yield what the user learns before anything is started."""
    if Role.AGENT in comparison.plan.starts:
        if comparison.record.applied.version not in {"", __version__}:
            yield "the update of Companion is applied, too"
        agent = comparison.desired.target.service(Role.AGENT)
        yield from ownership.unwritable(agent, comparison.checked.host.uid)
    yield from bring.read(home, user_settings.read(home).bring).left_out


def _keep(agent_paths: AgentPaths, comparison: Comparison) -> None:
    """Keep this version of the sandbox for rollbacks."""
    target, parts = comparison.desired.target, comparison.parts
    version = comparison.record.applied.version if comparison.waits_for else __version__
    summary = recording.summary(comparison)
    latest = Snapshot(comparison.engine.choice, target, summary, parts, version)
    snapshot.keep(agent_paths, latest)
