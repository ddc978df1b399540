"""What the README shows first works: `make run`, with whatever engine answers here."""

import os
import subprocess
import sys

import pytest
from desk import ROOT, answering


@pytest.mark.engine
def test_the_demonstration_shows_all_that_it_promises():
    if not answering():
        pytest.skip("no engine answers")
    # Without the endpoint of the tests' own daemon: podman has the images of the agent already.
    environment = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
    demo = [sys.executable, ROOT / "installer/demo.py"]
    done = subprocess.run(demo, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "after the broken save the sandbox still answers" in done.stdout
