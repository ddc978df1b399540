"""One at a time works on an agent; who cannot lock does not go on, who waits says so once."""

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from desk import COMPANION, Desk

from companion.system import locks

HOLDER = """
import sys, time
from pathlib import Path
from companion.system import locks
with locks.exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""
INTERRUPTED = """
import sys, threading
from pathlib import Path
from companion.system import locks, process
def wait():
    try:
        with locks.exclusive(Path(sys.argv[1]), process.interrupt):
            print("entered", flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
thread = threading.Thread(target=wait)
thread.start()
thread.join()
"""


def agent_lock_of(desk: Desk) -> Path:
    """Return the lock of the one agent of the one project that was generated."""
    (record,) = desk.home.glob(".local/state/companion/projects/*/*/agent.json")
    return record.with_name("lock")


@contextmanager
def held(path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Have another process hold a lock, as long as it lives."""
    argv = [sys.executable, "-c", HOLDER, path]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        try:
            yield holder
        finally:
            holder.kill()


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace: apt install strace")
@pytest.mark.parametrize(
    ("refused", "said", "hint"),
    [
        ("flock:error=ENOLCK", "No locks available", "keep this directory on a local disk"),
        ("openat:error=EROFS", "Read-only file system", "mount its file system for writing"),
    ],
)
def test_without_the_lock_of_an_agent_nothing_is_done(
    desk: Desk, refused: str, said: str, hint: str
):
    project = desk.project()
    desk.companion("-C", str(project), "generate").ok()
    shutil.rmtree(project / ".build")
    lock = agent_lock_of(desk)
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", lock, "-e", f"inject={refused}"]
    done = subprocess.run(
        [*strace, COMPANION, "-C", project, "generate"],
        env=desk.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert f"cannot lock {lock}: {said}" in done.stderr
    assert hint in done.stderr
    assert not (project / ".build").exists()


def test_who_waits_for_an_agent_says_so_once_and_goes_on_when_the_other_is_killed(desk: Desk):
    project = desk.project()
    desk.companion("-C", str(project), "generate").ok()
    with held(agent_lock_of(desk)) as other, desk.start("-C", str(project), "generate") as child:
        assert child.stderr
        first = child.stderr.readline()
        assert first == "waiting for another companion process that is changing this agent\n"
        other.send_signal(signal.SIGKILL)
        _, rest = child.communicate(timeout=60)
        assert (child.returncode, rest) == (0, "")


def test_two_threads_do_not_hold_a_lock_at_once(tmp_path: Path):
    path, waits, entered = tmp_path / "lock", threading.Event(), threading.Event()

    def other() -> None:
        with locks.exclusive(path, waits.set):
            entered.set()

    thread = threading.Thread(target=other)
    with locks.exclusive(path):
        thread.start()
        assert waits.wait(60)
        with locks.attempt(path) as mine:
            assert not mine
        assert not entered.is_set()
    thread.join(60)
    assert entered.is_set()


def test_an_interrupt_ends_the_wait_of_every_thread(tmp_path: Path):
    path = tmp_path / "lock"
    argv = [sys.executable, "-c", INTERRUPTED, path]
    with held(path):
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "interrupted\n", done
