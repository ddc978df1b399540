"""Allocation: the subnets, port and alias of an agent, kept or newly chosen."""

import secrets
from collections.abc import Callable, Collection
from dataclasses import replace

from companion.engine.driver import Driver
from companion.errors import CompanionError
from companion.project import store
from companion.project.record import AgentRecord
from companion.reconcile import subnets
from companion.reconcile.validate import Checked
from companion.sandbox.allocation import Allocation
from companion.system import locks, network
from companion.system.paths import Paths

FIRST_PORT = 2222


def choose_port(
    taken: Collection[int], is_free: Callable[[int], bool], first: int = FIRST_PORT
) -> int:
    """Return the first free port from `first` up.

    Raises:
        CompanionError: none is left.
    """
    for candidate in range(first, 65536):
        if candidate not in taken and is_free(candidate):
            return candidate
    raise CompanionError(f"no free port from {first} up", "stop a program that listens on one")


ALIAS_SUFFIX = ".sandbox"


_Others = tuple[AgentRecord, ...]


def reserve(
    home: Paths, checked: Checked, engine: Driver | None, progress: Callable[[str], None]
) -> AgentRecord:
    """Return the agent's record with a complete allocation, and store it if it is new.

    Values that another agent also has are replaced: copied records, or records that an older
    version wrote concurrently, may share an alias, a subnet or a port.
    """
    agent_paths = checked.agent_paths(home)
    record = store.read(agent_paths)
    if record and _is_settled(checked, record, _others(home, checked)):
        return record
    with locks.exclusive(home.allocation_lock):
        before = store.read(agent_paths)
        record = propose(home, checked, before, *([engine] if engine else ()))
        store.write(agent_paths, record)
    if engine and not (before and before.allocation.subnets == record.allocation.subnets):
        _report_covering(record.allocation, engine, progress)
    store.register(home.project(checked.project.id), checked.project.directory)
    return record


def reallocate(
    home: Paths,
    checked: Checked,
    record: AgentRecord,
    engines: Collection[Driver],
    progress: Callable[[str], None],
) -> None:
    """Replace an agent's allocation by what is free on these engines; the rest of its record stays.

    An agent that moves has two engines, and its subnets are taken on either.
    """
    with locks.exclusive(home.allocation_lock):
        new = propose(home, checked, None, *engines)
        store.write(checked.agent_paths(home), replace(record, allocation=new.allocation))
    for engine in engines:
        _report_covering(new.allocation, engine, progress)


def change_port(home: Paths, checked: Checked, record: AgentRecord) -> None:
    """Replace the port of an agent by a higher one, even if its own seems to be free.

    What an engine cannot have is not always seen here: in a virtual machine, say.
    """
    with locks.exclusive(home.allocation_lock):
        taken = _taken_ports(checked, _others(home, checked))
        first = (record.allocation.ssh_port or FIRST_PORT - 1) + 1
        port = choose_port(taken, network.port_is_free, first)
        allocation = replace(record.allocation, ssh_port=port)
        store.write(checked.agent_paths(home), replace(record, allocation=allocation))


def _report_covering(
    allocation: Allocation, engine: Driver, progress: Callable[[str], None]
) -> None:
    """Report that a VPN of this machine, for example, routes the sandbox's subnets, too."""
    if not engine.choice.shares_files:
        return
    if route := subnets.covering(allocation.subnets, network.routes()):
        own = " and ".join(allocation.subnets)
        progress(f"{route} is routed elsewhere (by a VPN?); {own} in it are the sandbox's now")


def propose(
    home: Paths, checked: Checked, record: AgentRecord | None, *engines: Driver
) -> AgentRecord:
    """Return the record with an allocation, kept or newly chosen, without storing it."""
    others = _others(home, checked)
    if record and _is_settled(checked, record, others):
        return record
    kept = _unshared(record, checked, others, engines)
    server = checked.contribution.ssh[0] if checked.contribution.ssh else None
    port = None
    if server:
        taken = _taken_ports(checked, others)
        before = None if kept.ssh_port in taken else kept.ssh_port
        port = server.port or before or choose_port(taken, network.port_is_free)
    chosen = replace(kept, ssh_port=port)
    if record:
        return replace(record, allocation=chosen)
    return AgentRecord(chosen, salt=secrets.token_hex(16))


def _taken_ports(checked: Checked, others: _Others) -> set[int]:
    """Return the ports that the agent itself publishes, and those of other agents."""
    own = {port.host for port in checked.contribution.ports}
    return own | {record.allocation.ssh_port or 0 for record in others}


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
        if not {*other.subnets}.isdisjoint(own.subnets):
            found.add("subnets")
        if own.ssh_port and other.ssh_port == own.ssh_port and own.ssh_port not in asked:
            found.add("ssh_port")
    return frozenset(found)


def _unshared(
    record: AgentRecord | None, checked: Checked, others: _Others, engines: Collection[Driver]
) -> Allocation:
    """Return the kept allocation with shared values replaced, or a new one if there is none."""
    if record is None:
        return _new_allocation(checked, others, engines)
    kept, shared = record.allocation, _shared(checked, record.allocation, others)
    if not shared & {"alias", "subnets"}:
        return kept
    new = _new_allocation(checked, others, engines)
    if "alias" in shared:
        kept = replace(kept, alias=new.alias)
    if "subnets" in shared:
        outer, inner = new.egress_subnet, new.internal_subnet
        kept = replace(kept, egress_subnet=outer, internal_subnet=inner)
    return kept


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


def _new_allocation(checked: Checked, others: _Others, engines: Collection[Driver]) -> Allocation:
    taken = [subnet for r in others for subnet in r.allocation.subnets]
    for engine in engines:
        taken += (*engine.subnets(), *engine.choice.networks)
    is_here = any(engine.choice.shares_files for engine in engines)
    routes = network.routes() if is_here else []
    outer, inner = subnets.choose(f"{checked.project.id}/{checked.config.name}", taken, routes)
    return Allocation(_alias(checked, {r.allocation.alias for r in others}), outer, inner)


def _alias(checked: Checked, taken: Collection[str]) -> str:
    """Return the shortest free alias."""
    agent, project = checked.config.name, checked.project.id
    names = (agent, f"{agent}-{project.rpartition('-')[0]}", f"{agent}-{project}")
    return next(a for n in names if (a := f"{n}{ALIAS_SUFFIX}") not in taken)
