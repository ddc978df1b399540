"""Waiting: what a cluster tells of a Pod that is to start, and whether it still can."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from companion.errors import Code, Problem
from companion.spec.identity import Role

Object = Mapping[str, Any]
"""A Pod or an Event as `kubectl get --output=json` prints it."""
Occurrence = tuple[str, int]
CLOSED = "closed"
"""The init container that tries to get out of the Pod."""
_UNSCHEDULABLE = "Unschedulable"
_SECONDS = 30.0
_AUTOSCALER = 600.0
_CONTROLLER = 120.0
_START = 3900.0
"""More than a startup probe waits (see pods.py), and an image takes to be pulled."""
_LONGEST = 400
_PULL = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
_AT_WORK = {"", "ContainerCreating", "PodInitializing"}
_SETTING_UP = {"FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"}
_NO_VOLUME = {"ProvisioningFailed", "FailedBinding"}
_NOISE = re.compile(
    r"rpc error: code = \w+ desc = "
    r"|failed to (pull and unpack|resolve) (image|reference) \"[^\"]*\": "
    r"|^Failed to pull image \"[^\"]*\": |^\(combined from similar events\): "
    r"|\b(Error creating|create Pod .* failed error): "
    r"|\bpods \"[^\"]*\" is forbidden: "
)
_PULL_HINTS = (
    (
        r"gave HTTP response to HTTPS client",
        "let the container runtime of its nodes use HTTP for this registry",
    ),
    (
        r"(?i:unauthorized|authorization failed|access denied|forbidden|no basic auth)",
        "let its nodes log in: add an imagePullSecret to the service account `default`",
    ),
    (r"(?i:not found|manifest unknown)", "push it: run `companion up` again"),
    (r"", "check that its nodes reach the registry"),
)


@dataclass(frozen=True, slots=True)
class Ready:
    """The Pod's container has started."""


