"""Allocation: the subnets, port and alias of an agent, kept or newly chosen."""

import hashlib
import ipaddress
import secrets
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from companion.engine.driver import Driver
from companion.errors import CompanionError
from companion.project import store
from companion.project.record import AgentRecord
from companion.reconcile.validate import Checked
from companion.sandbox.model import Allocation
from companion.system import locks, network
from companion.system.paths import Paths

FIRST_PORT = 2222
_POOLS = ("10.231.0.0/16", "172.30.0.0/16", "192.168.224.0/19")
_PREFIX = 28


def choose_subnets(seed: str, taken: Collection[str]) -> tuple[str, str]:
    """Return two /28 subnets that overlap none of `taken` (CIDR texts).

    `seed` determines where the search starts, so that an agent gets the same subnets again.

    Raises:
        CompanionError: every pool is taken, e.g. by a VPN that routes all private addresses.
    """
    used = [ipaddress.ip_network(subnet, strict=False) for subnet in taken]
    free = (c for c in _candidates(seed) if not any(c.overlaps(u) for u in used if u.version == 4))  # noqa: PLR2004
    first, second = next(free, None), next(free, None)
    if first is None or second is None:
        hint = f"free a part of {' or '.join(_POOLS)} (a VPN may route all of it)"
        raise CompanionError("no private subnet is left for a sandbox", hint)
    return str(first), str(second)


def choose_port(taken: Collection[int], is_free: Callable[[int], bool]) -> int:
    """Return the first free port from 2222 up.

    Raises:
        CompanionError: none is left.
    """
    for candidate in range(FIRST_PORT, 65536):
        if candidate not in taken and is_free(candidate):
            return candidate
    raise CompanionError("no free port from 2222 up", "stop a program that listens on one")


def _candidates(seed: str) -> Iterator[ipaddress.IPv4Network]:
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big")
    for pool in map(ipaddress.IPv4Network, _POOLS):
        count = 1 << (_PREFIX - pool.prefixlen)
        for step in range(count):
            offset = (number + step) % count << (32 - _PREFIX)
            yield ipaddress.IPv4Network((int(pool.network_address) + offset, _PREFIX))


ALIAS_SUFFIX = ".sandbox"


_Others = tuple[AgentRecord, ...]


def reserve(home: Paths, checked: Checked, engine: Driver | None) -> AgentRecord:
    """Return the agent's record with a complete allocation, and store it if it is new.

    Values that another agent also has are replaced: copied records, or records that an older
    version wrote concurrently, may share an alias, a subnet or a port.
    """
    agent_paths = checked.agent_paths(home)
    record = store.read(agent_paths)
    if record and _is_settled(checked, record, _others(home, checked)):
        return record
    with locks.exclusive(home.allocation_lock):
        record = propose(home, checked, store.read(agent_paths), engine)
        store.write(agent_paths, record)
    store.register(home.project(checked.project.id), checked.project.directory)
    return record


def reallocate(home: Paths, checked: Checked, record: AgentRecord, engine: Driver) -> None:
    """Replace an agent's allocation; the rest of its record stays."""
    with locks.exclusive(home.allocation_lock):
        new = propose(home, checked, None, engine)
        store.write(checked.agent_paths(home), replace(record, allocation=new.allocation))


def propose(
    home: Paths, checked: Checked, record: AgentRecord | None, engine: Driver | None
) -> AgentRecord:
    """Return the record with an allocation, kept or newly chosen, without storing it."""
    others = _others(home, checked)
    if record and _is_settled(checked, record, others):
        return record
    kept = _unshared(record, checked, others, engine)
    server = checked.contribution.ssh[0] if checked.contribution.ssh else None
    port = None
    if server:
        own = {port.host for port in checked.contribution.ports}
        taken = own | {r.allocation.ssh_port or 0 for r in others}
        before = None if kept.ssh_port in taken else kept.ssh_port
        port = server.port or before or choose_port(taken, network.port_is_free)
    chosen = replace(kept, ssh_port=port)
    if record:
        return replace(record, allocation=chosen)
    return AgentRecord(chosen, salt=secrets.token_hex(16))


def _is_settled(checked: Checked, record: AgentRecord, others: _Others) -> bool:
    """Tell whether a record's allocation is complete and shared with no other agent."""
    return _is_complete(checked, record) and not _shared(checked, record.allocation, others)


def _shared(checked: Checked, own: Allocation, others: _Others) -> frozenset[str]:
    """Return the fields of an allocation that another agent also has; ignore configured ports."""
    asked = {server.port for server in checked.contribution.ssh}
    found: set[str] = set()
    for other in (record.allocation for record in others):
        if other.alias == own.alias:
            found.add("alias")
        if not _subnets(other).isdisjoint(_subnets(own)):
            found.add("subnets")
        if own.ssh_port and other.ssh_port == own.ssh_port and own.ssh_port not in asked:
            found.add("ssh_port")
    return frozenset(found)


def _unshared(
    record: AgentRecord | None, checked: Checked, others: _Others, engine: Driver | None
) -> Allocation:
    """Return the kept allocation with shared values replaced, or a new one if there is none."""
    if record is None:
        return _new_allocation(checked, others, engine)
    kept, shared = record.allocation, _shared(checked, record.allocation, others)
    if not shared & {"alias", "subnets"}:
        return kept
    new = _new_allocation(checked, others, engine)
    if "alias" in shared:
        kept = replace(kept, alias=new.alias)
    if "subnets" in shared:
        outer, inner = new.egress_subnet, new.internal_subnet
        kept = replace(kept, egress_subnet=outer, internal_subnet=inner)
    return kept


def _subnets(allocation: Allocation) -> frozenset[str]:
    return frozenset((allocation.egress_subnet, allocation.internal_subnet))


def _is_complete(checked: Checked, record: AgentRecord | None) -> bool:
    """Tell whether a record's allocation has all that its config needs."""
    server = checked.contribution.ssh[0] if checked.contribution.ssh else None
    if record is None:
        return False
    port = record.allocation.ssh_port
    if server is None or port is None:
        return server is None and port is None
    return server.port == port or (
        server.port is None and port not in {p.host for p in checked.contribution.ports}
    )


def _others(home: Paths, checked: Checked) -> _Others:
    """Return the records of all other agents, including those whose first `up` is under way."""
    own = checked.project.id, checked.config.name
    return tuple(record for who, record in store.all_records(home) if who != own)


def _new_allocation(checked: Checked, others: _Others, engine: Driver | None) -> Allocation:
    taken = [subnet for r in others for subnet in _subnets(r.allocation)]
    if engine:
        taken += [*network.taken_subnets(), *engine.subnets()]
    outer, inner = choose_subnets(f"{checked.project.id}/{checked.config.name}", taken)
    return Allocation(_alias(checked, {r.allocation.alias for r in others}), outer, inner)


def _alias(checked: Checked, taken: Collection[str]) -> str:
    """Return the shortest free alias."""
    agent, project = checked.config.name, checked.project.id
    names = (agent, f"{agent}-{project.rpartition('-')[0]}", f"{agent}-{project}")
    return next(a for n in names if (a := f"{n}{ALIAS_SUFFIX}") not in taken)
