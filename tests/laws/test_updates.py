"""Only what its user can write restarts a sandbox that runs, after an update of Companion."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from test_cases import HERE, generated
from test_plan import each, held, lost, world

from companion import __version__
from companion.engine.model import EngineChoice, Observed
from companion.project.record import Applied
from companion.reconcile.plan import plan
from companion.reconcile.snapshot import Snapshot
from companion.reconcile.updates import definition, is_cause, running
from companion.spec.containers import Target
from companion.spec.identity import Role, digest


@pytest.fixture(scope="module")
def desired(tmp_path_factory: pytest.TempPathFactory) -> Target:
    return generated(HERE / "everything", tmp_path_factory.mktemp("updates")).target


def applied(**values: object) -> Applied:
    return replace(Applied({"coder": {"pids": "1"}}, version="0.0.9"), **values)


def test_an_update_is_the_cause_until_this_version_knows_of_a_save(desired: Target):
    edited = replace(desired, services=tuple(replace(s, pids=7) for s in desired.services))
    waiting = applied(waits_for=definition(desired))
    assert is_cause(waiting, desired)
    assert not is_cause(waiting, edited)
    assert is_cause(applied(), edited)
    assert is_cause(applied(waits_for=definition(desired).replace(__version__, "0.1.0")), edited)
    assert not is_cause(applied(version=__version__), edited)


def of_another_version(desired: Target) -> tuple[Snapshot, Observed]:
    """What was started by a version whose services had another field."""
    parts = {s.name: {**s.parts, "gone": "x"} for s in desired.services}
    seen = world(desired)
    named = (replace(c, spec=digest(parts[c.service])) for c in seen.containers)
    return Snapshot(EngineChoice("podman", "podman"), desired, None, parts), replace(
        seen, containers=tuple(named)
    )


def test_what_an_earlier_version_started_is_recognised(desired: Target):
    last, seen = of_another_version(desired)
    assert Role.AGENT in plan(desired, seen, held(desired)).starts
    assert plan(desired, last.recognised(seen), held(desired)).steps == ()


@pytest.mark.parametrize(
    ("damage", "starts"),
    [
        (lost(Role.GATEWAY), {Role.GATEWAY}),
        (each(Role.INGRESS, running=False), {Role.INGRESS}),
        (each(Role.INGRESS, spec="of another program"), {Role.INGRESS}),
        (each(Role.AGENT, running=False), {Role.AGENT}),
        (each(Role.NET, started="9999"), {Role.NET, Role.AGENT}),
    ],
    ids=["lost", "ended", "foreign", "agent", "restarted"],
)
def test_what_is_lost_beside_an_agent_is_all_that_starts_again(
    desired: Target, damage: Callable[[Observed], Observed], starts: set[Role]
):
    last, seen = of_another_version(desired)
    assert plan(desired, last.recognised(damage(seen)), held(desired)).starts == starts


def test_what_runs_is_as_it_was_started_and_should_have_loaded_what_this_version_loads(
    desired: Target,
):
    older = (replace(s, pids=7, reloads=(("old", "1"),)) for s in desired.services)
    gone = replace(desired.services[0], name="gone")
    target = replace(desired, services=(*older, gone))
    found = running(Snapshot(EngineChoice("podman", "podman"), target, None, {}), desired)
    assert [s.pids for s in found.services] == [7] * len(desired.services) + [gone.pids]
    assert [s.reloads for s in found.services] == [*(s.reloads for s in desired.services), ()]
