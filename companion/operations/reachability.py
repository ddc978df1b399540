"""Reachability: whether SSH of a running sandbox answers.

`status` does not ask, because it has to be fast; the watcher does.
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from companion.engine.model import Condition, Container, Health
from companion.reconcile import readiness
from ssh.connection import by_tcp

_STARTS = timedelta(seconds=30)
"""How long sshd may take to listen."""


def judged(condition: Condition, containers: Collection[Container]) -> Condition:
    """Return the condition of an agent, which is broken if it runs and SSH does not answer.

    An agent that has just started may still be about to listen.
    """
    ports = [by_tcp("127.0.0.1", c.ssh_port) for c in containers if c.ssh_port]
    began = max((_instant(c.started) for c in containers), default=datetime.now(UTC))
    if condition.health is not Health.RUNNING or datetime.now(UTC) < began + _STARTS:
        return condition
    return condition if all(map(readiness.answers_by, ports)) else Condition(Health.BROKEN)


def _instant(text: str) -> datetime:
    """Return a container's start; long ago if the engine does not tell."""
    return datetime.fromisoformat(text) if text else datetime(1970, 1, 1, tzinfo=UTC)
