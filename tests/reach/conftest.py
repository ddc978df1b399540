"""The second machine that tests of remote engines share; started if need be, and stopped then."""

import os
import re
import subprocess
from collections.abc import Iterator

import pytest
from desk import ROOT
from far import SCRIPT, Machine


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """A second machine with docker, podman and sshd."""
    if os.geteuid():
        pytest.skip("a second machine needs root")
    ran = subprocess.run([*SCRIPT, "running"], check=False).returncode == 0
    done = subprocess.run([*SCRIPT, "start"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = dict(re.findall(r"^export SECOND_MACHINE_(\w+)=(.*)$", done.stdout, re.MULTILINE))
    yield Machine(said["SSH"], said["DOCKER"], said["PODMAN"])
    if not ran:
        subprocess.run([*SCRIPT, "stop"], check=True)
