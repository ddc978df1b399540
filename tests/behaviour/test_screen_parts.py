"""Parts of `companion top`: what its threads and its terminal do where something fails."""

import subprocess
import sys
import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from queue import SimpleQueue

from desk import Desk

from companion.dashboard.observer import Observer, shown
from companion.operations.container_logs import Line
from companion.spec.identity import Role
from companion.system.paths import Paths
from companion.system.talk import PART

ATTACH = """
from companion.dashboard.app import attach
attach(["sh", "-c", "kill -INT $PPID; exit 1"])
print("back")
"""

FAIL = """
from dataclasses import replace
from companion.dashboard.app import run
from companion.system.paths import Paths

class Nowhere:
    def __str__(self):
        raise ZeroDivisionError

run(replace(Paths.of_user(), home=Nowhere()))
"""


@dataclass(frozen=True)
class Unreadable(Paths):
    """Places that the system does not let us read."""

    looks: SimpleQueue[float] = field(default_factory=SimpleQueue)

    @property
    def projects(self) -> Path:
        self.looks.put(time.monotonic())
        raise PermissionError


def test_what_cannot_be_read_is_looked_at_calmly(desk: Desk):
    home = Unreadable(**{one.name: getattr(desk.paths, one.name) for one in fields(Paths)})
    observer = Observer(home, lambda *_: None, lambda *_: None)
    observer.start()
    first, second = (home.looks.get(timeout=60) for _ in range(2))
    observer.stop()
    assert second - first > 0.5


def test_a_line_of_a_log_is_short_enough_to_be_drawn_at_once():
    said = Line(0, "agent", Role.AGENT, "\x1b[2J" + "x\t" * PART)
    assert len(shown(said, 9)) <= 500
    assert "\x1b" not in shown(said, 9)


def test_ctrl_c_and_the_end_of_input_lead_back_to_the_screen(desk: Desk):
    done = subprocess.run(
        [sys.executable, "-c", ATTACH],
        env=desk.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.endswith("back\n"), done.stderr


def test_a_screen_that_fails_is_an_error(desk: Desk):
    desk.companion("add", str(desk.project())).ok()
    headless = {"TEXTUAL_DRIVER": "textual.drivers.headless_driver:HeadlessDriver"}
    done = subprocess.run(
        [sys.executable, "-c", FAIL],
        env=desk.environment | headless, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode
    assert done.stderr.endswith("RuntimeError: the screen failed\n")
