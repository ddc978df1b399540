"""What a namespace answers to a Pod that is never made decides what closes an agent's network.

The texts are those of the cluster of scripts/kubernetes.sh, but for Pod Security, which Kubernetes
1.20 does not have: that one is put together from its public documentation, and never ran here.
"""

from collections.abc import Iterator

import pytest

from companion.errors import Code, EngineError
from companion.kubernetes import fence_choice
from companion.kubernetes.cluster import Fence
from companion.kubernetes.names import Manifest

FORBIDDEN = 'Error from server (Forbidden): error when creating "STDIN": '
POD = f'{FORBIDDEN}pods "coder-ea66b516-tgjcb" is forbidden: '
POD_SECURITY = (
    'Warning: would violate PodSecurity "restricted:latest": seccompProfile\n'
    f'{POD}violates PodSecurity "baseline:latest": non-default capabilities (container "net" must'
    ' not include "NET_ADMIN" in securityContext.capabilities.add)'
)
WEBHOOK = (
    'Error from server: error when creating "STDIN": admission webhook "policy.example.com"'
    " denied the request: containers may not add NET_ADMIN"
)
QUOTA = (
    "exceeded quota: compute, requested: limits.memory=8Gi, used: limits.memory=0,"
    " limited: limits.memory=300Mi"
)
NO_RIGHT = (
    f'{FORBIDDEN}pods is forbidden: User "user" cannot create resource "pods" in API group "" in'
    ' the namespace "agents"'
)
NO_NAMESPACE = (
    'Error from server (NotFound): error when creating "STDIN": namespaces "agents" not found'
)
SILENT = "The connection to the server 10.0.0.1:6443 was refused - did you specify the right host?"


def objects_with(fence: Fence) -> Iterator[Manifest]:
    """Yield the objects of a sandbox, as far as they matter: both kinds of Pods, and a Service."""
    for kind, name in (("Service", "x"), ("Deployment", "gateway"), ("StatefulSet", "agent")):
        template = {"metadata": {"labels": {"fence": fence}}, "spec": {"hostname": name}}
        metadata = {"name": name, "namespace": "agents"}
        yield {"kind": kind, "metadata": metadata, "spec": {"template": template}}


class Namespace:
    """Answers for the Pods of agents as a cluster does; `pod` and `policy` are the refusals."""

    def __init__(self, pod: str = "", policy: str = "") -> None:
        self.answers = {Fence.POD: pod, Fence.POLICY: policy}
        self.asked: list[tuple[Fence, str]] = []

    def dry_run(self, pod: Manifest) -> str:
        fence = Fence(pod["metadata"]["labels"]["fence"])
        self.asked.append((fence, pod["metadata"]["generateName"]))
        if pod["spec"]["hostname"] == "agent" and (said := self.answers[fence]):
            raise EngineError("kubectl create failed", "", said)
        return "pod/x\n"

    def choose(self) -> Fence:
        return fence_choice.choose("agents", objects_with, self.dry_run)


def test_both_kinds_of_pods_are_tried_under_names_that_are_free():
    namespace = Namespace()
    assert namespace.choose() is Fence.POD
    assert [name for _, name in namespace.asked] == ["gateway-", "agent-"]


@pytest.mark.parametrize("said", [POD_SECURITY, WEBHOOK])
def test_a_namespace_that_grants_no_capability_leaves_it_to_policies(said: str):
    assert Namespace(pod=said).choose() is Fence.POLICY


@pytest.mark.parametrize(
    ("said", "what", "hint", "code"),
    [
        (f"{POD}{QUOTA}", QUOTA, "lower `limits:`", Code.ENGINE_FAILED),
        (
            f"{POD}maximum memory usage per Container is 1Gi, but limit is 8Gi",
            "maximum memory usage per Container is 1Gi, but limit is 8Gi",
            "lower `limits:`",
            Code.ENGINE_FAILED,
        ),
        (NO_RIGHT, "user user may not create Pods", "role.yaml", Code.ENGINE_DENIED),
        (NO_NAMESPACE, "no namespace agents", "create namespace agents", Code.ENGINE_FAILED),
        (
            (
                f"{FORBIDDEN}pods is forbidden: unable to create new content in namespace agents"
                " because it is being terminated"
            ),
            "because it is being terminated",
            "create it again",
            Code.ENGINE_FAILED,
        ),
    ],
)
def test_what_no_other_fence_mends_is_refused_at_once_with_the_clusters_reason(
    said: str, what: str, hint: str, code: Code
):
    namespace = Namespace(pod=said)
    with pytest.raises(EngineError) as refused:
        namespace.choose()
    (problem,) = refused.value.problems
    assert what in problem.what
    assert 'pods "' not in problem.what
    assert hint in problem.hint
    assert problem.code is code
    assert {fence for fence, _ in namespace.asked} == {Fence.POD}


def test_a_namespace_that_admits_neither_is_named_with_its_reason_against_the_weaker_one():
    namespace = Namespace(pod=POD_SECURITY, policy=WEBHOOK.replace("NET_ADMIN", "sysctls"))
    with pytest.raises(EngineError, match=r"namespace agents does not admit .* add sysctls"):
        namespace.choose()


def test_a_cluster_that_does_not_answer_has_decided_nothing():
    with pytest.raises(EngineError, match="kubectl create failed") as failed:
        Namespace(pod=SILENT).choose()
    assert failed.value.log == SILENT


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (f"{POD}{QUOTA}", True),
        (f"{POD}failed quota: compute: must specify limits.memory", False),
        (f"{POD}maximum memory usage per Container is 1Gi, but limit is 8Gi", False),
        (POD_SECURITY, False),
        (SILENT, False),
    ],
)
def test_only_a_quota_is_about_how_much_is_there_already(said: str, *, expected: bool):
    assert fence_choice.is_quota(EngineError("kubectl create failed", "", said)) is expected
