"""What a cluster refuses is one message with its own reason, and what ran before still runs."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import admission
import attack_table
import place
import pytest
from attack_table import Column
from node import Cluster, Object
from place import Place
from test_registry import free_port

pytestmark = [pytest.mark.reach, pytest.mark.timeout(1200)]
SMALL = {"spec": {"limits": [{"type": "Container", "max": {"memory": "1Gi"}}]}}


@pytest.fixture(scope="module")
def ran(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Path]]:
    """A sandbox that runs in the namespace."""
    directory = tmp_path_factory.mktemp("refusals")
    with place.made(cluster, f"refusals-{os.getpid()}", directory) as made:
        project = made.desk.project(place.AGENT.format(name="coder", memory="768m"), "ran")
        made.up(project).ok()
        yield made, project


@pytest.fixture
def still_runs(ran: tuple[Place, Path]) -> Iterator[Place]:
    """Check that a refusal changed nothing of what ran before."""
    made, project = ran
    before = made.objects()
    yield made
    (state,) = made.desk.companion("-C", str(project), "status", "--json").ok().data["agents"]
    assert state["state"] == "running"
    assert set(before) <= set(made.objects())


def refused(made: Place, project: Path, *words: str) -> str:
    """Bring a project up in vain, and return what was said: one message."""
    done = made.desk.companion("-C", str(project), "up", *words)
    assert done.code == 1, done.out + done.err
    assert len(done.problems) == 1, done.err
    return done.problems[0]


def other(made: Place, name: str, memory: str = "768m") -> Path:
    return made.desk.project(place.AGENT.format(name=name, memory=memory), name)


def of(made: Place, name: str) -> list[str]:
    """The names of the Pods, and what makes them, of an agent."""
    return [one for one in made.objects() if f"/{name}-" in one and "service" not in one]


def test_a_quota_refuses_before_anything_is_there(still_runs: Place):
    made = still_runs
    made.space.kubectl("create", "quota", "full", "--hard=limits.memory=300Mi").ok()
    try:
        said = refused(made, other(made, "quota"), "--on", "team")
    finally:
        made.space.kubectl("delete", "quota", "full").ok()
    assert (
        f"the namespace {made.space.name} does not admit the sandbox: exceeded quota: full" in said
    )
    assert "limited: limits.memory=300Mi" in said
    assert of(made, "quota") == []


def test_a_quota_that_is_full_by_the_second_pod_is_told_and_up_goes_on(still_runs: Place):
    made, project = still_runs, other(still_runs, "second")
    made.space.kubectl("create", "quota", "full", "--hard=pods=3").ok()
    try:
        said = refused(made, project, "--on", "team")
    finally:
        made.space.kubectl("delete", "quota", "full").ok()
    assert "the cluster does not create the agent's Pod: exceeded quota: full" in said
    made.desk.companion("-C", str(project), "up").ok()
    made.desk.companion("-C", str(project), "down", "--volumes").ok()
    assert of(made, "second") == []


RIGHTS = {"secrets": "create", "pods/exec": "create", "networkpolicies": "list"}


@pytest.mark.parametrize("resource", RIGHTS)
def test_a_right_that_is_missing_is_told_with_the_role_that_has_it(
    still_runs: Place, resource: str
):
    made, project = still_runs, other(still_runs, f"no-{resource.rpartition('/')[2]}")
    role = made.space.get("role", "companion")
    lesser = [without(rule, resource, RIGHTS[resource]) for rule in role["rules"]]
    patch = json.dumps({"rules": [rule for rules in lesser for rule in rules]})
    made.space.kubectl("patch", "role", "companion", "--type=merge", "--patch", patch).ok()
    try:
        said = refused(made, project, "--on", "team")
    finally:
        made.space.kubectl("replace", "-f", place.ROLE).ok()
    assert f"the cluster of team (the namespace {made.space.name} at https://" in said
    assert re.search(rf"refuses: .*{resource}", said)
    assert f"ask its administrator for the Role in {place.ROLE}" in said
    made.desk.companion("-C", str(project), "down", "--volumes")
    assert of(made, project.name) == []


def without(rule: Object, resource: str, verb: str) -> list[Object]:
    """Return a rule as others that grant all but one verb for one resource."""
    if resource not in rule["resources"]:
        return [rule]
    others = [one for one in rule["resources"] if one != resource]
    verbs = [one for one in rule["verbs"] if one != verb]
    parts = [rule | {"resources": others}, rule | {"resources": [resource], "verbs": verbs}]
    return [one for one in parts if one["resources"]]


def test_a_pod_that_no_node_takes_is_told(still_runs: Place):
    made, project = still_runs, other(still_runs, "homeless")
    made.space.cluster.kubectl("cordon", "node").ok()
    try:
        said = refused(made, project, "--on", "team")
    finally:
        made.space.cluster.kubectl("uncordon", "node").ok()
    assert "no node takes the gateway's Pod: 0/1 nodes are available" in said
    assert "unschedulable" in said
    made.desk.companion("-C", str(project), "down", "--volumes").ok()


def test_a_registry_that_does_not_answer_stops_before_anything_is_there(still_runs: Place):
    made = still_runs
    registry = f"127.0.0.1:{free_port()}"
    made.define(team=made.registry, dead=f"{registry}/team")
    said = refused(made, other(made, "pushed"), "--on", "dead")
    assert f"the registry {registry} does not answer" in said
    assert "connection refused" in said
    assert of(made, "pushed") == []


def test_a_volume_that_is_never_made_is_told_and_the_agent_can_be_taken_down(still_runs: Place):
    made, is_default = still_runs, "storageclass.kubernetes.io/is-default-class"
    annotate = ("annotate", "--overwrite", "storageclass", "local")
    project = other(made, "unplaced")
    made.space.cluster.kubectl(*annotate, f"{is_default}=false").ok()
    try:
        said = refused(made, project, "--on", "team")
    finally:
        made.space.cluster.kubectl(*annotate, f"{is_default}=true").ok()
    assert "no node takes the agent's Pod: its volume is not made: " in said
    assert "no storage class is set" in said
    assert "one has to be the default" in said
    made.desk.companion("-C", str(project), "down").ok()
    assert of(made, "unplaced") == []


def test_a_change_that_the_namespace_does_not_admit_is_rolled_back(ran: tuple[Place, Path]):
    made, project = ran
    limit = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"}, **SMALL}
    made.space.kubectl("apply", "-f", "-", stdin=json.dumps(limit)).ok()
    try:
        (project / "agent.yaml").write_text(place.AGENT.format(name="coder", memory="3g"))
        said = refused(made, project)
    finally:
        made.space.kubectl("delete", "limitrange", "small").ok()
    assert "maximum memory usage per Container is 1Gi, but limit is 3Gi" in said
    (state,) = made.desk.companion("-C", str(project), "status", "--json").ok().data["agents"]
    assert state["state"] == "running"


def test_where_policies_alone_would_close_the_network_and_have_no_effect_no_agent_starts(
    still_runs: Place, tmp_path: Path, request: pytest.FixtureRequest
):
    made = still_runs
    project = other(made, "fenced")
    words = ("-C", str(project))
    with admission.restricted(made.space, tmp_path):
        with made.space.cluster.unenforced():
            said = refused(made, project, "--on", "team")
            chosen = "dev.companion.agent=fenced,dev.companion.role=agent"
            (pod,) = made.space.get("pods", "-l", chosen)["items"]
        assert "the agent was not started, because its network is not closed: open: " in said
        assert "this cluster's network does not enforce NetworkPolicies" in said
        (agent,) = pod["status"]["containerStatuses"]
        assert (set(agent["state"]), agent["lastState"]) == ({"waiting"}, {})
        made.desk.companion(*words, "up").ok()
        assert made.desk.companion(*words, "status", "--json").ok().agent["fence"] == "policy"
        assert "NetworkPolicies alone close its network" in made.desk.companion(*words, "plan").out
        found = made.desk.companion(*words, "audit", "--json").data["findings"]
        attack_table.judged(Column.POLICY, found, update=request.config.getoption("--update"))
        made.desk.companion(*words, "down", "--volumes").ok()
    assert of(made, "fenced") == []
