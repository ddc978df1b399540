"""Which subnets, port and alias does an agent have? The kept ones, or new ones that nobody has."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from companion import allocation, observe, state_file
from companion.check import Checked
from companion.engine import Engine
from companion.paths import Paths
from companion.sandbox import Allocation
from companion.state import AgentRecord, Written

ALIAS_SUFFIX = ".sandbox"


def reserve(home: Paths, checked: Checked, written: Written, engine: Engine | None) -> Written:
    """Return `written` with an allocation for the agent: the kept one, or a newly chosen one."""
    name = checked.config.name
    server = checked.whole.ssh[0] if checked.whole.ssh else None
    record = written.agents.get(name)
    others = {i: w for i, w in state_file.all_projects(home).items() if i != checked.project.id}
    kept = record.allocation if record else _new_allocation(checked, others, engine)
    port = None
    if server:
        taken = {p for p in _ports(others) if p}
        port = server.port or kept.ssh_port or allocation.port(taken, observe.port_is_free)
    chosen = replace(kept, ssh_port=port)
    record = replace(record, allocation=chosen) if record else AgentRecord(chosen)
    return replace(written, agents={**written.agents, name: record})


def _new_allocation(
    checked: Checked, others: Mapping[str, Written], engine: Engine | None
) -> Allocation:
    taken = [s for w in others.values() for r in w.agents.values()
             for s in (r.allocation.egress_subnet, r.allocation.internal_subnet)]  # fmt: skip
    if engine:
        taken += [*observe.taken_subnets(), *engine.subnets()]
    outer, inner = allocation.subnets(f"{checked.project.id}/{checked.config.name}", taken)
    aliases = {r.allocation.alias for w in others.values() for r in w.agents.values()}
    return Allocation(_alias(checked, aliases), outer, inner)


def _alias(checked: Checked, taken: Collection[str]) -> str:
    """Return the shortest alias that no other project has."""
    agent, project = checked.config.name, checked.project.id
    names = (agent, f"{agent}-{project.rpartition('-')[0]}", f"{agent}-{project}")
    return next(a for n in names if (a := f"{n}{ALIAS_SUFFIX}") not in taken)


def _ports(projects: Mapping[str, Written]) -> Iterator[int | None]:
    return (r.allocation.ssh_port for w in projects.values() for r in w.agents.values())
