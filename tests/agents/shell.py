"""A user at a terminal of 80 columns: what they type, and what they see."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from desk import COMPANION, Desk
from sandboxes import wait_until

_COLUMNS, _LINES = 80, 40
_STILL = 4
"""Looks at a screen that show the same."""
_PAUSE = 0.5
"""Seconds: agents take an Enter that comes with a text for a part of it, as in a paste."""


class Shell:
    """A shell on a terminal of its own, which tmux is."""

    def __init__(self, desk: Desk, directory: Path, socket: Path) -> None:
        self._tmux = ("tmux", "-f", "/dev/null", "-S", str(socket))
        path = f"{COMPANION.parent}:{desk.environment['PATH']}"
        self._environment = desk.environment | {"PATH": path, "TERM": "xterm"}
        start = socket.with_name("bashrc")
        start.write_text("PS1='ada@desk:\\w$ '\n")
        size = ("-x", str(_COLUMNS), "-y", str(_LINES))
        self._run("new-session", "-d", *size, "-c", str(directory), f"exec bash --rcfile {start}")

    def type(self, text: str, *keys: str) -> None:
        """Type a text, then press keys, such as Enter."""
        if text:
            self._run("send-keys", "-l", text)
        for key in keys:
            time.sleep(_PAUSE)
            self._run("send-keys", key)

    def clear(self) -> None:
        """Begin with an empty terminal."""
        self._run("send-keys", "-R", "C-l")
        wait_until(lambda: self.screen().endswith("$"))
        self._run("clear-history")

    def screen(self) -> str:
        """Return what is on the screen."""
        return self._run("capture-pane", "-p").rstrip()

    def transcript(self) -> str:
        """Return all lines since the terminal was cleared."""
        return self._run("capture-pane", "-p", "-S", "-").rstrip()

    def expect(self, text: str, seconds: float = 60, count: int = 1) -> None:
        """Wait until a text was shown, wherever its lines break."""
        wanted = "".join(text.split())
        wait_until(lambda: self._words().count(wanted) >= count, seconds, self.transcript)

    def answer(self, line: str, shown: str) -> None:
        """Type a command line, and wait until it has shown a text and is done."""
        before = len(self._words())
        self.type(line, "Enter")
        wanted = "".join(shown.split())
        wait_until(
            lambda: wanted in self._words()[before:] and self.screen().endswith("$"),
            tell=self.transcript,
        )

    def rest(self) -> str:
        """Wait until the screen has not changed for a while, and return what is on it."""
        seen: list[str] = []

        def rests() -> bool:
            seen.append(self.screen())
            time.sleep(_PAUSE)
            return len(seen) > _STILL and len({*seen[-_STILL:]}) == 1

        wait_until(rests, tell=self.screen)
        return seen[-1]

    def end(self) -> None:
        """End the terminal and what runs in it."""
        self._run("kill-server")

    def _words(self) -> str:
        """Return all that was shown, without blanks: lines break anywhere."""
        return "".join(self.transcript().split())

    def _run(self, *arguments: str) -> str:
        argv, env = [*self._tmux, *arguments], self._environment
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout


@contextmanager
def at_terminal(desk: Desk, directory: Path, socket: Path) -> Iterator[Shell]:
    """Sit down at a terminal in a directory."""
    shell = Shell(desk, directory, socket)
    try:
        yield shell
    finally:
        shell.end()
