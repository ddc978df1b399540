"""What an audit looks for in the Pods of a sandbox, as the cluster shows them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from companion.spec.containers import Service

Pod = Mapping[str, Any]
_KUBELET = "10250"
_OWN_KINDS = {"configMap", "secret", "emptyDir", "persistentVolumeClaim"}
_PREPARES = {"net": {"NET_ADMIN"}}
"""The init containers that have a capability until they end."""


def surroundings(agent: Pod) -> tuple[str, str, str]:
    """Return what the agent must not reach: its node's kubelet, and its gateway by its address."""
    (server,) = agent["spec"]["dnsConfig"]["nameservers"]
    return agent["status"]["hostIP"], _KUBELET, server


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


def _containers(service: Service, pod: Pod) -> Iterator[tuple[Mapping[str, Any], set[str]]]:
    """Yield all containers of a Pod, each with the capabilities that it may have."""
    spec = pod["spec"]
    for one in (*(spec.get("initContainers") or ()), *(spec.get("ephemeralContainers") or ())):
        yield one, _PREPARES.get(one["name"], set())
    for one in spec["containers"]:
        yield one, set(service.capabilities) if one["name"] == service.role else set()


def _memory(container: Mapping[str, Any]) -> bool:
    return bool((container.get("resources") or {}).get("limits", {}).get("memory"))
