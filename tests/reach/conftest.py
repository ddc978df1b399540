"""The second machine and the cluster that tests share; started if need be, and stopped then."""

import fcntl
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import node
import pytest
from desk import ROOT
from far import SCRIPT, Machine
from node import Cluster

_NAME = f"companion-{os.environ.get('COMPANION_SECOND_MACHINE', 'second')}"
USERS, START = (Path(tempfile.gettempdir(), f"{_NAME}.{kind}") for kind in ("users", "start"))
"""Locks: shared by the workers that use the machine; held by the one that starts or stops it."""


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """A second machine with docker, podman and sshd; the last worker stops it if one started it."""
    if os.geteuid():
        pytest.skip("a second machine needs root")
    with USERS.open("w") as users, START.open("w") as start_or_stop:
        fcntl.flock(start_or_stop, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)
        ran = subprocess.run([*SCRIPT, "running"], check=False).returncode == 0
        start = (*SCRIPT, "start")
        done = subprocess.run(start, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        said = dict(re.findall(r"^export SECOND_MACHINE_(\w+)=(.*)$", done.stdout, re.MULTILINE))
        started_here = Path(said["SSH"], "of_tests")
        if not ran:
            started_here.touch()
        fcntl.flock(start_or_stop, fcntl.LOCK_UN)
        yield Machine(said["SSH"], said["DOCKER"], said["PODMAN"])
        fcntl.flock(start_or_stop, fcntl.LOCK_EX)
        with suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if started_here.exists():
                subprocess.run([*SCRIPT, "stop"], check=True)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster of one node; one worker runs all tests of it."""
    with node.running() as found:
        yield found


@pytest.fixture(autouse=True)
def _undisturbed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let nobody else use the machine while a test silences it."""
    if "machine" not in request.fixturenames:
        yield
        return
    machine: Machine = request.getfixturevalue("machine")
    with machine.shared(alone="silences" in request.keywords):
        yield
