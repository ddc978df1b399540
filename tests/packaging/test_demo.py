"""What the README shows first works: `make run`, which CI runs on fresh machines."""

import os
import subprocess
import sys

import pytest
from desk import ROOT


@pytest.mark.engine
@pytest.mark.one_engine
@pytest.mark.long
def test_the_demonstration_shows_all_that_it_promises(engine: str):
    without = {"DOCKER_HOST"} if engine == "podman" else set()  # docker comes first if it answers
    environment = {name: value for name, value in os.environ.items() if name not in without}
    demo = [sys.executable, ROOT / "scripts/demo.py"]
    done = subprocess.run(demo, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "after the broken save the sandbox still answers" in done.stdout
