"""Starting: waits until Pods have started, or until the cluster tells why one cannot."""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from companion.errors import EngineError
from companion.kubernetes import waiting
from companion.kubernetes.kubectl import Kubectl
from companion.kubernetes.names import LABEL, Names
from companion.kubernetes.waiting import Coming, Ready, Stuck
from companion.spec.identity import Role
from companion.system import process

_PAUSE, _SLOWER, _LONGEST_PAUSE = 0.3, 1.3, 1.0
"""Seconds between two looks: the first ones, by how much the next pause is longer, and the longest.
Many agents may start at once, and each look is a call of kubectl."""
_SECONDS_OF_EVENTS = 5.0
"""How old the events may be by which a Pod is judged: one list has those of all agents."""


@dataclass(frozen=True, slots=True)
class Starting:
    """The Pods of one agent that are to start."""

    kubectl: Kubectl
    names: Names
    selector: str
    progress: Callable[[str], None]

    def wait(self, roles: Iterable[Role]) -> None:
        """Wait until the Pods of these roles have started.

        Raises:
            EngineError: one cannot, or has not for as long as that takes a cluster.
        """
        wanted, told = tuple(roles), ""
        events, listed, pause = self._get("events"), time.monotonic(), _PAUSE
        known = waiting.occurrences(events)
        stuck_since: dict[Role, float] = {}
        while True:
            process.heed_interrupt()
            pods = {one["metadata"]["labels"][f"{LABEL}.role"]: one for one in self._pods()}
            asks = any(waiting.wants_events(pods.get(role)) for role in wanted)
            if asks and time.monotonic() - listed > _SECONDS_OF_EVENTS:
                events, listed = self._get("events"), time.monotonic()
            states = {
                role: waiting.judge(role, self._owner(role), pods.get(role), events, known)
                for role in wanted
            }
            for role, state in states.items():
                if not isinstance(state, Stuck):
                    stuck_since.pop(role, None)
                    continue
                begin = stuck_since.setdefault(role, time.monotonic())
                if time.monotonic() - begin >= state.patience:
                    what, hint, _, code = state.problem
                    raise EngineError(what, hint, code=code)
            if all(isinstance(state, Ready) for state in states.values()):
                return
            doing = next((s.doing for s in states.values() if isinstance(s, Coming)), told)
            if doing != told:
                self.progress(doing)
                told = doing
            time.sleep(pause)
            pause = min(pause * _SLOWER, _LONGEST_PAUSE)

    def _owner(self, role: Role) -> str:
        return self.names.sandbox if role is Role.AGENT else self.names.of(role)

    def _pods(self) -> list[dict[str, Any]]:
        pods = self._get("pods", self.selector)
        return sorted(pods, key=lambda one: "deletionTimestamp" not in one["metadata"])

    def _get(self, *words: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(self.kubectl.ask("get", *words, "--output=json"))[
            "items"
        ]
        return items
