"""Only what its user can write restarts a sandbox that runs, after an update of Companion."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from test_cases import HERE, generated
from test_plan import each, held, lost, world
from test_secret_values import CONFIG, RECORD

from companion import __version__
from companion.engine.model import Observed
from companion.project.discovery import project
from companion.project.model import AgentRef
from companion.project.record import AgentRecord, Applied
from companion.reconcile.plan import Change, without_starts
from companion.reconcile.updates import definition, inputs, is_cause, runs_as_started
from companion.reconcile.validate import check
from companion.spec.containers import Target
from companion.spec.identity import Role
from companion.system.paths import Paths

KEPT = {
    "a comment": ("name:", "# mine\nname:"),
    "a host": ("runtime: codex", "runtime: codex\negress: {mode: listed, allow: [a.test]}"),
}
CHANGED = {
    "a limit": ("runtime: codex", "runtime: codex\nlimits: {pids: 99}"),
    "a feature": ("features:", "features:\n  - plugin: ssh"),
    "a script": ("features:", "features:\n  - {plugin: custom-runtime, home_override: home}"),
}


@pytest.fixture(scope="module")
def desired(tmp_path_factory: pytest.TempPathFactory) -> Target:
    return generated(HERE / "everything", tmp_path_factory.mktemp("updates")).target


@pytest.fixture
def made_of(tmp_path: Path) -> Callable[[str], str]:
    home = Paths(tmp_path, *(tmp_path / name for name in ("config", "data", "state", "programs")))
    directory = tmp_path / "project"
    (directory / "home").mkdir(parents=True)
    (directory / "home/notes").write_text("one")

    def of(text: str) -> str:
        (directory / "agent.yaml").write_text(text)
        return inputs(check(home, AgentRef(project(directory))), RECORD)

    return of


@pytest.mark.parametrize("edit", KEPT.values(), ids=KEPT)
def test_what_means_the_same_or_reloads_is_no_other_input(
    made_of: Callable[[str], str], edit: tuple[str, str]
):
    assert made_of(CONFIG) == made_of(CONFIG.replace(*edit))


@pytest.mark.parametrize("edit", CHANGED.values(), ids=CHANGED)
def test_what_the_user_writes_is_an_input(made_of: Callable[[str], str], edit: tuple[str, str]):
    assert made_of(CONFIG) != made_of(CONFIG.replace(*edit))


def test_the_content_of_a_file_that_agent_yaml_names_is_an_input(
    made_of: Callable[[str], str], tmp_path: Path
):
    text = CONFIG.replace(*CHANGED["a script"])
    before = made_of(text)
    (tmp_path / "project/home/notes").write_text("two")
    assert made_of(text) != before


def applied(**values: object) -> Applied:
    return replace(Applied(version="0.0.9", inputs="same"), **values)


def test_an_update_is_the_cause_while_the_inputs_are_those_of_the_last_apply(desired: Target):
    assert is_cause(applied(), desired, "same")
    assert is_cause(applied(inputs=""), desired, "unknown before")
    assert not is_cause(applied(), desired, "edited")
    assert not is_cause(applied(version=__version__), desired, "same")


def test_a_save_that_reloads_leaves_an_update_waiting_and_one_that_restarts_does_not(
    desired: Target,
):
    waiting = applied(waits_for=definition(desired))
    assert is_cause(waiting, desired, "edited")
    agent = desired.service(Role.AGENT)
    others = tuple(s for s in desired.services if s is not agent)
    edited = replace(desired, services=(*others, replace(agent, pids=7)))
    assert not is_cause(waiting, edited, "edited")


@pytest.mark.parametrize(
    ("damage", "runs"),
    [
        (lambda seen: seen, True),
        (lost(Role.GATEWAY), False),
        (each(Role.AGENT, running=False), False),
        (each(Role.INGRESS, spec="of another program"), False),
        (each(Role.NET, started="9999"), False),
        (each(Role.NET, id="another"), False),
    ],
    ids=["whole", "lost", "ended", "foreign", "restarted", "replaced"],
)
def test_only_a_whole_sandbox_stays_as_it_is(
    desired: Target, damage: Callable[[Observed], Observed], runs: bool
):
    assert runs_as_started(damage(world(desired)), held(desired).applied) is runs


def test_nothing_that_was_never_started_runs(desired: Target):
    assert not runs_as_started(world(desired), Applied())


def test_what_waits_for_a_restart_still_loads_what_changed(desired: Target):
    record = held(desired)
    assert without_starts(desired, world(desired), record).steps == ()
    unloaded: AgentRecord = replace(record, applied=replace(record.applied, loaded={}))
    todo = without_starts(desired, Observed(unreachable=True), unloaded)
    assert (todo.change, bool(todo.steps), todo.starts) == (Change.RELOAD, True, frozenset())
