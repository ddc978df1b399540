"""Pods of a cluster are read as containers: whose, whether as defined, and how they ended."""

from typing import Any

import pytest

from companion.engine.model import IN_POD, Container
from companion.kubernetes import pods_seen
from companion.kubernetes.names import Names
from companion.spec.identity import Role

LABELS = {"dev.companion.project": "p", "dev.companion.agent": "coder"}
NOTES = {"dev.companion.spec": "SPEC", "dev.companion.place": "SEAL",
         "dev.companion.service": "coder"}  # fmt: skip
STARTED = "2026-11-27T10:00:00Z"
RUNNING = {"started": True, "state": {"running": {"startedAt": STARTED}}}
AROUND = [(kind, role) for kind in ("Service", "NetworkPolicy") for role in ("agent", "gateway")]


def pod(status: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    """Return an agent's Pod; `status` is that of its container."""
    statuses = [{"name": "other", "state": {}}, {"name": "agent", **(status or RUNNING)}]
    labels = LABELS | {"dev.companion.role": "agent"}
    meta = {"uid": "u-1", "name": "coder-p-0", "labels": labels, "annotations": NOTES}
    container = {"name": "agent", "image": "registry.test/agent:1"}
    return {
        "kind": "Pod",
        "metadata": meta | metadata,
        "spec": {"containers": [container, {"name": "other", "image": "registry.test/other:1"}]},
        "status": {"phase": "Running", "containerStatuses": statuses},
    }


def around(*missing: tuple[str, str]) -> list[dict[str, Any]]:
    return [
        {"kind": kind, "metadata": {"name": f"coder-p-{role}",
                                    "labels": LABELS | {"dev.companion.role": role}},
         "spec": {"clusterIP": "10.96.0.7"}}
        for kind, role in AROUND if (kind, role) not in missing
    ]  # fmt: skip


def seen(one: dict[str, Any], seal: str = "", others: Any = ()) -> Container:
    (found,) = pods_seen.containers([*others, one], seal)
    return found


def test_a_pod_is_the_container_of_its_role():
    assert seen(pod()) == Container(
        id="u-1", name="coder-p-0", project="p", service="coder", agent="coder", role=Role.AGENT,
        spec="SPEC", running=True, status="running", exit_code=0, out_of_memory=False,
        started=STARTED, network_mode=IN_POD,
    )  # fmt: skip
    bare = seen(pod(annotations=None))
    assert (bare.service, bare.spec) == ("coder", "")


@pytest.mark.parametrize("missing", [None, *AROUND])
@pytest.mark.parametrize("seal", ["SEAL", "another place"])
def test_a_pod_is_as_defined_only_in_its_place_with_all_that_is_around_it(
    missing: tuple[str, str] | None, seal: str
):
    others = around(*([missing] if missing else []))
    is_whole = missing is None and seal == "SEAL"
    assert seen(pod(), seal, others).spec == ("SPEC" if is_whole else "")
    assert seen(pod(), "", others).spec == "SPEC"


@pytest.mark.parametrize(
    ("status", "said", "code", "is_full"),
    [
        ({"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}, "exited", 137, True),
        ({"state": {"terminated": {"exitCode": 3, "reason": "Error"}}}, "exited", 3, False),
        ({"state": {"waiting": {"reason": "CrashLoopBackOff"}},
          "lastState": {"terminated": {"exitCode": 4}}}, "exited, and is restarted", 4, False),
        ({"state": {"waiting": {"reason": "ContainerCreating"}}}, "starting", 0, False),
        ({"state": {"waiting": {}}}, "starting", 0, False),
        (RUNNING | {"lastState": {"terminated": {"exitCode": 5, "reason": "OOMKilled"}}},
         "running", 0, False),
    ],
)  # fmt: skip
def test_how_a_container_ended_is_told(
    status: dict[str, Any], said: str, code: int, *, is_full: bool
):
    found = seen(pod(status))
    assert (found.status, found.exit_code, found.out_of_memory) == (said, code, is_full)
    assert found.running is (said == "running")
    assert found.coming is (said == "starting")


def test_a_pod_that_is_being_deleted_runs_no_more():
    found = seen(pod(deletionTimestamp=STARTED))
    assert (found.running, found.status, found.coming) == (False, "ending", False)


def test_the_images_that_are_in_use_are_those_of_containers_that_run():
    waits = pod({"state": {"waiting": {}}})
    new = pod() | {"status": {}}
    assert pods_seen.images([*around(), pod(), waits, new]) == {"registry.test/agent:1"}
    assert not pods_seen.images([waits, new])


def test_the_address_of_a_gateway_is_that_of_its_service():
    names = Names("agents", "p", "coder")
    assert pods_seen.address([pod(), *around()], names) == "10.96.0.7"
    assert pods_seen.address([pod(), *around(("Service", "gateway"))], names) == ""
