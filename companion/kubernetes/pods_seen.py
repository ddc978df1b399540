"""Pods as a cluster reports them, read as containers."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from companion.engine.model import IN_POD, Container
from companion.kubernetes.names import LABEL, Names
from companion.kubernetes.pods import PLACE, SERVICE, SPEC
from companion.kubernetes.waiting import is_over
from companion.spec.identity import Role

Object = Mapping[str, Any]
_AROUND = {("Service", role) for role in (Role.GATEWAY, Role.AGENT)} | {
    ("NetworkPolicy", role) for role in (Role.GATEWAY, Role.AGENT)
}
"""What a sandbox has besides its Pods: without all of it, it is started anew."""
_ROLES = (Role.AGENT, Role.GATEWAY)


def containers(objects: Iterable[Object], seal: str) -> Iterator[Container]:
    """Yield the containers of our Pods; one that is over is left out if another one is there.

    A Pod that only has our labels is none of ours: its role is not one of a cluster's.

    Args:
        objects: Pods, Services and NetworkPolicies of one or more sandboxes.
        seal: the digest of an agent's place, by which its Pods should be; "" for no comparison.
    """
    listed = list(objects)
    pods = sorted((o for o in listed if o["kind"] == "Pod"), key=is_over)
    seen: set[tuple[str, ...]] = set()
    around = {(o["kind"], _labels(o).get(f"{LABEL}.role")) for o in listed if o["kind"] != "Pod"}
    is_whole = not seal or around >= _AROUND
    for pod in pods:
        labels = _labels(pod)
        names = (labels.get(f"{LABEL}.{one}", "") for one in ("project", "agent", "role"))
        project, agent, role = key = tuple(names)
        if project and agent and role in _ROLES and key not in seen:
            seen.add(key)
            yield _container(pod, seal, is_whole=is_whole)


def address(objects: Iterable[Object], names: Names) -> str:
    """Return the ClusterIP of the gateway's Service; "" if there is none."""
    name = names.of(Role.GATEWAY)
    services = (o for o in objects if o["kind"] == "Service" and o["metadata"]["name"] == name)
    return next((str(o["spec"].get("clusterIP", "")) for o in services), "")


def images(objects: Iterable[Object]) -> frozenset[str]:
    """Return the names of the images that containers of Pods run."""
    return frozenset(
        container["image"]
        for pod in objects
        if pod["kind"] == "Pod"
        for container in pod["spec"]["containers"]
        for status in pod.get("status", {}).get("containerStatuses") or ()
        if status["name"] == container["name"] and "running" in status["state"]
    )


def _labels(one: Object) -> Mapping[str, str]:
    return one["metadata"].get("labels") or {}


def _is_ending(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _container(pod: Object, seal: str, *, is_whole: bool) -> Container:
    metadata, labels = pod["metadata"], _labels(pod)
    annotations = metadata.get("annotations") or {}
    role, agent = Role(labels[f"{LABEL}.role"]), labels[f"{LABEL}.agent"]
    is_current = is_whole and (not seal or annotations.get(PLACE) == seal)
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    status: Object = next((one for one in statuses if one["name"] == role), {})
    state: Mapping[str, Any] = status.get("state") or {}
    ended = state.get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    is_running = "running" in state and not _is_ending(pod)
    word = _status(pod, state, is_running=is_running)
    return Container(
        id=metadata["uid"],
        name=metadata["name"],
        project=labels[f"{LABEL}.project"],
        service=annotations.get(SERVICE, role.service_of(agent)),
        agent=agent,
        role=role,
        spec=annotations.get(SPEC, "") if is_current else "",
        running=is_running,
        status=word,
        exit_code=0 if is_running else int(ended.get("exitCode", 0)),
        out_of_memory=not is_running and ended.get("reason") == "OOMKilled",
        started=state["running"].get("startedAt", "") if "running" in state else "",
        network_mode=IN_POD,
        coming=word == "starting" or (is_running and not status.get("started")),
    )


def _status(pod: Object, state: Mapping[str, Any], *, is_running: bool) -> str:
    """Return the word for a container's state."""
    if is_running:
        return "running"
    if _is_ending(pod):
        return "ending"
    if "terminated" in state or is_over(pod):
        return "exited"
    reason: str = state.get("waiting", {}).get("reason", "")
    if reason == "CrashLoopBackOff":
        return "exited, and is restarted"
    return "starting"
