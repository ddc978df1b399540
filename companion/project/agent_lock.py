"""The lock of an agent: one process or thread at a time changes its sandbox, keys or record."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from companion.system import locks
from companion.system.paths import AgentPaths


@contextmanager
def agent_lock(agent_paths: AgentPaths, progress: Callable[[str], None]) -> Iterator[None]:
    """Be the only one who works on an agent; if another does, report it once and wait.

    Raises:
        CompanionError: the system refuses the lock; nothing was done.
    """
    text = "waiting for another companion that works on this agent"
    with locks.exclusive(agent_paths.lock, lambda: progress(text)):
        yield
