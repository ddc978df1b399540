"""Starting: waits until Pods have started, or until the cluster tells why one cannot."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from companion.errors import Code, EngineError, StoppedError
from companion.kubernetes import waiting
from companion.kubernetes.names import LABEL, Names
from companion.kubernetes.waiting import Coming, Patience, Ready, State
from companion.spec.identity import Role
from companion.system import process

_PAUSE, _SLOWER, _LONGEST_PAUSE = 0.3, 1.3, 1.0
"""Seconds between two looks: the first ones, by how much the next pause is longer, and the longest.
Many agents may start at once, and each look is a call of kubectl."""
_SILENCE = 30.0
"""Seconds for which a cluster may not answer: it starts many Pods, or its API server again."""
_ROUTINE = (
    "Created", "Killing", "Pulled", "Pulling", "ScalingReplicaSet", "Scheduled", "Started",
    "SuccessfulCreate", "SuccessfulDelete",
)  # fmt: skip
EVENTS = "--field-selector=" + ",".join(f"reason!={reason}" for reason in _ROUTINE)
"""The option that leaves out events without trouble: a cluster keeps those of a namespace for an
hour, 20 for each agent that was started."""
_SECONDS_OF_EVENTS = 5.0
"""Seconds between two looks at events, and how old they may be: one list has all agents'."""

Look = Callable[[float], list[dict[str, Any]]]
"""Lists objects as they are, or as they were after a moment on the monotonic clock."""


class _Events:
    """The events of the namespace, listed now and then; `known` are those of the first time."""

    def __init__(self, fetch: Look) -> None:
        self._fetch = fetch
        self._time = time.monotonic()
        self._listed = fetch(self._time)
        self.known = waiting.occurrences(self._listed)

    def latest(self) -> list[dict[str, Any]]:
        oldest = time.monotonic() - _SECONDS_OF_EVENTS
        if oldest > self._time:
            self._listed, self._time = self._fetch(oldest), time.monotonic()
        return self._listed


@dataclass(frozen=True, slots=True)
class Starting:
    """The Pods of one agent that are to start."""

    names: Names
    pods: Look
    """Lists the agent's Pods."""
    events: Look
    """Lists the events of the namespace."""
    progress: Callable[[str], None]
    is_wanted: Callable[[], bool]

    def waiter(self, roles: tuple[Role, ...]) -> Callable[[], None]:
        """Return what waits for the Pods of these roles; events from before are no news to it."""
        return partial(self._wait, roles, _Events(self.events))

    def _wait(self, roles: tuple[Role, ...], events: _Events) -> None:
        """Wait until the Pods of these roles have started.

        Raises:
            EngineError: one cannot, or has not for as long as that takes a cluster.
            StoppedError: they are not wanted any more.
        """
        told, pause, patience = "", _PAUSE, Patience()
        heard = begin = time.monotonic()
        while True:
            process.heed_interrupt()
            if not self.is_wanted():
                raise StoppedError("stopped while its Pods were started")
            try:
                states = self._states(roles, events, max(begin, time.monotonic() - pause))
            except EngineError as error:
                if not _is_silence(error) or time.monotonic() > heard + _SILENCE:
                    raise
                time.sleep(pause)
                continue
            heard = now = time.monotonic()
            problems = (patience.problem(role, state, now) for role, state in states.items())
            if problem := next(filter(None, problems), None):
                raise EngineError(problem.what, problem.hint, code=problem.code)
            if all(isinstance(state, Ready) for state in states.values()):
                return
            doing = next((s.doing for s in states.values() if isinstance(s, Coming)), told)
            if doing != told:
                self.progress(doing)
                told = doing
            time.sleep(pause)
            pause = min(pause * _SLOWER, _LONGEST_PAUSE)

    def _states(self, roles: Iterable[Role], events: _Events, since: float) -> dict[Role, State]:
        pods = {one["metadata"]["labels"].get(f"{LABEL}.role"): one for one in self._pods(since)}
        asks = any(waiting.wants_events(pods.get(role)) for role in roles)
        listed = events.latest() if asks else []
        return {
            role: waiting.judge(role, self._owner(role), pods.get(role), listed, events.known)
            for role in roles
        }

    def _owner(self, role: Role) -> str:
        return self.names.sandbox if role is Role.AGENT else self.names.of(role)

    def _pods(self, since: float) -> list[dict[str, Any]]:
        # The last one of a role counts.
        return sorted(self.pods(since), key=waiting.is_over, reverse=True)


def _is_silence(error: EngineError) -> bool:
    return error.problems[0].code is Code.ENGINE_SILENT
