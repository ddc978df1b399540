"""What a cluster tells of Pods is understood: they come, they are there, or why they will not be.

`kubernetes_recorded.json` was recorded on the cluster of scripts/kubernetes.sh, without what nobody
reads. What newer Kubernetes releases say in another way is put together in the tests.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from companion.engine.model import Container
from companion.errors import Code
from companion.kubernetes import pods_seen, waiting
from companion.kubernetes.waiting import Coming, Ready, State, Stuck
from companion.spec.identity import Role

RECORDED: Any = json.loads(Path(__file__).with_name("kubernetes_recorded.json").read_text())
OWNERS = {Role.AGENT: "coder-ea66b516", Role.GATEWAY: "coder-ea66b516-gateway"}


def pod_of(role: Role, scene: str) -> Any:
    labeled = [p for p in RECORDED[scene]["pods"] if p["metadata"]["labels"]]
    return next((p for p in labeled if role in p["metadata"]["labels"].values()), None)


def judged(role: Role, scene: str, known: frozenset[waiting.Occurrence] = frozenset()) -> State:
    """Judge a scene as a driver would, which looks at events only where they are wanted."""
    pod = pod_of(role, scene)
    events = RECORDED[scene]["events"] if waiting.wants_events(pod) else ()
    return waiting.judge(role, OWNERS[role], pod, events, known)


@pytest.mark.parametrize(
    ("scene", "role", "state"),
    [
        ("creating", Role.AGENT, Coming("starting the agent")),
        ("creating", Role.GATEWAY, Coming("starting the gateway")),
        ("closing", Role.AGENT, Coming("starting the agent")),
        ("closing", Role.GATEWAY, Ready()),
        ("started", Role.AGENT, Ready()),
        ("unclosed", Role.GATEWAY, Ready()),
    ],
)
def test_a_pod_that_comes_is_waited_for_until_its_container_has_started(
    scene: str, role: Role, state: State
):
    assert judged(role, scene) == state


@pytest.mark.parametrize(
    ("scene", "role", "what", "hint", "code"),
    [
        (
            "pulling",
            Role.GATEWAY,
            (
                "the cluster cannot pull 10.213.251.2:5000/parts/gateway:6fc2885e0f07acfe:"
                " 10.213.251.2:5000/parts/gateway:6fc2885e0f07acfe: not found"
            ),
            "run `companion up` again",
            Code.PULL_FAILED,
        ),
        (
            "pull-backs-off",
            Role.AGENT,
            "-gone: not found",
            "run `companion up` again",
            Code.PULL_FAILED,
        ),
        (
            "quota",
            Role.AGENT,
            (
                "the cluster does not create the agent's Pod: exceeded quota: compute, requested:"
                " limits.memory=8Gi, used: limits.memory=0, limited: limits.memory=300Mi"
            ),
            "ask for a higher quota",
            Code.ENGINE_FAILED,
        ),
        (
            "quota",
            Role.GATEWAY,
            (
                "the cluster does not create the gateway's Pod: exceeded quota: compute, requested:"
                " limits.memory=512Mi, used: limits.memory=0, limited: limits.memory=300Mi"
            ),
            "ask for a higher quota",
            Code.ENGINE_FAILED,
        ),
        (
            "unschedulable",
            Role.AGENT,
            "no node takes the agent's Pod: 0/1 nodes are available: 1 Insufficient memory.",
            "make room",
            Code.ENGINE_FAILED,
        ),
        (
            "storage",
            Role.AGENT,
            (
                "no node takes the agent's Pod: its volume is not made: storageclass.storage.k8s.io"
                ' "fast" not found'
            ),
            "`kubectl get storageclass`",
            Code.ENGINE_FAILED,
        ),
        (
            "unclosed",
            Role.AGENT,
            (
                "the agent was not started, because its network is not closed:"
                " open: UDP to another host"
            ),
            "enforces NetworkPolicies",
            Code.ENGINE_FAILED,
        ),
        (
            "agent-exits",
            Role.AGENT,
            "the agent exited at startup with exit code 1",
            "companion logs",
            Code.AGENT_ENDED,
        ),
        (
            "gateway-exits",
            Role.GATEWAY,
            "the container gateway of the gateway's Pod keeps exiting (exit code 1)",
            "companion logs --gateway",
            Code.ENGINE_FAILED,
        ),
        (
            "no-secret",
            Role.AGENT,
            (
                "the node cannot set up the agent's Pod: MountVolume.SetUp failed for volume"
                ' "files-sshd" : secret "coder-ea66b516-sshd" not found'
            ),
            "administrator",
            Code.ENGINE_FAILED,
        ),
        (
            "seccomp",
            Role.AGENT,
            (
                "the container net of the agent's Pod cannot be created: failed to create"
                ' containerd container: cannot load seccomp profile "/var/lib/kubelet/seccomp/'
            ),
            "companion up",
            Code.ENGINE_FAILED,
        ),
        (
            "sysctl",
            Role.GATEWAY,
            "the gateway's Pod was ended by the cluster: SysctlForbidden Pod forbidden sysctl:",
            "administrator",
            Code.ENGINE_FAILED,
        ),
    ],
)
def test_a_pod_that_will_not_come_is_one_problem_with_the_clusters_own_reason(
    scene: str, role: Role, what: str, hint: str, code: Code
):
    state = judged(role, scene)
    assert isinstance(state, Stuck)
    assert what in state.problem.what
    assert "rpc error" not in state.problem.what
    assert "\n" not in state.problem.what
    assert hint in state.problem.hint
    assert state.problem.code is code


def test_what_was_told_before_an_owner_was_applied_is_no_news():
    before = waiting.occurrences(RECORDED["quota"]["events"])
    for role in OWNERS:
        assert judged(role, "quota", before) == Coming("waiting for the Pod")
    again = [{**e, "count": e["count"] + 1} for e in RECORDED["quota"]["events"]]
    state = waiting.judge(Role.AGENT, OWNERS[Role.AGENT], None, again, before)
    assert isinstance(state, Stuck)


def test_events_of_another_agent_whose_name_begins_the_same_are_not_this_ones():
    events = RECORDED["quota"]["events"]
    for role in OWNERS:
        for owner in ("coder", "coder-ea66b516-gateway-7"):
            assert waiting.judge(role, owner, None, events) == Coming("waiting for the Pod")


def test_the_pod_that_ends_is_waited_for_whatever_it_tells():
    ending = pod_of(Role.AGENT, "agent-exits")
    metadata = {**ending["metadata"], "deletionTimestamp": "2026-11-27T16:22:40Z"}
    state = waiting.judge(Role.AGENT, "x", {**ending, "metadata": metadata})
    assert state == Coming("ending the previous Pod")


def test_a_cluster_that_adds_a_node_is_given_the_time_for_it():
    pod, events = pod_of(Role.AGENT, "unschedulable"), RECORDED["unschedulable"]["events"]
    mine = {"kind": "Pod", "uid": pod["metadata"]["uid"]}
    grows = {"metadata": {"uid": "1"}, "involvedObject": mine, "reason": "TriggeredScaleUp"}
    owner = OWNERS[Role.AGENT]
    slow = waiting.judge(Role.AGENT, owner, pod, [*events, grows])
    fast = waiting.judge(Role.AGENT, owner, pod, events)
    assert isinstance(slow, Stuck)
    assert isinstance(fast, Stuck)
    assert slow.patience > fast.patience


def test_nothing_is_waited_for_without_an_end_and_each_state_has_its_own():
    patience, coming = waiting.Patience(), Coming("starting the agent", 10)
    assert not patience.problem(Role.AGENT, coming, 0)
    assert not patience.problem(Role.AGENT, coming, 9)
    assert not patience.problem(Role.AGENT, Coming("waiting for a node", 5), 11)
    assert not patience.problem(Role.GATEWAY, coming, 11)
    assert not patience.problem(Role.AGENT, coming, 15)
    found = patience.problem(Role.AGENT, coming, 25)
    assert found
    assert found.what == "the cluster has not got beyond starting the agent for 10 s"
    stuck = judged(Role.AGENT, "unschedulable")
    assert isinstance(stuck, Stuck)
    assert not patience.problem(Role.AGENT, stuck, 26)
    assert patience.problem(Role.AGENT, stuck, 26 + stuck.patience) == stuck.problem


def labeled(pod: Any, **labels: str) -> Any:
    named = {f"dev.companion.{name}": value for name, value in labels.items()}
    kept = {**pod["metadata"]["labels"], **named}
    return {**pod, "metadata": {"name": "x", **pod["metadata"], "labels": kept}}


def seen(*pods: Any) -> tuple[Container, ...]:
    named = (labeled(one, project="p", agent="coder") for one in pods)
    return tuple(pods_seen.containers(({"kind": "Pod", **one} for one in named), ""))


def test_a_pod_is_coming_until_it_has_started_unless_it_ended_or_is_over():
    creating, started, ended = (
        seen(pod_of(Role.AGENT, scene)) for scene in ("creating", "started", "agent-exits")
    )
    assert [(one.coming, one.running) for one in (*creating, *started, *ended)] == [
        (True, False),
        (False, True),
        (False, False),
    ]
    evicted = {**pod_of(Role.GATEWAY, "creating"), "status": {"phase": "Failed"}}
    (found,) = seen(evicted)
    assert (found.coming, found.status) == (False, "exited")
    (found,) = seen(evicted, pod_of(Role.GATEWAY, "started"))
    assert found.running


@pytest.mark.parametrize("other", [{"role": "other"}, {"role": ""}, {"agent": ""}])
def test_a_pod_with_labels_of_ours_that_is_no_sandbox_hides_none(other: dict[str, str]):
    ours = labeled(pod_of(Role.AGENT, "started"), project="p", agent="coder")
    listed = ({"kind": "Pod", **one} for one in (labeled(ours, **other), ours))
    assert [one.role for one in pods_seen.containers(listed, "")] == [Role.AGENT]
