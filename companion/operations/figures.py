"""Figures: what sandboxes use of memory, CPU and network, from two readings of their counters."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from companion.engine.model import Container
from companion.spec.identity import Role
from companion.system import usage
from companion.system.usage import Usage


@dataclass(frozen=True, slots=True)
class Sample:
    """The counters of running containers at one moment."""

    at: float
    """Seconds on the monotonic clock."""
    usages: Mapping[str, Usage]
    """By container ID, of those that run on this machine."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one sandbox uses, all its containers together; None: unknown."""

    memory: int | None = None
    """Bytes."""
    cpu: float | None = None
    """CPUs: 1.0 is one that does nothing else."""
    received: float | None = None
    """Bytes per second that arrive at the agent."""
    sent: float | None = None
    """Bytes per second that the agent sends."""


def sample(containers: Collection[Container]) -> Sample:
    """Read the counters of containers; this asks the kernel, not the engine."""
    read = ((c.id, usage.of_container(c.id, c.pid)) for c in containers if c.running)
    return Sample(time.monotonic(), {key: one for key, one in read if one})


def figures(containers: Collection[Container], before: Sample | None, now: Sample) -> Figures:
    """Return the figures of one sandbox between two samples; of the first, only its memory."""
    used = [now.usages[c.id] for c in containers if c.id in now.usages]
    if not used:
        return Figures()
    memory = sum(one.memory for one in used)
    seconds = now.at - before.at if before else 0.0
    if before is None or seconds <= 0:
        return Figures(memory)
    # The counters of a container that is not in both began in between.
    both = [c for c in containers if c.id in now.usages and c.id in before.usages]
    pairs = [(c, before.usages[c.id], now.usages[c.id]) for c in both]
    cpu = sum(new.cpu - old.cpu for _, old, new in pairs) / seconds
    for one, old, new in pairs:
        if one.role is Role.AGENT:  # others share its network namespace, or carry the same again
            received, sent = new.received - old.received, new.sent - old.sent
            rates = (max(0.0, count / seconds) for count in (received, sent))
            return Figures(memory, max(0.0, cpu), *rates)
    return Figures(memory, max(0.0, cpu))
