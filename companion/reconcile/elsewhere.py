"""Elsewhere: which engines cannot mount this desktop's files, found out once for each endpoint."""

from dataclasses import replace

from companion.config import engine_places
from companion.engine.client import Engine
from companion.engine.model import EngineChoice
from companion.engine.shared_files import are_shared
from companion.errors import Code, CompanionError
from companion.project import store
from companion.project.record import AgentRecord
from companion.reconcile import user_settings
from companion.reconcile.validate import Checked
from companion.system.paths import Paths


def wanted(home: Paths, checked: Checked, on: str | None) -> str | None:
    """Return the kind of engine or the place that a config, or the command line, chooses.

    Raises:
        CompanionError: they contradict each other, or the settings have no such place.
    """
    configured = checked.config.container_runtime
    if not on or on == configured:
        return configured
    if problem := engine_places.problem(on, user_settings.read(home).places, str(home.settings)):
        raise CompanionError(problem.what, problem.hint, code=Code.USAGE)
    if configured:
        what = f"{checked.config.name} is configured for '{configured}', so it cannot run on '{on}'"
        hint = "change `container_runtime`, or remove it: then `--on` chooses"
        raise CompanionError(what, hint, code=Code.USAGE)
    return on


def examined(
    home: Paths, checked: Checked, choice: EngineChoice, record: AgentRecord | None
) -> EngineChoice:
    """Return an engine with what is known of its files; a record of any agent tells that.

    Raises:
        CompanionError: the engine is elsewhere, or does not answer.
    """
    known = record.engine if record else None
    if known != choice:
        choice = replace(choice, shares_files=_shares_files(home, checked, choice))
    if not choice.shares_files:
        what = f"containers of {choice.label} cannot mount files of this desktop"
        hint = "use an engine of this machine: Companion cannot run sandboxes elsewhere yet"
        raise CompanionError(what, hint, code=Code.ENGINE_ELSEWHERE)
    return choice


def _shares_files(home: Paths, checked: Checked, choice: EngineChoice) -> bool:
    for _, record in store.all_records(home):
        for known in record.engines:
            if (known.name, known.endpoint) == (choice.name, choice.endpoint):
                return known.shares_files
    return are_shared(Engine(choice, checked.project.id, checked.config.name), home.state)
