"""Plan: the ordered steps from observed to desired state, each with its reason."""

from collections.abc import Iterable, Iterator, Mapping

from companion.engine.model import Container, Observed
from companion.project.record import AgentRecord, Applied
from companion.reconcile.reasons import Reason, Why
from companion.reconcile.steps import (
    Await,
    BuildImage,
    CreateNetwork,
    LeaveEngine,
    Plan,
    Reconnect,
    Reload,
    Remove,
    RemoveNetwork,
    Start,
)
from companion.spec.containers import Service, Target
from companion.spec.identity import Role

_NOT_WANTED = Why(Reason.NOT_WANTED, "no longer part of the sandbox")
_MISSING = Why(Reason.MISSING, "it does not exist yet")
_COMING = Why(Reason.COMING, "the cluster is starting it")
_LOST = Why(Reason.FILES_LOST, "files that it mounts were deleted from the cluster")
_UNREACHABLE = Why(Reason.UNREACHABLE, "SSH does not answer; firewall rules may be gone")


def plan(
    desired: Target,
    observed: Observed,
    record: AgentRecord,
    *,
    fresh: bool = False,
    departures: Iterable[LeaveEngine] = (),
) -> Plan:
    """Return the fewest steps that turn `observed` into `desired`.

    Args:
        desired: the state to reach.
        observed: what the engine holds.
        record: what was last started and loaded, for reloads and reasons.
        fresh: replace every container even if nothing differs (`companion restart`).
        departures: the engines to leave first: others would need the same port and subnets.
    """
    wrong_networks = dict(_network_reasons(desired, observed))
    reasons = dict(
        _start_reasons(desired, observed, record.applied.parts, wrong_networks, fresh=fresh)
    )
    return Plan((
        *_builds(desired, observed),
        *departures,
        *_removals(desired, observed, reasons),
        *(RemoveNetwork(n, r) for n, r in wrong_networks.items() if n in observed.networks),
        *(RemoveNetwork(n, _NOT_WANTED) for n in sorted(observed.networks)
          if n not in {network.name for network in desired.networks}),
        *(CreateNetwork(n, wrong_networks[n.name]) for n in desired.networks
          if n.name in wrong_networks),
        *(Start(s, reasons[s.name]) for s in desired.services if s.name in reasons),
        *(Await(s, _COMING) for s in desired.services if s.name not in reasons
          and (found := observed.container(s.name)) and found.coming),
        *(Reconnect(s, _UNREACHABLE) for s in desired.services
          if observed.unreachable and s.publish and s.name not in reasons),
        *(r for s in desired.services if s.name not in reasons
          for r in ([Reload(s, _LOST)] if s.role in observed.lost else _reloads(s, record))),
    ))  # fmt: skip


def reloads(desired: Target, record: AgentRecord) -> Plan | None:
    """Return the plan if the record differs at most in reloads; None if the engine must be asked.

    Valid only if nobody else changed the containers.
    """
    if not (record.applied.complete and is_started(desired, record.applied)):
        return None
    return Plan(tuple(step for s in desired.services for step in _reloads(s, record)))


def is_started(desired: Target, applied: Applied) -> bool:
    """Tell whether what was last started are the same services, by the same definitions."""
    held = {name: dict(parts) for name, parts in applied.parts.items()}
    return held == {service.name: dict(service.parts) for service in desired.services}


def _reloads(service: Service, record: AgentRecord) -> Iterator[Reload]:
    """Yield a reload if a service that stays has not loaded all that is desired."""
    wanted, held = dict(service.reloads), record.applied.loaded.get(service.name)
    if held == wanted or not (wanted or held):
        return
    if held is None:
        yield Reload(service, Why(Reason.NOT_LOADED, "what it loaded last is uncertain"))
        return
    gone = sorted(name for name in held if held[name] != wanted.get(name))
    new = sorted(name for name in wanted if name not in held)
    text = f"changed: {', '.join((*new, *gone))}"
    yield Reload(service, Why(Reason.NOT_LOADED, text), (*new, *gone))


def _builds(desired: Target, observed: Observed) -> Iterator[BuildImage]:
    for image in desired.images:
        if image.tag not in observed.images:
            text = f"its definition has no {image.role} image yet"
            yield BuildImage(image, Why(Reason.IMAGE_MISSING, text))


def _removals(desired: Target, observed: Observed, reasons: Mapping[str, Why]) -> Iterator[Remove]:
    """Yield removals, dependents first."""
    wanted = {service.name for service in desired.services}
    own = (c for c in observed.containers if c.agent == desired.agent)
    for container in sorted(own, key=_start_order, reverse=True):
        if container.service not in wanted:
            yield Remove(container.name, _NOT_WANTED)
        elif container.service in reasons:
            yield Remove(container.name, reasons[container.service])


def _network_reasons(desired: Target, observed: Observed) -> Iterator[tuple[str, Why]]:
    for network in desired.networks:
        subnet = observed.networks.get(network.name)
        if subnet is None:
            yield network.name, _MISSING
        elif subnet != network.subnet:
            text = f"its subnet is {subnet} instead of {network.subnet}"
            yield network.name, Why(Reason.NETWORK_CHANGED, text)


def _start_reasons(
    desired: Target,
    observed: Observed,
    written: Mapping[str, Mapping[str, str]],
    wrong_networks: Mapping[str, Why],
    *,
    fresh: bool,
) -> Iterator[tuple[str, Why]]:
    """Yield the services that must be restarted and why; services are in start order."""
    restarted: set[str] = set()
    for service in desired.services:
        container = observed.container(service.name)
        lost = [a.network for a in service.attachments if a.network in wrong_networks]
        if container is None:
            why = _MISSING
        elif container.spec != service.spec:
            why = _difference(service, written.get(service.name, {}))
        elif lost:
            why = Why(Reason.NETWORK_CHANGED, f"its network {lost[0]} is replaced")
        elif service.network_of in restarted or _lost_namespace(container, service, observed):
            text = f"it shares the network of {service.network_of}, which is new"
            why = Why(Reason.NAMESPACE_REPLACED, text)
        elif not (container.running or container.coming):
            why = Why(Reason.STOPPED, f"it is {container.status}")
        elif service.role is Role.NET and _restarted(container, observed):
            text = "another program restarted it; its network must be checked again"
            why = Why(Reason.RESTARTED_ELSEWHERE, text)
        elif fresh:
            why = Why(Reason.RESTART_REQUESTED, "a restart was requested")
        else:
            continue
        restarted.add(service.name)
        yield service.name, why


def _difference(service: Service, before: Mapping[str, str]) -> Why:
    changed = [name for name, value in service.parts.items() if before.get(name) != value]
    known = before and changed
    text = f"changed: {', '.join(changed)}" if known else "its definition changed"
    return Why(Reason.SPEC_CHANGED, text)


def _restarted(holder: Container, observed: Observed) -> bool:
    """Tell whether a net holder started after the agent that runs in its namespace."""
    guests = (c for c in observed.containers if c.role is Role.AGENT and c.agent == holder.agent)
    return any(guest.started < holder.started for guest in guests)


def _lost_namespace(container: Container, service: Service, observed: Observed) -> bool:
    """Tell whether the container's network holder is gone or was restarted."""
    if not service.network_of:
        return False
    holder = observed.container(service.network_of)
    return (
        holder is None
        or container.network_mode != f"container:{holder.id}"
        or container.started < holder.started
    )


def _start_order(container: Container) -> int:
    return list(Role).index(container.role) if container.role else len(Role)
