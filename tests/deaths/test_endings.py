"""Companion ends when it is told to: with its own exit code, and with no step cut in half."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from desk import Desk
from fake_project import fresh
from sandboxes import wait_until
from test_deaths import watching
from trays import tray

BUSY = """
import sys, threading
from typing import Annotated
import pydantic
from companion.cli.main import entry

begun = threading.Event()

def look(value):
    begun.set()
    return value

class Many(pydantic.BaseModel):
    numbers: list[Annotated[int, pydantic.AfterValidator(look)]]

def work():
    while True:
        Many(numbers=range(1000))

threading.Thread(target=work, daemon=True).start()
begun.wait()
sys.argv = ["companion", "--version"]
entry()
"""
"""A thread is nearly always in Python code that a compiled module called."""


@pytest.mark.parametrize("_", range(3))
def test_a_thread_inside_a_compiled_module_does_not_abort_the_end(desk: Desk, _: int):
    argv = [sys.executable, "-c", BUSY]
    done = subprocess.run(argv, env=desk.environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("companion ")


def test_a_tray_whose_words_nobody_reads_ends_all_the_same(desk: Desk, tmp_path: Path):
    """The watcher's thread is inside write(2), with the lock of stderr, when the tray is ended."""
    read, write = os.pipe()
    fill(write)
    with tray(desk, tmp_path, stderr=write) as running:
        running.panel.wait_for_icon()
        desk.companion("add", str(desk.project())).ok()
        wait_until(lambda: writes_to_stderr(running.process.pid))
        running.process.terminate()
        assert running.process.wait(timeout=60) == 0
    assert running.log.read_text() == "sandboxes keep running\n"
    for end in (read, write):
        os.close(end)


def fill(write: int) -> None:
    """Fill a pipe, so that the next write to it waits."""
    os.set_blocking(write, False)
    size = fcntl.fcntl(write, fcntl.F_GETPIPE_SZ)
    assert os.write(write, b"." * size) == size
    os.set_blocking(write, True)


def writes_to_stderr(pid: int) -> bool:
    """Tell whether a thread of a process is inside write(2) to its stderr (x86-64 or ARM64)."""
    calls = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/syscall")]
    return any(call[:2] in (["1", "0x2"], ["64", "0x2"]) for call in calls)


def test_a_watcher_that_is_ended_finishes_the_step_under_way(desk: Desk):
    fake = fresh(desk)
    desk.companion("add", str(fake.project)).ok()
    fake.companion("up").ok()
    with watching(desk) as (child, said):
        wait_until(lambda: "project: nothing to do" in said(), tell=said)
        fake.set(hold=["create"], held=[])
        with (fake.project / "agent.yaml").open("a") as config:
            config.write("workdir: /srv\n")
        wait_until(lambda: fake.world["held"] == ["create"], tell=said)
        child.send_signal(signal.SIGTERM)
        fake.set(hold=[])
        assert child.wait(timeout=60) == 130
    assert [c["State"]["Running"] for c in fake.world["containers"].values()] == [True] * 4
    assert "Traceback" not in said()
    fake.companion("up").ok()
    fake.is_whole()
