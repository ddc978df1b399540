"""Elsewhere: which engines cannot mount this desktop's files, found out once for each endpoint."""

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from companion.config import engine_places
from companion.engine import detection, machine
from companion.engine.client import Engine
from companion.engine.driver import Driver
from companion.engine.model import Choice, ClusterChoice, EngineChoice
from companion.engine.shared_files import are_shared
from companion.errors import Code, CompanionError, ConfigError, EngineError, Problem
from companion.project import store
from companion.project.record import AgentRecord
from companion.reconcile import gateway_services, on_cluster, trust, user_settings
from companion.reconcile.validate import Checked
from companion.sandbox import repositories
from companion.sandbox.model import mount_file
from companion.sandbox.powers import Kind
from companion.sandbox.repositories import GitFacts
from companion.spec.containers import Target
from companion.spec.identity import Role
from companion.system import files
from companion.system.paths import Paths

_MISLED = (
    "mount both at their own paths, or clone the repository in the sandbox; what lies below /root,"
    " /run and /tmp must be moved for that, as a sandbox has its own"
)
"""What to do about a worktree that names a path of the desktop."""


def wanted(home: Paths, checked: Checked, on: str | None) -> str | None:
    """Return the kind of engine or the place that a config, or the command line, chooses.

    Raises:
        CompanionError: they contradict each other, or the settings have no such place.
    """
    configured = checked.config.container_runtime
    if not on or on == configured:
        return configured
    require_place(home, on)
    if configured:
        what = f"{checked.config.name} is configured for '{configured}', so it cannot run on '{on}'"
        hint = "change `container_runtime`, or remove it: then `--on` chooses"
        raise CompanionError(what, hint, code=Code.USAGE)
    return on


def require_place(home: Paths, name: str) -> None:
    """Require that a name is a kind of engine, or a place of the settings.

    Raises:
        CompanionError: it is neither.
    """
    if problem := engine_places.problem(name, user_settings.read(home).places, str(home.settings)):
        raise CompanionError(problem.what, problem.hint, code=Code.USAGE)


def unasked(home: Paths, checked: Checked, record: AgentRecord | None) -> Choice | None:
    """Return the place that a config chooses before its user agreed to that, else None.

    The place itself is the user's own. But whoever wrote the config would decide that the desktop
    logs in there, so nothing is asked of it, not even whether it answers, unless the sandbox is
    there already.
    """
    name, places = checked.config.container_runtime, user_settings.read(home).places
    if name is None or name not in places or trust.allows(home, checked, Kind.PLACE):
        return None
    choice = detection.unasked(name, places[name])
    known = record.engine if record else None
    return None if known and (known.place, known.defined) == (name, choice.defined) else choice


def examined(
    home: Paths, checked: Checked, choice: Choice, record: AgentRecord | None, *, tries: bool
) -> Choice:
    """Return an engine with what is known of its files; a record of any agent tells that.

    Where none does, the engine is tried, or else judged by its address.

    Raises:
        CompanionError: the engine is elsewhere and cannot mount something, or does not answer.
    """
    if isinstance(choice, ClusterChoice):
        if problems := tuple(on_cluster.problems(checked)):
            raise ConfigError(problems)
        return choice
    if (record.engine if record else None) != choice:
        known = recorded(home, choice)
        if not known and not tries:
            known = replace(choice, shares_files=choice.is_here)
        choice = known or _seen(home, checked, choice)
    if not choice.shares_files and (problems := tuple(_mounted(home, checked, choice))):
        raise ConfigError(problems)
    return choice


def refreshed(engine: Driver, target: Target, held: Collection[str]) -> Choice:
    """Return an engine elsewhere with the networks that its machine has now; else as it is.

    A cluster is asked which fence it admits.

    Args:
        engine: the agent on its engine.
        target: what is to be there.
        held: the tags of the images that are there.

    Raises:
        EngineError: a cluster admits no fence, or does not answer.
    """
    choice = engine.choice
    if isinstance(choice, ClusterChoice):
        from companion.kubernetes import fences  # noqa: PLC0415 - few have a cluster

        return fences.admitted(choice, engine.project, target)
    images = [i.tag for i in target.images if i.role is Role.GATEWAY and i.tag in held]
    if choice.shares_files or not images:
        return choice
    asked = Engine(choice, engine.project, engine.agent)
    with suppress(EngineError):  # what follows says why, or does without
        return replace(choice, networks=machine.networks(asked, images[0]))
    return choice


def _mounted(home: Paths, checked: Checked, choice: Choice) -> Iterator[Problem]:
    """Yield a problem for what a config mounts of this desktop, unless it is copied there."""
    place = user_settings.read(home).places.get(choice.place)
    places = {power.origin: power.place for power in checked.powers if power.origin}
    hint = "mount a volume, such as work:/work, and use git to bring work there and back"
    if place and not place.seed:
        hint += f"; or have it copied there once: `seed: true` for {choice.place} in settings.yaml"
    misled = set(repositories.misled(_repositories(checked)))
    for mount in checked.contribution.mounts:
        real = "" if mount.is_volume else checked.found[mount_file(mount)].real
        if real and not (place and place.seed and files.is_directory(Path(real))):
            what = f"{mount.source} is on this desktop, and {choice.label} cannot mount it"
            yield Problem(what, hint, places.get(mount.origin), Code.ENGINE_ELSEWHERE)
        elif real and mount.target in misled:
            what = f"git would not find the repository of {mount.source} on {choice.label}"
            yield Problem(what, _MISLED, places.get(mount.origin), Code.ENGINE_ELSEWHERE)


def _repositories(checked: Checked) -> Iterator[tuple[str, GitFacts]]:
    for mount in checked.contribution.mounts:
        facts = None if mount.is_volume else checked.found[mount_file(mount)].git
        if facts:
            yield mount.target, facts


def recorded(home: Paths, choice: EngineChoice) -> EngineChoice | None:
    """Return an engine with what the record of any agent knows of its endpoint."""
    for _, record in store.all_records(home):
        for known in record.engines:
            if (known.name, known.endpoint) == (choice.name, choice.endpoint):
                return replace(choice, shares_files=known.shares_files, networks=known.networks)
    return None


def _seen(home: Paths, checked: Checked, choice: EngineChoice) -> EngineChoice:
    """Return an engine with what it shows: whether it mounts our files, else its networks."""
    engine = Engine(choice, checked.project.id, checked.config.name)
    if are_shared(engine, home.state):
        return choice
    base = checked.host.image(gateway_services.GATEWAY_BASE)
    return replace(choice, shares_files=False, networks=machine.networks(engine, base))
