"""Talk: what is said to a running program and what it says, each in a thread, within a limit."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO

MOST = 64 * 1024 * 1024
"""Bytes that are read of each output: what runs in a container may say anything."""
PART = 64 * 1024
"""Bytes that are read at once, and characters of a line that are passed on as one."""


class Talk:
    """Gathers the outputs of a program; `end` is called for one that says too much."""

    def __init__(self, outputs: tuple[IO[bytes] | None, ...], end: Callable[[], None]) -> None:
        self.said = tuple(bytearray() for _ in outputs)
        self.is_endless = False
        self._end = end
        self._threads: list[threading.Thread] = []
        for stream, said in zip(outputs, self.said, strict=True):
            if stream:
                self._begin(self._listen, stream, said)

    def say(self, stream: IO[bytes], words: bytes) -> None:
        """Write to the program's standard input and close that, without waiting for it."""
        self._begin(self._speak, stream, words)

    def ends_within(self, seconds: float) -> bool:
        """Wait until all has been said, at most this long; tell whether it has."""
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _begin(self, target: Callable[..., None], *arguments: object) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments, daemon=True))
        self._threads[-1].start()

    def _listen(self, stream: IO[bytes], said: bytearray) -> None:
        with suppress(OSError, ValueError):  # closed: nobody waits for it any more
            while part := os.read(stream.fileno(), PART):
                said += part
                if len(said) > MOST:
                    self.is_endless = True
                    self._end()
                    return

    @staticmethod
    def _speak(stream: IO[bytes], words: bytes) -> None:
        with suppress(OSError, ValueError), stream:
            stream.write(words)


def lines(stream: IO[str], on_line: Callable[[str], None]) -> None:
    """Pass on each line of an output; a very long one in parts."""
    while line := stream.readline(PART):
        on_line(line.rstrip("\n"))
