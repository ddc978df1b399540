"""A plan leads to what is desired, does no more, and starts things in an order that works."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_cases import HERE, generated

from companion.engine.driver import Driver
from companion.engine.model import Container, EngineChoice, Observed
from companion.project.record import AgentRecord, Applied
from companion.reconcile.apply import Applier
from companion.reconcile.plan import plan, reloads
from companion.reconcile.reasons import Reason, Why
from companion.reconcile.steps import (
    Await,
    BuildImage,
    Change,
    CreateNetwork,
    LeaveEngine,
    Plan,
    Reconnect,
    Reload,
    Remove,
    RemoveNetwork,
    Start,
)
from companion.sandbox.allocation import Allocation
from companion.spec.containers import Role, Target
from companion.system.paths import Paths
from companion.system.project_paths import AgentPaths


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
    return perform(desired, plan(desired, Observed(), NEW), Observed(), 1)


def perform(  # noqa: C901 - a table of steps
    desired: Target, todo: Plan, seen: Observed, now: int
) -> Observed:
    """An engine in a few lines; refuses what a real one would refuse."""
    users: dict[str, set[str]] = {}
    for service in desired.services:
        for attachment in service.attachments:
            users.setdefault(attachment.network, set()).add(service.name)
    there, nets, images = (
        {c.name: c for c in seen.containers},
        dict(seen.networks),
        set(seen.images),
    )
    unreachable = seen.unreachable
    for number, step in enumerate(todo.steps):
        match step:
            case BuildImage(image):
                images.add(image.tag)
            case Remove(name):
                gone = there.pop(name)
                assert f"container:{gone.id}" not in {c.network_mode for c in there.values()}
            case RemoveNetwork(name):
                nets.pop(name)
                assert not users.get(name, set()) & there.keys()
            case CreateNetwork(network):
                assert network.name not in nets
                nets[network.name] = network.subnet
            case Reload(service):
                assert service.name in there
            case Await(service):
                assert there[service.name].coming
            case Reconnect(service):
                assert service.name in there
                unreachable = False
            case Start(service):
                assert service.name not in there
                unreachable = unreachable and not service.publish
                assert service.image in images
                assert all(a.network in nets for a in service.attachments)
                holder = there[service.network_of].id if service.network_of else ""
                assert not holder or there[service.network_of].running
                identity, start = f"{service.name}-{now}", f"{now:04}-{number:04}"
                there[service.name] = Container(
                    id=identity, name=service.name, project="case", service=service.name,
                    agent="coder",
                    role=service.role, spec=service.spec, running=True, status="running",
                    exit_code=0, out_of_memory=False, started=start,
                    network_mode=f"container:{holder}",
                )  # fmt: skip
    return Observed(tuple(there.values()), nets, frozenset(images), unreachable)


def test_a_plan_of_no_difference_is_empty(desired: Target):
    assert plan(desired, world(desired), held(desired)).steps == ()


Damage = Callable[[Observed], Observed]


def each(role: Role, **values: object) -> Damage:
    """Change the container of a role."""
    return lambda seen: replace(
        seen,
        containers=tuple(replace(c, **values) if c.role is role else c for c in seen.containers),
    )


def lost(role: Role) -> Damage:
    return lambda seen: replace(
        seen, containers=tuple(c for c in seen.containers if c.role is not role)
    )


def network(name: str, subnet: str | None) -> Damage:
    def damage(seen: Observed) -> Observed:
        others = {n: s for n, s in seen.networks.items() if n != name}
        assert len(others) < len(seen.networks)
        return replace(seen, networks=others | ({name: subnet} if subnet else {}))

    return damage


def stray(seen: Observed) -> Observed:
    odd = replace(seen.containers[0], id="odd", name="stray", service="stray")
    return replace(seen, containers=(*seen.containers, odd))


GATEWAY = ["remove coder-gateway", "start coder-gateway"]
INGRESS = ["remove coder-ingress", "start coder-ingress"]
AGENT = ["remove coder", "start coder"]
HOLDER = ["remove coder", "remove coder-net", "start coder-net", "start coder"]
ALL = [
    *("remove coder", "remove coder-net", "remove coder-ingress", "remove coder-gateway"),
    *("start coder-gateway", "start coder-ingress", "start coder-net", "start coder"),
]
NEW_HOLDER = "it shares the network of coder-net, which is new"


def around(steps: list[str], middle: str) -> list[str]:
    """What is done to networks happens between the last removal and the first start."""
    return [*(s for s in steps if "remove" in s), *middle, *(s for s in steps if "start" in s)]


DAMAGES: dict[str, tuple[Damage, list[str], set[str]]] = {
    "stop gateway": (
        each(Role.GATEWAY, running=False, status="exited"),
        GATEWAY,
        {"it is exited"},
    ),
    "stop net": (
        each(Role.NET, running=False, status="exited"),
        HOLDER,
        {"it is exited", NEW_HOLDER},
    ),
    "stop agent": (each(Role.AGENT, running=False, status="exited"), AGENT, {"it is exited"}),
    "lose ingress": (lost(Role.INGRESS), INGRESS[1:], {"it does not exist yet"}),
    "lose gateway": (lost(Role.GATEWAY), GATEWAY[1:], {"it does not exist yet"}),
    "lose net": (
        lost(Role.NET),
        [HOLDER[0], *HOLDER[2:]],
        {"it does not exist yet", NEW_HOLDER},
    ),
    "lose agent": (lost(Role.AGENT), AGENT[1:], {"it does not exist yet"}),
    "other gateway": (each(Role.GATEWAY, spec="other"), GATEWAY, {"its definition changed"}),
    "other net": (
        each(Role.NET, spec="other"),
        HOLDER,
        {"its definition changed", NEW_HOLDER},
    ),
    "other agent": (each(Role.AGENT, spec="other"), AGENT, {"its definition changed"}),
    "restart net": (
        each(Role.NET, started="0001-9999"),
        HOLDER,
        {"another program restarted it; its network must be checked again", NEW_HOLDER},
    ),
    "agent elsewhere": (each(Role.AGENT, network_mode="container:x"), AGENT, {NEW_HOLDER}),
    "lose default": (
        network("coder-default", None),
        [
            *("remove coder-ingress", "remove coder-gateway"),
            *("create the network coder-default", "start coder-gateway", "start coder-ingress"),
        ],
        {"it does not exist yet", "its network coder-default is replaced"},
    ),
    "lose internal": (
        network("coder-internal", None),
        around(ALL, ["create the network coder-internal"]),
        {
            "it does not exist yet",
            "its network coder-internal is replaced",
            NEW_HOLDER,
        },
    ),
    "move internal": (
        network("coder-internal", "10.9.9.0/28"),
        around(ALL, ["remove the network coder-internal", "create the network coder-internal"]),
        {
            "its subnet is 10.9.9.0/28 instead of 10.231.0.16/28",
            "its network coder-internal is replaced",
            NEW_HOLDER,
        },
    ),
    "a network too many": (
        lambda seen: replace(seen, networks={**seen.networks, "old": "10.9.8.0/28"}),
        ["remove the network old"],
        {"no longer part of the sandbox"},
    ),
    "flush firewall": (
        lambda seen: replace(seen, unreachable=True),
        ["restore the network rules of coder-ingress"],
        {"SSH does not answer; firewall rules may be gone"},
    ),
    "stray": (stray, ["remove stray"], {"no longer part of the sandbox"}),
    "lose images": (
        lambda seen: replace(seen, images=frozenset()),
        ["build the gateway image", "build the agent image"],
        {"its definition has no gateway image yet", "its definition has no agent image yet"},
    ),
}
"""What happens behind our back → the damage, the steps that repair it, and their reasons."""


REASONS = {
    "it does not exist yet": Reason.MISSING,
    "its definition has no gateway image yet": Reason.IMAGE_MISSING,
    "its definition has no agent image yet": Reason.IMAGE_MISSING,
    "its definition changed": Reason.SPEC_CHANGED,
    "its network coder-default is replaced": Reason.NETWORK_CHANGED,
    "its network coder-internal is replaced": Reason.NETWORK_CHANGED,
    "its subnet is 10.9.9.0/28 instead of 10.231.0.16/28": Reason.NETWORK_CHANGED,
    NEW_HOLDER: Reason.NAMESPACE_REPLACED,
    "it is exited": Reason.STOPPED,
    "another program restarted it; its network must be checked again": Reason.RESTARTED_ELSEWHERE,
    "no longer part of the sandbox": Reason.NOT_WANTED,
    "SSH does not answer; firewall rules may be gone": Reason.UNREACHABLE,
}
"""The code that each reason has for scripts."""


@pytest.mark.parametrize("name", DAMAGES)
def test_each_damage_is_repaired_by_the_least_and_the_reason_is_said(desired: Target, name: str):
    damage, steps, reasons = DAMAGES[name]
    seen = damage(world(desired))
    assert seen != world(desired)
    todo = plan(desired, seen, held(desired))
    assert [step.describe() for step in todo.steps] == steps
    assert {(step.why.text, step.why.reason) for step in todo.steps} == {
        (text, REASONS[text]) for text in reasons
    }


@given(names=st.lists(st.sampled_from(sorted(DAMAGES)), unique=True))
def test_whatever_happened_the_next_plan_repairs_it(desired: Target, names: list[str]):
    seen = world(desired)
    for name in names:
        if seen.containers or name != "stray":
            try:
                seen = DAMAGES[name][0](seen)
            except AssertionError:  # that network is lost already
                continue
    after = perform(desired, plan(desired, seen, held(desired)), seen, 2)
    assert plan(desired, after, held(desired)).steps == ()
    assert {c.service for c in after.containers} == {s.name for s in desired.services}
    assert after.networks == {n.name: n.subnet for n in desired.networks}


def test_a_change_of_the_agent_touches_the_agent_only(desired: Target):
    agent = desired.service(Role.AGENT)
    services = tuple(replace(s, workdir="/x") if s == agent else s for s in desired.services)
    todo = plan(replace(desired, services=services), world(desired), held(desired))
    assert [step.describe() for step in todo.steps] == ["remove coder", "start coder"]
    assert {step.why.text for step in todo.steps} == {"changed: workdir"}
    assert todo.change is Change.RECREATE


def test_an_image_is_built_before_anything_is_removed(desired: Target, tmp_path: Path):
    seen = replace(world(desired), images=frozenset())
    todo = plan(desired, seen, NEW, fresh=True)
    kinds = [type(step) for step in todo.steps]
    assert kinds.index(Remove) > max(i for i, kind in enumerate(kinds) if kind is BuildImage)
    assert todo.change is Change.REBUILD


RELOADED = {
    "new": ((("host new.test", ""),), (), ("host new.test",)),
    "gone": ((), ("egress mode",), ("egress mode",)),
    "another": ((("log level", "loud"),), ("log level",), ("log level",)),
    "new and gone": (
        (("host b.test", ""), ("host a.test", "")),
        ("egress mode", "log level"),
        ("host a.test", "host b.test", "egress mode", "log level"),
    ),
}
"""What is added to what the gateway takes in and what is taken from it; what the plan names."""


@pytest.mark.parametrize("case", RELOADED)
def test_new_rules_and_rules_that_are_gone_reload_and_restart_nothing(desired: Target, case: str):
    added, gone, names = RELOADED[case]
    gateway, record = desired.service(Role.GATEWAY), held(desired)
    kept = tuple((name, value) for name, value in gateway.reloads if name not in gone)
    changed = replace(gateway, reloads=(*kept, *added))
    services = tuple(changed if s == gateway else s for s in desired.services)
    target = replace(desired, services=services)
    why = Why(Reason.NOT_LOADED, f"changed: {', '.join(names)}")
    reload = Reload(changed, why, names)
    record = replace(record, applied=replace(record.applied, complete=True))
    todo = plan(target, world(desired), record)
    assert todo.steps == (reload,)
    assert todo.change is Change.RELOAD
    assert reloads(target, record) == todo
    assert reload.is_about(names[0])
    assert not reload.is_about("host key")


def test_what_was_loaded_last_and_is_not_certain_is_loaded_again(desired: Target):
    before = held(desired)
    record = replace(before, applied=replace(before.applied, loaded={}))
    todo = plan(desired, world(desired), record)
    why = Why(Reason.NOT_LOADED, "what it loaded last is uncertain")
    loading = [desired.service(role) for role in (Role.GATEWAY, Role.AGENT)]
    assert todo.steps == tuple(Reload(service, why) for service in loading)
    assert all(step.is_about("anything") for step in todo.steps)


def test_without_a_look_only_a_complete_record_of_the_same_parts_is_trusted(desired: Target):
    record = replace(held(desired), applied=replace(held(desired).applied, complete=True))
    assert reloads(desired, record) == Plan(())
    half = replace(record, applied=replace(record.applied, complete=False))
    assert reloads(desired, half) is None
    agent = desired.service(Role.AGENT)
    services = tuple(replace(s, workdir="/x") if s == agent else s for s in desired.services)
    assert reloads(replace(desired, services=services), record) is None


def test_a_reason_names_all_that_differs(desired: Target):
    agent = desired.service(Role.AGENT)
    changed = replace(agent, workdir="/x", pids=7)
    services = tuple(changed if s == agent else s for s in desired.services)
    todo = plan(replace(desired, services=services), world(desired), held(desired))
    assert {step.why for step in todo.steps} == {Why(Reason.SPEC_CHANGED, "changed: workdir, pids")}


def test_an_engine_is_left_after_the_builds_and_before_anything_is_removed(desired: Target):
    left = LeaveEngine(EngineChoice("docker", "docker"), Why(Reason.NOT_WANTED, "it moves"))
    seen = replace(world(desired), images=frozenset())
    todo = plan(desired, seen, held(desired), fresh=True, departures=[left])
    kinds = [type(step) for step in todo.steps]
    assert kinds.index(LeaveEngine) == len(desired.images)
    assert kinds[len(desired.images) + 1] is Remove
    assert left.describe() == "take the sandbox off docker"
    assert todo.starts == set(Role)


def test_containers_of_another_agent_are_left_alone(desired: Target):
    seen = world(desired)
    other = replace(seen.containers[0], id="other", name="other", service="other", agent="other")
    assert (
        plan(desired, replace(seen, containers=(*seen.containers, other)), held(desired)).steps
        == ()
    )


def test_what_a_cluster_starts_by_itself_is_awaited_and_replaced_only_for_a_reason(desired: Target):
    seen = world(desired)
    coming = replace(seen.containers[0], running=False, coming=True, status="starting")
    seen = replace(seen, containers=(coming, *seen.containers[1:]))
    todo = plan(desired, seen, held(desired))
    assert [(type(one), one.why.reason) for one in todo.steps] == [(Await, Reason.COMING)]
    assert (todo.change, todo.starts, todo.waits) == (Change.RELOAD, frozenset(), True)
    assert plan(desired, seen, held(desired), fresh=True).starts
    other = replace(seen, containers=(replace(coming, spec="other"), *seen.containers[1:]))
    assert Reason.SPEC_CHANGED in {one.why.reason for one in plan(desired, other, NEW).steps}


class StartingPods:
    """A cluster that starts Pods; as a driver, it does what a reload needs."""

    def __init__(self, target: Target, seen: Observed) -> None:
        self.target, self.seen, self.calls = target, seen, list[str]()

    def waiter(self, *_: object) -> Callable[[], None]:
        def wait() -> None:
            started = (replace(c, running=True, coming=False) for c in self.seen.containers)
            self.seen = replace(self.seen, containers=tuple(started))

        return wait

    def containers(self) -> tuple[Container, ...]:
        return self.seen.containers

    def run(self, service: str, *_: str) -> None:
        found = self.seen.container(service)
        assert found
        assert found.running
        self.calls.append(service)


def test_what_a_cluster_starts_by_itself_runs_before_it_is_reloaded(
    desired: Target, tmp_path: Path
):
    desired = replace(desired, login=None)
    seen = world(desired)
    coming = (replace(c, running=False, coming=True) for c in seen.containers)
    seen = replace(seen, containers=tuple(coming))
    record = replace(held(desired), applied=replace(held(desired).applied, loaded={}))
    todo = plan(desired, seen, record)
    assert {type(step) for step in todo.steps} == {Await, Reload}
    pods = StartingPods(desired, seen)
    applier = Applier(
        cast("Driver", pods), desired, Paths(*[tmp_path] * 5), AgentPaths(tmp_path), lambda _: None
    )  # fmt: skip
    applier.perform(todo)
    assert pods.calls == [desired.service(Role.GATEWAY).name]
