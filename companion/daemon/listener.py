"""The listener: one thread that reads the lines of all gateways and reports what users may decide.

follow() and forget() are called from the loop's thread only.
"""

import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from companion.daemon.attending import Attending
from companion.engine import gateway_log
from companion.traffic import log, offers
from companion.traffic.attention import Heard
from companion.traffic.log import Passage

_MOST = 1000
"""Refused hosts of one sandbox that are remembered, to notice when one is let through."""
_RATE = 20
"""Refusals of one sandbox that are reported within a second; further ones are dropped."""


class Listener:
    """Calls `report` for each passage that was refused and could be allowed.

    Of what was let through, it reports hosts that were refused before. It calls `attend` when the
    state of an agent's work changes.
    """

    def __init__(
        self, report: Callable[[str, Passage], None], attend: Callable[[str, Heard], None]
    ) -> None:
        self._report = report
        self._attend = attend
        self._attending = Attending()
        self._sockets: dict[str, tuple[Path, socket.socket]] = {}
        self._refused: dict[str, set[str]] = {}
        self._paces: dict[str, tuple[int, int]] = {}
        """The second of a sandbox's last refusal, and how many there were in it."""
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._end, self._ended = socket.socketpair()
        self._selector.register(self._ended, selectors.EVENT_READ)

    def follow(self, key: str, directory: Path) -> None:
        """Listen to the gateway whose socket belongs into a directory, if that is possible."""
        known = self._sockets.get(key)
        is_there = known and known[0] == directory and gateway_log.is_there(directory)
        if is_there or not directory.is_dir():
            return
        self.forget(key)
        with suppress(OSError), self._lock:
            listening = gateway_log.listen(directory)
            self._sockets[key] = (directory, listening)
            self._selector.register(listening, selectors.EVENT_READ, key)

    def forget(self, key: str) -> None:
        """Listen to this gateway no longer."""
        with self._lock:
            found = self._sockets.pop(key, None)
            self._refused.pop(key, None)
            self._paces.pop(key, None)
            self._attending.forget(key)
            if found:
                self._selector.unregister(found[1])
                found[1].close()

    def recall(self, key: str, known: Heard) -> None:
        """Take over what a gateway logged of the agent's work before it was followed."""
        with self._lock:
            self._attending.recall(key, known)
        self._wake()

    def reset(self, key: str) -> None:
        """Forget the state of an agent's work, because the agent ended."""
        with self._lock:
            self._attending.forget(key)

    def stop(self) -> None:
        """Make run() return; callable from any thread."""
        self._end.close()

    def run(self) -> None:
        """Report until stopped; to be run in a thread of its own."""
        while True:
            for ready, _ in self._selector.select(self._patience()):
                if ready.data is None:
                    if self._ended.recv(1):
                        continue  # woken, to look at what is due
                    self._close()
                    return
                self._read(ready.data)
            self._report_changes()

    def _read(self, key: str) -> None:
        lines = self._lines(key)
        for passage in filter(None, map(log.parse, lines)):
            if self._is_news(key, passage):
                self._report(key, passage)
        with self._lock:
            if key in self._sockets:
                self._attending.take(key, filter(None, map(log.word, lines)), time.time())

    def _report_changes(self) -> None:
        with self._lock:
            changes = self._attending.due(time.monotonic())
        for key, known in changes:
            self._attend(key, known)

    def _patience(self) -> float | None:
        with self._lock:
            return self._attending.patience(time.monotonic())

    def _wake(self) -> None:
        with suppress(OSError):
            self._end.send(b"!")

    def _close(self) -> None:
        for key in tuple(self._sockets):
            self.forget(key)
        self._selector.close()
        self._ended.close()

    def _lines(self, key: str) -> list[str]:
        with self._lock:
            known = self._sockets.get(key)
            return gateway_log.lines(known[1]) if known else []

    def _is_news(self, key: str, passage: Passage) -> bool:
        with self._lock:
            return key in self._sockets and self._judge(key, passage)

    def _judge(self, key: str, passage: Passage) -> bool:
        refused = self._refused.setdefault(key, set())
        if not passage.was_refused:
            was_refused = passage.host in refused
            refused.discard(passage.host)
            return was_refused
        second, count = int(time.monotonic()), 0
        if self._paces.get(key, (0, 0))[0] == second:
            count = self._paces[key][1]
        self._paces[key] = (second, count + 1)
        if count >= _RATE or not offers.can_be_offered(passage):
            return False
        if len(refused) < _MOST:
            refused.add(passage.host)
        return True
