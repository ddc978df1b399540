"""What an audit looks for in the Pods of a sandbox, as the cluster shows them."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from companion.engine.model import ClusterChoice
from companion.kubernetes.cluster import Cluster, Fence
from companion.kubernetes.kubectl import Kubectl
from companion.kubernetes.names import LABEL
from companion.kubernetes.pods import SECRETS
from companion.spec.containers import Service

Pod = Mapping[str, Any]
_KUBELET = "10250"
_OWN_KINDS = {"configMap", "secret", "emptyDir", "persistentVolumeClaim"}
_PREPARE: Mapping[str, set[str]] = {"net": {"NET_ADMIN"}, "closed": set(), "seed": set()}
"""The init containers, and the capabilities that each has until it ends."""
_PUBLIC = "pods,services,networkpolicies,configmaps,deployments,statefulsets"
"""Everything of a sandbox that is to hold no secret."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an agent must not reach, and what it is told instead, as addresses."""

    node: str
    """Where the kubelet of its node listens."""
    gateway: str
    others: tuple[str, ...]
    """The Pods and Services of other sandboxes in the namespace, whoever started them."""
    answer: str
    """What every name resolves to for the agent."""
    tells: bool
    """Whether a datagram that is refused is told: a NetworkPolicy drops it without a word."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """Those of audit.sh."""
        return "all", self.node, _KUBELET, self.gateway, *self.others


def surroundings(choice: ClusterChoice, agent: Pod) -> Surroundings:
    """Return what is around an agent's Pod.

    Raises:
        EngineError: the cluster does not answer.
    """
    (server,) = agent["spec"]["dnsConfig"]["nameservers"]
    place = Cluster(choice.namespace, choice.registry, server, Fence(choice.fence))
    found = _get(choice, "pods,services", f"--selector={LABEL}.project")
    sandbox, tells = _sandbox(agent), place.fence is Fence.POD
    others = sorted({_address(one) for one in found if _sandbox(one) != sandbox} - {"", "None"})
    return Surroundings(agent["status"]["hostIP"], server, tuple(others), place.answer, tells)


def public_objects(choice: ClusterChoice, project: str, agent: str) -> str:
    """Return all that a cluster shows of a sandbox but its Secrets, as JSON.

    Raises:
        EngineError: the cluster does not answer.
    """
    whose = f"--selector={LABEL}.project={project},{LABEL}.agent={agent}"
    return json.dumps(_get(choice, _PUBLIC, whose))


def _get(choice: ClusterChoice, *words: str) -> list[Pod]:
    items: list[Pod] = json.loads(Kubectl(choice).ask("get", *words, "--output=json"))["items"]
    return items


def _sandbox(one: Pod) -> dict[str, str]:
    """Return the labels that all objects of a sandbox share, such as its project's."""
    labels = one["metadata"].get("labels") or {}
    ours = {name: value for name, value in labels.items() if name.startswith(f"{LABEL}.")}
    return {name: value for name, value in ours.items() if name != f"{LABEL}.role"}


def _address(one: Pod) -> str:
    return str(one["spec"].get("clusterIP") or one.get("status", {}).get("podIP") or "")


def privileges(service: Service, pod: Pod) -> str:
    """Say what a Pod has beyond its service's definition."""
    spec = pod["spec"]
    hosts = [name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    wrong = [f"the node's namespace ({name})" for name in hosts]
    if spec.get("automountServiceAccountToken") is not False:
        wrong.append("a service account's token")
    if spec.get("shareProcessNamespace"):
        wrong.append("one process namespace")
    profile = spec.get("securityContext", {}).get("seccompProfile", {}).get("type")
    if profile not in {"RuntimeDefault", "Localhost"}:
        wrong.append("an unconfined security profile")
    for container, capabilities in _containers(service, pod):
        if capabilities is None:
            wrong.append(f"a container that is not ours ({container['name']})")
            continue
        has = container.get("securityContext", {})
        added = set(has.get("capabilities", {}).get("add") or ()) - capabilities
        is_main = container["name"] == service.role
        found = {
            "privileged": has.get("privileged"),
            "more capabilities": added,
            "capabilities that are not dropped": has.get("capabilities", {}).get("drop") != ["ALL"],
            "new privileges": has.get("allowPrivilegeEscalation") is not False,
            "a writable root file system": not has.get("readOnlyRootFilesystem")
            and not (is_main and service.writable),
            "devices": container.get("volumeDevices"),
        }
        wrong += (f"{container['name']}: {what}" for what, is_wrong in found.items() if is_wrong)
    return ", ".join(wrong)


def limits(service: Service, pod: Pod) -> str:
    """Say which container has no limit on memory; one on processes is the node's own."""
    without = (c["name"] for c, _ in _containers(service, pod) if not _memory(c))
    return ", ".join(f"{name}: no limit on memory" for name in without)


def mounts(service: Service, pod: Pod) -> str:
    """Say what a Pod mounts beyond its service's definition."""
    wanted = {bind.target for bind in service.binds}
    wanted |= {options.partition(":")[0] for options in service.tmpfs}
    (main,) = (c for c in pod["spec"]["containers"] if c["name"] == service.role)
    wrong = [m["mountPath"] for m in main["volumeMounts"] if m["mountPath"] not in wanted]
    volumes = pod["spec"].get("volumes") or ()
    wrong += (one["name"] for one in volumes if not one.keys() - {"name"} <= _OWN_KINDS)
    own = tuple(f"-{directory}" for directory in SECRETS[service.role])
    secrets = (one["secret"]["secretName"] for one in volumes if "secret" in one)
    wrong += (f"the Secret {name}" for name in secrets if not name.endswith(own))
    return ", ".join(sorted(wrong))


def ports(service: Service, pod: Pod) -> str:
    """Say which ports of the node a Pod opens."""
    opened = (
        str(port["hostPort"])
        for container, _ in _containers(service, pod)
        for port in container.get("ports") or ()
        if port.get("hostPort")
    )
    return ", ".join(opened)


def judges() -> Mapping[str, Callable[[Service, Pod], str]]:
    """Return, by attack, what looks for it in a Pod that the cluster shows."""
    return {
        "more privileges than defined": privileges,
        "no limit on memory": limits,
        "more mounts than agent.yaml names": mounts,
        "ports open on the node": ports,
    }


def _containers(service: Service, pod: Pod) -> Iterator[tuple[Pod, set[str] | None]]:
    """Yield all containers of a Pod, each with the capabilities it may have; None: not ours."""
    spec = pod["spec"]
    yield from ((one, _PREPARE.get(one["name"])) for one in spec.get("initContainers") or ())
    yield from ((one, None) for one in spec.get("ephemeralContainers") or ())
    for one in spec["containers"]:
        yield one, set(service.capabilities) if one["name"] == service.role else None


def _memory(container: Mapping[str, Any]) -> bool:
    return bool((container.get("resources") or {}).get("limits", {}).get("memory"))