@dataclass(frozen=True, slots=True)
class Coming:
    """Nothing is wrong so far."""

    doing: str
    """What is being done, for people."""
    patience: float = field(default=_START, compare=False)
    """The seconds for which that may take."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """Something is wrong, and ends well at most by what others do to the cluster."""

    problem: Problem
    patience: float = _SECONDS
    """The seconds for which that may be so: clusters try again, and volumes take a while."""


State = Ready | Coming | Stuck


class Patience:
    """Tells when a Pod has been in one state for too long."""

    def __init__(self) -> None:
        self._since: dict[Role, tuple[str, float]] = {}

    def problem(self, role: Role, state: State, now: float) -> Problem | None:
        """Return why nobody should wait on for a Pod that is in `state` at `now` (seconds)."""
        if isinstance(state, Ready):
            self._since.pop(role, None)
            return None
        what = state.doing if isinstance(state, Coming) else ""  # one problem may follow another
        before, begin = self._since.get(role, (None, now))
        if before != what:
            self._since[role] = what, (begin := now)
        if now - begin < state.patience:
            return None
        if isinstance(state, Stuck):
            return state.problem
        what = f"the cluster has not got beyond {state.doing} for {state.patience:.0f} s"
        return Problem(what, "ask the cluster's administrator", code=Code.ENGINE_FAILED)


def judge(
    role: Role,
    owner: str,
    pod: Object | None,
    events: Collection[Object] = (),
    known: frozenset[Occurrence] = frozenset(),
) -> State:
    """Return what a Pod is waiting for.

    Readiness is read from `started`, because Kubernetes before 1.21 calls a Pod ready up to a
    minute after its startup probe succeeded.

    Args:
        role: the Pod's role.
        owner: the name of its StatefulSet or Deployment.
        pod: the Pod; None if there is none.
        events: those of its namespace, or a part that holds the Pod's and its owner's. They are
            needed only if `wants_events`.
        known: what was told before the owner was applied, by occurrences().
    """
    if pod is None:
        new = [event for event in events if _occurrence(event) not in known]
        return _no_pod(role, owner, new)
    if "deletionTimestamp" in pod["metadata"]:
        return Coming("ending the previous Pod", _CONTROLLER)
    uid = pod["metadata"]["uid"]
    mine = [event for event in events if event["involvedObject"].get("uid") == uid]
    status = pod.get("status", {})
    if status.get("phase") == "Failed":
        return Stuck(_failed(role, status))
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return _unscheduled(role, owner, condition, events)
    for container in _containers(status):
        if found := _container(role, container, mine):
            return found
    started = [c for c in status.get("containerStatuses", ()) if _has_started(c)]
    return Ready() if started else _starting(role, status, mine)


def is_over(pod: Object) -> bool:
    """Tell whether a Pod is being removed, or was ended by the cluster."""
    phase = pod.get("status", {}).get("phase")
    return "deletionTimestamp" in pod["metadata"] or phase in {"Failed", "Succeeded"}


def wants_events(pod: Object | None) -> bool:
    """Tell whether events say more of a Pod than it tells itself."""
    if pod is None:
        return True
    status = pod.get("status", {})
    waiting = [c["state"]["waiting"] for c in _containers(status) if "waiting" in c["state"]]
    return not any(map(_has_started, status.get("containerStatuses", ()))) and (
        not waiting or any(one.get("reason", "") in _PULL | _AT_WORK for one in waiting)
    )


def occurrences(events: Iterable[Object]) -> frozenset[Occurrence]:
    """Return what tells an event from the same one that happens again."""
    return frozenset(map(_occurrence, events))


def _occurrence(event: Object) -> Occurrence:
    series = event.get("series") or {}
    return event["metadata"]["uid"], series.get("count") or event.get("count") or 1


def _no_pod(role: Role, owner: str, events: Iterable[Object]) -> State:
    for event in _latest(events, {"FailedCreate"}):
        involved = event["involvedObject"]
        name: str = involved["name"]
        is_owner = name == owner or (
            involved["kind"] == "ReplicaSet" and name.rpartition("-")[0] == owner
        )
        if is_owner:
            what = f"the cluster does not create the {role}'s Pod: {_reason(event['message'])}"
            return Stuck(Problem(what, _creation_hint(what), code=Code.ENGINE_FAILED))
    return Coming("waiting for the Pod", _CONTROLLER)


def _creation_hint(what: str) -> str:
    if "quota" in what:
        return "ask for a higher quota, remove what is not needed, or lower `limits:`"
    return "ask the namespace's administrator to admit it"


def _failed(role: Role, status: Object) -> Problem:
    said = " ".join(filter(None, (status.get("reason"), status.get("message"))))
    what = f"the {role}'s Pod was ended by the cluster: {_reason(said) or 'without a reason'}"
    return Problem(what, "ask the cluster's administrator", code=Code.ENGINE_FAILED)


def _unscheduled(role: Role, owner: str, condition: Object, events: Collection[Object]) -> State:
    said = condition.get("message", "").partition(" preemption: ")[0]
    if condition.get("reason") != _UNSCHEDULABLE:
        return Coming("waiting for a node", _AUTOSCALER)
    hint = "make room on a node, or add one"
    if "PersistentVolumeClaim" in said:
        hint = "`kubectl get storageclass` shows what the cluster has; one has to be the default"
        for event in _latest(events, _NO_VOLUME):
            if event["involvedObject"]["name"].startswith(f"{owner}."):
                said = f"its volume is not made: {event['message']}"
                break
    what = f"no node takes the {role}'s Pod: {_reason(said)}"
    grows = any(_latest(events, {"TriggeredScaleUp"}))
    patience = _AUTOSCALER if grows else _SECONDS
    return Stuck(Problem(what, hint, code=Code.ENGINE_FAILED), patience)


def _containers(status: Object) -> Iterator[Object]:
    yield from status.get("initContainerStatuses", ())
    yield from status.get("containerStatuses", ())


def _has_started(container: Object) -> bool:
    return "running" in container["state"] and bool(container.get("started"))


def _container(role: Role, container: Object, events: Iterable[Object]) -> State | None:
    """Return what keeps a container from starting, if anything does."""
    waiting = container["state"].get("waiting", {})
    reason: str = waiting.get("reason", "")
    if reason in _PULL:
        return Stuck(_pull(container, waiting, events))
    ended = container["state"].get("terminated") or container.get("lastState", {}).get("terminated")
    is_over = ended and (ended["exitCode"] != 0 or container["name"] == role)
    if is_over and not _has_started(container):
        return _exited(role, container["name"], ended)
    if reason in _AT_WORK:
        return None
    what = f"the container {container['name']} of the {role}'s Pod cannot be created"
    said = f"{what}: {_reason(waiting.get('message', '') or reason)}"
    return Stuck(Problem(said, "run `companion up` again", code=Code.ENGINE_FAILED))


def _pull(container: Object, waiting: Object, events: Iterable[Object]) -> Problem:
    """Return why an image is not pulled: while it backs off, only an event tells that."""
    said: str = waiting.get("message", "")
    if "Back-off" in said or not said:
        told = (e["message"] for e in _latest(events, {"Failed"}))
        said = next((text for text in told if text.startswith("Failed to pull")), said)
    hint = next(hint for pattern, hint in _PULL_HINTS if re.search(pattern, said))
    what = f"the cluster cannot pull {container['image']}: {_reason(said)}"
    return Problem(what, hint, code=Code.PULL_FAILED)


def _exited(role: Role, name: str, ended: Object) -> Stuck:
    lines = [line.strip() for line in ended.get("message", "").splitlines() if line.strip()]
    told = f": {_reason('; '.join(lines))}" if lines else ""
    if name == CLOSED and any(line.startswith("open: ") for line in lines):
        what = f"the agent was not started, because its network is not closed{told}"
        hint = "use a cluster whose network enforces NetworkPolicies, or that grants NET_ADMIN"
        return Stuck(Problem(what, hint, code=Code.ENGINE_FAILED))
    code = ended["exitCode"]
    if name == Role.AGENT:
        what = f"the agent exited at startup with exit code {code}"
        return Stuck(Problem(what, "`companion logs` shows its output", code=Code.AGENT_ENDED), 0)
    what = f"the container {name} of the {role}'s Pod keeps exiting (exit code {code}){told}"
    hint = "`companion logs --gateway` shows its output" if name == Role.GATEWAY else ""
    return Stuck(Problem(what, hint, code=Code.ENGINE_FAILED))


def _starting(role: Role, status: Object, events: Iterable[Object]) -> State:
    has_begun = any("waiting" not in container["state"] for container in _containers(status))
    for event in _latest(() if has_begun else events, _SETTING_UP):
        what = f"the node cannot set up the {role}'s Pod: {_reason(event['message'])}"
        return Stuck(Problem(what, "ask the cluster's administrator", code=Code.ENGINE_FAILED))
    return Coming(f"starting the {role}")


def _latest(events: Iterable[Object], reasons: set[str]) -> Iterator[Object]:
    """Yield the events with these reasons, the latest first."""
    chosen = [event for event in events if event["reason"] in reasons]
    yield from sorted(chosen, key=_time, reverse=True)


def _time(event: Object) -> str:
    series = event.get("series") or {}
    told = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return next(filter(None, told), "")


def _reason(text: str) -> str:
    """Return the cluster's own words as one line, without what its parts say of each other."""
    line = _NOISE.sub("", " ".join(text.split()))
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
