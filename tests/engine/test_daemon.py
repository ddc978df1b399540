"""The engine itself hangs or restarts, or the whole machine does."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from desk import ROOT
from sandboxes import SERVICES, Box, wait_until
from test_watch import watching

pytestmark = pytest.mark.engine
PID = Path("/run/companion-dev/docker.pid")
BOUND = 60
"""Seconds after which a user must have heard that the engine hangs."""


@pytest.fixture
def daemon(box: Box) -> int:
    """The process of the docker daemon, if it is the tests' own."""
    ours = os.environ.get("DOCKER_HOST", "").startswith(f"unix://{PID.parent}/")
    if box.name != "docker" or not ours or not PID.exists():
        pytest.skip("only a docker daemon of our own is stopped: see scripts/dockerd.sh")
    return int(PID.read_text())


def test_after_a_reboot_the_watcher_brings_the_sandbox_back_in_order(box: Box):
    before = box.ids()
    for service in SERVICES:
        box.engine("kill", box.container(service))
    with watching(box, said_first="restarted, ready"):
        pass
    after = box.ids()
    assert after["coder-net"] != before["coder-net"]
    assert box.run("curl -sS -m 8 http://host.containers.internal:8000/") == "echo"
    assert box.ssh("curl -sSf -m 8 http://example.com/").code != 0


@pytest.mark.long
def test_a_daemon_that_hangs_is_said_in_bounded_time_and_the_next_run_goes_on(
    box: Box, daemon: int
):
    with box.changed('    env: ["COLOUR=red"]\n'):
        os.kill(daemon, signal.SIGSTOP)
        try:
            begin = time.monotonic()
            done = box.companion("up")
            took = time.monotonic() - begin
        finally:
            os.kill(daemon, signal.SIGCONT)
        assert done.code == 1
        assert "docker does not answer" in done.err
        assert took < BOUND
        box.companion("up").ok()
        assert box.run("echo $COLOUR") == "red"
    box.companion("up").ok()


@pytest.mark.long
def test_a_daemon_that_is_restarted_is_found_again(box: Box, daemon: int):
    with watching(box) as log:
        script = ROOT / "scripts/dockerd.sh"
        for word in ("stop", "start"):
            subprocess.run(["bash", script, word], check=True, capture_output=True, timeout=90)
        wait_until(lambda: "project: restarted, ready" in log.read_text(), tell=log.read_text)
        assert log.read_text().count("docker does not answer") == 1
    assert box.run("curl -sS -m 8 http://host.containers.internal:8000/") == "echo"
