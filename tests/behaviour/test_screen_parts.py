"""Parts of `companion top`: what its threads and its terminal do where something fails."""

import subprocess
import sys
import time
from dataclasses import dataclass, field, fields
from pathlib import Path

from desk import Desk

from companion.dashboard.observer import Observer
from companion.system.paths import Paths

ATTACH = """
from companion.dashboard.app import attach
attach(["sh", "-c", "kill -INT $PPID; exit 1"])
print("back")
"""


@dataclass(frozen=True)
class Unreadable(Paths):
    """Places that the system does not let us read."""

    looks: list[float] = field(default_factory=list)

    @property
    def projects(self) -> Path:
        self.looks.append(time.monotonic())
        raise PermissionError


def test_what_cannot_be_read_is_looked_at_calmly(desk: Desk):
    home = Unreadable(**{one.name: getattr(desk.paths, one.name) for one in fields(Paths)})
    observer = Observer(home, lambda *_: None, lambda *_: None)
    observer.start()
    time.sleep(0.5)
    observer.stop()
    assert len(home.looks) == 1


def test_ctrl_c_and_the_end_of_input_lead_back_to_the_screen(desk: Desk):
    done = subprocess.run(
        [sys.executable, "-c", ATTACH],
        env=desk.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.endswith("back\n"), done.stderr
