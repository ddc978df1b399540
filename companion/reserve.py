"""Which subnets, port and alias does an agent have? The kept ones, or new ones that nobody has."""

import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from companion import allocation, files, observe, state_file
from companion.check import Checked
from companion.engine import Engine
from companion.paths import Paths
from companion.sandbox import Allocation
from companion.state import AgentRecord

ALIAS_SUFFIX = ".sandbox"
_Others = Mapping[tuple[str, str], AgentRecord]


def reserve(home: Paths, checked: Checked, engine: Engine | None) -> AgentRecord:
    """Return the agent's record with all that must be chosen; what is chosen is remembered."""
    places = checked.places(home)
    record = state_file.read(places)
    if record and _is_complete(checked, record):
        return record
    with files.lock(home.allocation_lock):
        record = propose(home, checked, record, engine)
        state_file.write(places, record)
    return record


def anew(home: Paths, checked: Checked, record: AgentRecord, engine: Engine) -> None:
    """Choose other places for an agent that has some; all else that is remembered stays."""
    with files.lock(home.allocation_lock):
        new = propose(home, checked, None, engine)
        state_file.write(checked.places(home), replace(record, allocation=new.allocation))


def propose(
    home: Paths, checked: Checked, record: AgentRecord | None, engine: Engine | None
) -> AgentRecord:
    """Return the record with an allocation for the agent: the kept one, or a newly chosen one."""
    if record and _is_complete(checked, record):
        return record
    server = checked.whole.ssh[0] if checked.whole.ssh else None
    mine = checked.project.id, checked.config.name
    others = {who: other for who, other in _all_agents(home) if who != mine}
    kept = record.allocation if record else _new_allocation(checked, others, engine)
    port = None
    if server:
        own = {port.host for port in checked.whole.ports}
        taken = own | {r.allocation.ssh_port or 0 for r in others.values()}
        before = None if kept.ssh_port in own else kept.ssh_port
        port = server.port or before or allocation.port(taken, observe.port_is_free)
    chosen = replace(kept, ssh_port=port)
    if record:
        return replace(record, allocation=chosen)
    return AgentRecord(chosen, salt=secrets.token_hex(16))


def _is_complete(checked: Checked, record: AgentRecord | None) -> bool:
    """Tell whether a record holds all that its config needs: nothing must be chosen."""
    server = checked.whole.ssh[0] if checked.whole.ssh else None
    if record is None:
        return False
    port = record.allocation.ssh_port
    if server is None or port is None:
        return server is None and port is None
    return server.port == port or (
        server.port is None and port not in {p.host for p in checked.whole.ports}
    )


def _all_agents(home: Paths) -> Iterator[tuple[tuple[str, str], AgentRecord]]:
    for project_id, written in state_file.all_projects(home).items():
        for name, record in written.agents.items():
            yield (project_id, name), record


def _new_allocation(checked: Checked, others: _Others, engine: Engine | None) -> Allocation:
    taken = [s for r in others.values()
             for s in (r.allocation.egress_subnet, r.allocation.internal_subnet)]  # fmt: skip
    if engine:
        taken += [*observe.taken_subnets(), *engine.subnets()]
    outer, inner = allocation.subnets(f"{checked.project.id}/{checked.config.name}", taken)
    return Allocation(_alias(checked, {r.allocation.alias for r in others.values()}), outer, inner)


def _alias(checked: Checked, taken: Collection[str]) -> str:
    """Return the shortest alias that no other agent has."""
    agent, project = checked.config.name, checked.project.id
    names = (agent, f"{agent}-{project.rpartition('-')[0]}", f"{agent}-{project}")
    return next(a for n in names if (a := f"{n}{ALIAS_SUFFIX}") not in taken)
