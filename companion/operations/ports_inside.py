"""Ports inside: where programs in a running sandbox listen, and whether the desktop gets there."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from companion.config.ports import GATE_PORT, SSHD_PORT
from companion.engine.driver import Driver
from companion.engine.model import Condition, Container
from companion.errors import Code, CompanionError, Problem
from companion.project import store
from companion.project.record import AgentRecord
from companion.spec.identity import Role
from companion.system import listeners
from companion.system.listeners import Listener
from companion.system.paths import Paths

_OURS = {GATE_PORT, SSHD_PORT}
_MOST = 20
"""Ports that are offered: programs inside can listen on any number."""
_EPHEMERAL = 32768
"""From here on the kernel gives out ports to whoever asks for any; editors' servers ask so."""
_TABLES = "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null || :"
"""Without IPv6 there is no tcp6; with it, many servers listen there only."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one sandbox."""

    offered: tuple[int, ...] = ()
    """Where a program listens that is not published yet, lowest first."""
    problems: tuple[Problem, ...] = ()
    """Published ports on which no server can be reached."""
    listening: frozenset[int] = frozenset()
    """Every port where a program listens."""


def of(containers: Collection[Container], record: AgentRecord) -> Ports:
    """Return the ports of an agent, read from the kernel; nothing if it runs on another machine."""
    agent = next((c for c in containers if c.role is Role.AGENT and c.running), None)
    if agent is None:
        return Ports()
    found = listeners.of_container(agent.pid, record.allocation.subnets) or ()
    published = [pair for container in containers for pair in container.published]
    return judged(agent.agent, found, published)


def offered(home: Paths, project: str, agent: str, condition: Condition) -> tuple[int, ...]:
    """Return the ports of a sandbox in a condition that was observed before; for the tray.

    A record that cannot be read offers nothing. `project` is an ID.
    """
    with suppress(CompanionError):
        if condition.pid and (record := store.read(home.project(project).agent(agent))):
            found = listeners.of_container(condition.pid, record.allocation.subnets) or ()
            return judged(agent, found, condition.published).offered
    return ()


def asked(engine: Driver, containers: Collection[Container], record: AgentRecord) -> Ports:
    """Same as of(), but ask a program inside if the sandbox runs on another machine."""
    agent = next((c for c in containers if c.role is Role.AGENT and c.running), None)
    if agent is None or listeners.of_container(agent.pid, record.allocation.subnets) is not None:
        return of(containers, record)
    table = engine.run_as_agent(record.config.login, "/bin/sh", "-c", _TABLES, stdin="")
    published = [pair for container in containers for pair in container.published]
    return judged(agent.agent, tuple(listeners.parse(table)), published)


def judged(
    agent: str, found: Collection[Listener], published: Collection[tuple[int, int]]
) -> Ports:
    """Return what listeners in a sandbox mean, given its published ports (desktop's, inside)."""
    reachable = {one.port for one in found if not one.is_local}
    local = {one.port for one in found} - reachable
    offered = ({one.port for one in found} - _OURS) - {inside for _, inside in published}
    return Ports(
        offered=tuple(sorted(port for port in offered if port < _EPHEMERAL))[:_MOST],
        problems=tuple(
            _unreachable(agent, outside, inside)
            for outside, inside in sorted(published)
            if inside in local
        ),
        listening=frozenset(reachable | local),
    )


def _unreachable(agent: str, outside: int, inside: int) -> Problem:
    """Return the problem of a published port whose server is for the inside only."""
    what = (
        f"port {outside} is published to port {inside} of {agent}, but the server there listens on"
        " 127.0.0.1, which is reachable from inside only"
    )
    pair = f"{outside + 1}:{inside}" if outside == inside else f"{inside}"
    hint = f"let it listen on 0.0.0.0, or run `companion port {agent} {pair}`"
    return Problem(what, hint, code=Code.PORT_LOCAL)
