"""The agent lock: only one process or thread at a time changes its sandbox, keys or record."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from companion.system import locks
from companion.system.project_paths import AgentPaths


@contextmanager
def agent_lock(agent_paths: AgentPaths, progress: Callable[[str], None]) -> Iterator[None]:
    """Hold an agent's lock; if it is taken, report that once and wait.

    Raises:
        CompanionError: the system refuses the lock; nothing was changed.
    """
    text = "waiting for another companion process that is changing this agent"
    with locks.exclusive(agent_paths.lock, lambda: progress(text)):
        yield
