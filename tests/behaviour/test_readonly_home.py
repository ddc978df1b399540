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


READING = (
    *("status", "list", "plan", "validate", "plugins", "schema", "network", "logs", "trust list"),
    *("keys list coder", "editors list", "secret list", "autostart status", "clean --dry-run"),
    *("exec -- true", "compose ps", "help up", "trust show"),
)
"""Commands that change nothing, so they need nothing that can be written."""


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


def test_in_a_home_that_cannot_be_written_commands_that_only_read_still_work(fake: Fake):
    done = {command: frozen(fake, *command.split()) for command in READING}
    assert {command: one.err for command, one in done.items() if one.code} == {}
    said = frozen(fake, "doctor").out
    assert "~/.local/state/companion cannot be written [home]" in said
    assert "see: companion doctor --explain home" in said
