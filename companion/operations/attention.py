"""Attention: whether an agent waits, from what a watcher heard, or else from its gateway's log.

A watcher hears every word at once and keeps the last state in a file of ours. While none listens,
that file may be out of date: then only the log tells, which takes a call of the engine. An agent
whose program has no hooks, and that never said a word, is not worth it.
"""

from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime

from companion.engine import gateway_log
from companion.engine.driver import Driver
from companion.engine.model import Container
from companion.errors import CompanionError
from companion.project.record import AgentRecord
from companion.spec.identity import Role
from companion.system.json_store import Store
from companion.system.project_paths import AgentPaths
from companion.traffic.attention import Attention, Heard, heard, since_start

_HEARD = Store(Heard, "remove it: it is made again by the agent's next word")
FEW = 12
"""Agents whose logs are read for one answer; to read more takes too long."""
_LINES = 2000
"""Lines of the log that are read at most."""
_NANO = 1e9
_SECONDS = len("2026-11-27T12:00:00")


def caught_up(agent_paths: AgentPaths, engine: Driver, containers: Collection[Container]) -> Heard:
    """Return what an agent said last; the log of its gateway is read if no watcher listens."""
    known = kept(agent_paths)
    if not _started(containers) or gateway_log.is_heard(agent_paths.control):
        return known
    with suppress(CompanionError):
        known = logged(engine, containers, known)
        keep(agent_paths, known)
        return known
    return Heard()


def is_missed(agent_paths: AgentPaths, record: AgentRecord) -> bool:
    """Tell whether an agent may have said something that no watcher heard."""
    speaks = bool(record.config.runtime) or kept(agent_paths).at > 0
    return speaks and not gateway_log.is_heard(agent_paths.control)


def live(agent_paths: AgentPaths) -> Heard:
    """Return what a watcher heard last; nothing if none listens now. This asks no engine."""
    return kept(agent_paths) if gateway_log.is_heard(agent_paths.control) else Heard()


def judged(known: Heard, containers: Collection[Container]) -> Attention:
    """Return what was heard of the agent that runs now; this asks nobody."""
    started = _started(containers)
    return since_start(known, started) if started else Attention.UNKNOWN


def kept(agent_paths: AgentPaths) -> Heard:
    """Return what was heard last, as far as a file of ours tells."""
    with suppress(CompanionError):
        return _HEARD.read(agent_paths.attention) or Heard()
    return Heard()


def keep(agent_paths: AgentPaths, known: Heard) -> None:
    """Remember what was heard last, unless later words are known or the system refuses."""
    with suppress(CompanionError):
        if known.at > kept(agent_paths).at:
            _HEARD.write(agent_paths.attention, known)


def logged(engine: Driver, containers: Collection[Container], known: Heard) -> Heard:
    """Return what is known of a running agent after the words that its gateway logged since.

    Raises:
        CompanionError: the engine refused.
    """
    from companion.operations import container_logs  # noqa: PLC0415 - start-up time is a budget
    from companion.traffic import log  # noqa: PLC0415

    started = _started(containers)
    known = known if known.at >= started else Heard(at=started)
    gateways = [c for c in containers if c.role is Role.GATEWAY]
    since = known.at
    for line in container_logs.written(engine, gateways, since=int(since), last=_LINES):
        if line.at > since * _NANO and (word := log.word(line.text)):
            known = heard(known, word, line.at / _NANO)
    return known


def _started(containers: Collection[Container]) -> float:
    """Return when the agent started, in seconds since 1970; 0 if it does not run."""
    agent = next((c for c in containers if c.role is Role.AGENT and c.running), None)
    with suppress(ValueError):
        if agent:
            moment = datetime.fromisoformat(agent.started[:_SECONDS])
            return moment.replace(tzinfo=UTC).timestamp()
    return 0.0
