"""A plan leads to what is desired, does no more, and starts things in an order that works."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_cases import HERE, generated

from companion.engine.model import Container, Observed
from companion.project.record import AgentRecord, Applied
from companion.reconcile.plan import (
    BuildImage,
    Change,
    CreateNetwork,
    Plan,
    Reload,
    Remove,
    RemoveNetwork,
    Start,
    plan,
)
from companion.sandbox.model import Allocation
from companion.spec.containers import Role, Target


@pytest.fixture(scope="module")
def desired(tmp_path_factory: pytest.TempPathFactory) -> Target:
    return generated(HERE / "everything", tmp_path_factory.mktemp("plan")).target


NEW = AgentRecord(Allocation("coder.sandbox", "10.1.0.0/28", "10.1.0.16/28"))


def held(desired: Target) -> AgentRecord:
    """What is remembered after everything went well."""
    return replace(
        NEW,
        applied=Applied(
            parts={s.name: s.parts for s in desired.services},
            loaded={s.name: dict(s.reloads) for s in desired.services},
        ),
    )


def world(desired: Target) -> Observed:
    """What an engine holds after everything went well."""
    return perform(plan(desired, Observed(), NEW), Observed(), 1)


def perform(todo: Plan, seen: Observed, now: int) -> Observed:
    """An engine in ten lines; refuses what a real one would refuse."""
    there, nets, images = (
        {c.name: c for c in seen.containers},
        dict(seen.networks),
        set(seen.images),
    )
    for number, step in enumerate(todo.steps):
        match step:
            case BuildImage(image):
                images.add(image.tag)
            case Remove(name):
                there.pop(name)
            case RemoveNetwork(name):
                nets.pop(name)
            case CreateNetwork(network):
                assert network.name not in nets
                nets[network.name] = network.subnet
            case Reload(service):
                assert service.name in there
            case Start(service):
                assert service.name not in there
                assert service.image in images
                assert all(a.network in nets for a in service.attachments)
                holder = there[service.network_of].id if service.network_of else ""
                identity, start = f"{service.name}-{now}", f"{now:04}-{number:04}"
                there[service.name] = Container(
                    id=identity, name=service.name, project="case", service=service.name,
                    agent="coder",
                    role=service.role, spec=service.spec, running=True, status="running",
                    exit_code=0, out_of_memory=False, started=start,
                    network_mode=f"container:{holder}",
                )  # fmt: skip
    return Observed(tuple(there.values()), nets, frozenset(images))


def test_a_plan_of_no_difference_is_empty(desired: Target):
    assert plan(desired, world(desired), held(desired)).steps == ()


DAMAGES = st.lists(
    st.sampled_from([
        "stop gateway", "stop net", "stop agent", "lose gateway", "lose net", "lose agent",
        "other gateway", "other net", "other agent", "restart net", "lose default", "lose internal",
        "move internal", "lose images", "stray",
    ]),
    unique=True,
)  # fmt: skip


@given(damages=DAMAGES)
def test_whatever_happened_the_next_plan_repairs_it(desired: Target, damages: list[str]):
    seen = world(desired)
    for damage in damages:
        seen = damaged(seen, *damage.split(" "), "")
    todo = plan(desired, seen, held(desired))
    after = perform(todo, seen, 2)
    assert plan(desired, after, held(desired)).steps == ()
    assert {c.service for c in after.containers} == {s.name for s in desired.services}
    if not damages:
        assert todo.change is Change.NONE


def damaged(seen: Observed, how: str, what: str = "", *_: str) -> Observed:
    def each(container: Container) -> Container | None:
        if container.role != what:
            return container
        match how:
            case "stop":
                return replace(container, running=False, status="exited")
            case "lose":
                return None
            case "restart":
                return replace(container, started="0001-9999")
            case _:
                return replace(container, spec="other")

    if how == "stray":
        odd = (
            replace(seen.containers[0], name="stray", service="stray") if seen.containers else None
        )
        return replace(seen, containers=(*seen.containers, *([odd] if odd else [])))
    if what == "images":
        return replace(seen, images=frozenset())
    if what in {"default", "internal"}:
        nets = {k: v for k, v in seen.networks.items() if k != what}
        return replace(seen, networks=nets | ({what: "10.9.9.0/28"} if how == "move" else {}))
    return replace(seen, containers=tuple(c for c in map(each, seen.containers) if c))


def test_a_change_of_the_agent_touches_the_agent_only(desired: Target):
    agent = desired.service(Role.AGENT)
    services = tuple(replace(s, workdir="/x") if s == agent else s for s in desired.services)
    todo = plan(replace(desired, services=services), world(desired), held(desired))
    assert [step.describe() for step in todo.steps] == ["remove coder", "start coder"]
    assert {step.reason for step in todo.steps} == {"changed: workdir"}
    assert todo.change is Change.RECREATE


def test_an_image_is_built_before_anything_is_removed(desired: Target, tmp_path: Path):
    seen = replace(world(desired), images=frozenset())
    todo = plan(desired, seen, NEW, fresh=True)
    kinds = [type(step) for step in todo.steps]
    assert kinds.index(Remove) > max(i for i, kind in enumerate(kinds) if kind is BuildImage)
    assert todo.change is Change.REBUILD


def test_new_rules_and_rules_that_are_gone_reload_and_restart_nothing(desired: Target):
    gateway = desired.service(Role.GATEWAY)
    seen, record = world(desired), held(desired)
    wider = replace(gateway, reloads=(*gateway.reloads, ("host new.test", "")))
    narrower = replace(gateway, reloads=gateway.reloads[1:])
    for service in (wider, narrower):
        services = tuple(service if s == gateway else s for s in desired.services)
        todo = plan(replace(desired, services=services), seen, record)
        assert [type(step) for step in todo.steps] == [Reload]
        assert todo.change is Change.RELOAD


def test_what_was_loaded_last_and_is_not_certain_is_loaded_again(desired: Target):
    before = held(desired)
    record = replace(before, applied=replace(before.applied, loaded={}))
    todo = plan(desired, world(desired), record)
    assert {step.describe() for step in todo.steps} >= {"reload coder-gateway"}
