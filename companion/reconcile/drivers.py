"""Drivers: the engine that an agent is on, or gets."""

from companion.engine.detection import detect, pinned
from companion.engine.driver import Driver, driver
from companion.engine.model import Choice, EngineChoice
from companion.engine.shared_lists import SharedLists
from companion.project.record import AgentRecord
from companion.reconcile import elsewhere, user_settings
from companion.reconcile.validate import Checked
from companion.system.paths import Paths


def engine_of(
    home: Paths,
    checked: Checked,
    record: AgentRecord | None,
    on: str | None = None,
    *,
    tries: bool = True,
    lists: SharedLists | None = None,
) -> Driver:
    """Return the configured engine, else the agent's current one, else one that is running.

    Args:
        home: the user's paths.
        checked: the agent.
        record: what is recorded of it.
        on: the engine or place to use where the config does not choose one.
        tries: find out whether an unknown engine can mount files of this desktop.
        lists: what the agents of a project share that are looked at together.

    Raises:
        CompanionError: the engine is not installed or does not answer.
    """
    wanted = elsewhere.wanted(home, checked, on)
    known, places = record.engine if record else None, user_settings.read(home).places
    choice = detect(wanted, known, places)
    if isinstance(choice, EngineChoice):
        choice = pinned(choice)
    seen = elsewhere.examined(home, checked, choice, record, tries=tries)
    return engine_at(home, checked, seen, lists)


def engine_at(
    home: Paths, checked: Checked, choice: Choice, lists: SharedLists | None = None
) -> Driver:
    """Return the driver of a chosen engine for the agent."""
    files = str(checked.agent_paths(home).root)
    return driver(choice, checked.project.id, checked.config.name, files, lists)
