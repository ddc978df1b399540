"""A home that cannot be written: one message with the next step, and never a bug report."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from desk import COMPANION, Desk, Done
from fake_project import Fake, fresh

COMMANDS = (
    *("down", "up", "generate", "keys rotate coder", "schema --write"),
    *("init new", "remove .", "pause", "resume", "resume --all", "uninstall --yes"),
    *("editors sync", "autostart on", "autostart off"),
)


def frozen(fake: Fake, *arguments: str) -> Done:
    """Run companion where the home is read-only, and only the engine's world is not."""
    home = fake.desk.home
    mount = (
        'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && cd "$1" && shift && exec "$@"'
    )
    isolate = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    argv = [*isolate, "sh", "-c", mount, home, fake.project, COMPANION, *arguments]
    done = subprocess.run(
        argv, env=fake.desk.environment, capture_output=True, text=True, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def fake(desk: Desk, tmp_path: Path) -> Fake:
    fake = fresh(desk)
    fake.companion("up").ok()
    fake.companion("pause").ok()
    desk.companion("pause", "--all").ok()
    desk.companion("autostart", "on").ok()
    fake.file = Path(shutil.move(fake.file, tmp_path))
    desk.environment["FAKE_ENGINE"] = str(tmp_path / "world")
    return fake


def test_in_a_home_that_cannot_be_written_every_command_says_so_in_one_line(fake: Fake):
    for command in COMMANDS:
        done = frozen(fake, *command.split())
        if done.code:  # what has nothing to write succeeds
            assert done.code == 1, (command, done.err)
            first, tip = done.err.splitlines()
            assert first.startswith("error: cannot "), (command, done.err)
            assert first.endswith(": Read-only file system")
            assert tip.startswith("tip: ")
    assert frozen(fake, "status").code == 0
