"""The second machine that tests of remote engines share; started if need be, and stopped then."""

import fcntl
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from desk import ROOT
from far import SCRIPT, Machine

USERS = Path(tempfile.gettempdir(), f"{os.environ.get('COMPANION_SECOND_MACHINE', 'second')}.users")
"""Held by each worker that uses the machine."""


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """A second machine with docker, podman and sshd; the last worker stops it if one started it."""
    if os.geteuid():
        pytest.skip("a second machine needs root")
    with USERS.open("w") as users:
        fcntl.flock(users, fcntl.LOCK_EX)
        ran = subprocess.run([*SCRIPT, "running"], check=False).returncode == 0
        start = (*SCRIPT, "start")
        done = subprocess.run(start, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        said = dict(re.findall(r"^export SECOND_MACHINE_(\w+)=(.*)$", done.stdout, re.MULTILINE))
        started_here = Path(said["SSH"], "of_tests")
        if not ran:
            started_here.touch()
        fcntl.flock(users, fcntl.LOCK_SH)
        yield Machine(said["SSH"], said["DOCKER"], said["PODMAN"])
        with suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if started_here.exists():
                subprocess.run([*SCRIPT, "stop"], check=True)


@pytest.fixture(autouse=True)
def _undisturbed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let nobody else use the machine while a test silences it."""
    if "machine" not in request.fixturenames:
        yield
        return
    machine: Machine = request.getfixturevalue("machine")
    with machine.shared(alone="silences" in request.keywords):
        yield
