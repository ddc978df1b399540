"""All sandboxes at a glance: the figures are the engine's, and the screen works on a terminal."""

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from desk import COMPANION
from sandboxes import SERVICES, Box, wait_until

pytestmark = pytest.mark.engine
UNITS = {"B": 1, "kB": 1000, "MB": 1000**2, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def memory(box: Box) -> float:
    """Return the bytes that the engine itself reports of the sandbox's containers."""
    names = map(box.container, SERVICES)
    said = box.engine("stats", "--no-stream", "--format", "{{.MemUsage}}", *names)
    used = re.findall(r"^([0-9.]+)([A-Za-z]+) /", said, re.MULTILINE)
    assert len(used) == len(SERVICES)
    return sum(float(number) * UNITS[unit] for number, unit in used)


def test_list_shows_what_the_engine_reports(box: Box):
    (row,) = box.companion("list", "--json").ok().data
    shown = (row["agent"], row["program"], row["state"], row["ssh_port"])
    assert shown == ("coder", "custom", "running", box.port)
    assert row["memory"] == pytest.approx(memory(box), rel=0.3)
    assert row["cpu_percent"] >= 0


class Terminal:
    """A terminal of tmux with `companion top` in it."""

    def __init__(self, box: Box, socket: Path) -> None:
        self._tmux = ("tmux", "-f", "/dev/null", "-S", str(socket))
        command = ("new-session", "-d", "-x", "120", "-y", "36", COMPANION, "top")
        environment = box.desk.environment | {"TERM": "xterm-256color"}
        environment.pop("COLUMNS", None)  # the test run's, which comes before the terminal's own
        subprocess.run([*self._tmux, *command], env=environment, check=True)

    def screen(self) -> str:
        argv = [*self._tmux, "capture-pane", "-p"]
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout

    def press(self, *keys: str) -> None:
        subprocess.run([*self._tmux, "send-keys", *keys], check=True)

    def expect(self, text: str) -> None:
        wait_until(lambda: text in self.screen(), 60, self.screen)

    def is_open(self) -> bool:
        done = subprocess.run([*self._tmux, "list-sessions"], capture_output=True, check=False)
        return done.returncode == 0

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, check=False)


@contextmanager
def terminal(box: Box, socket: Path) -> Iterator[Terminal]:
    opened = Terminal(box, socket)
    try:
        yield opened
    finally:
        opened.close()


def test_a_refused_host_is_allowed_on_the_screen_of_a_real_terminal(box: Box, tmp_path: Path):
    with terminal(box, tmp_path / "tmux") as top:
        top.expect(f"ssh {box.port}")
        assert re.search(r"coder +running", top.screen())
        before = box.ids()
        box.ssh("curl -sm 5 https://glance.example")
        top.expect("? glance.example")
        rows = re.findall(r"││ (.) (\S+) ", top.screen().partition(" HOST ")[2])
        top.press("Tab", "Tab", *["Down"] * rows.index(("?", "glance.example")))
        time.sleep(1)  # a key in the first moment decides nothing
        top.press("o")
        try:
            top.expect("coder may reach glance.example until it is taken down")
            assert box.ids() == before
            top.press("q")
            wait_until(lambda: not top.is_open())
        finally:
            box.companion("deny", "coder", "glance.example").ok()
