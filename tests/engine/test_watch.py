"""companion watch on a real engine: every way of saving, and mistakes, and nothing twice."""

import itertools
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from desk import COMPANION, SPAWNS, killed_at
from sandboxes import FIRST_PORT, SERVICES, Box, wait_until

pytestmark = pytest.mark.engine


@contextmanager
def watching(box: Box, said_first: str = "nothing to do") -> Iterator[Path]:
    """Run companion watch; yields the file of what it says. By default the sandbox is current."""
    if said_first == "nothing to do":
        box.companion("up").ok()  # this machine may have other addresses than a test before had
    log = box.desk.home / f"watch-{time.monotonic_ns()}.log"
    with log.open("w") as out:
        argv = [COMPANION, "watch"]
        child = subprocess.Popen(argv, env=box.desk.environment, stdout=out, stderr=out)
    try:
        wait_until(lambda: f"project: {said_first}" in log.read_text(), tell=log.read_text)
        yield log
    finally:
        child.terminate()
        assert child.wait(timeout=60) == 130, log.read_text()


def reactions(log: Path) -> int:
    return log.read_text().count("project: nothing to do") + log.read_text().count("after the save")


def test_a_save_that_means_nothing_is_one_reaction_and_no_engine_call(box: Box):
    config, before = box.project / "agent.yaml", box.ids()
    text = config.read_text()
    with watching(box) as log:
        for number in range(200):
            config.write_text(f"# note {number}\n{text}")
        config.write_text("a mistake")
        wait_until(lambda: "project: not changed: agent.yaml:" in log.read_text())
        assert reactions(log) < 100, "a burst is not looked at save by save"
        config.write_text(text)
        wait_until(lambda: "project: nothing to do" in log.read_text().splitlines()[-1])
        before_moves = reactions(log)
        new = config.with_suffix(".tmp")
        new.write_text(text)
        new.replace(config)
        wait_until(lambda: reactions(log) == before_moves + 1)
        config.unlink()
        config.write_text(text)
        wait_until(lambda: reactions(log) == before_moves + 2)
        second = box.desk.companion("watch")
        assert second.code == 1
        assert "running already" in second.err
    assert box.ids() == before


def test_a_save_that_means_something_is_applied_and_a_mistake_changes_nothing(box: Box):
    config = box.project / "agent.yaml"
    text = config.read_text()
    with watching(box) as log:
        try:
            config.write_text(text + '    env: ["COLOUR=green"]\n')
            wait_until(lambda: "project: restarted, ready" in log.read_text())
            assert box.run("echo $COLOUR") == "green"
            before = box.ids()
            config.write_text(text + "    env: [\n")
            wait_until(lambda: "project: not changed: agent.yaml:" in log.read_text())
            assert box.run("echo $COLOUR") == "green"
            config.write_text(text + '    env: ["COLOUR=green"]\n')
            wait_until(lambda: log.read_text().count("project: nothing to do") == 2)
            assert box.ids() == before
        finally:
            config.write_text(text)
        wait_until(lambda: log.read_text().count("project: restarted, ready") == 2)
    assert box.run("echo $COLOUR") == ""


def test_a_save_during_a_build_ends_it_and_the_newest_wins(box: Box):
    text = box.config_text()
    config, slow = box.project / "agent.yaml", endless(box)

    def with_command(command: str) -> str:
        return text.replace("    home_override", f"    commands: [{command}]\n    home_override")

    left = pieces(box)
    with watching(box) as log:
        try:
            config.write_text(with_command(slow))
            wait_until(lambda: running(slow), 60, tell=log.read_text)
            before = box.ids()
            config.write_text(f"# this means nothing\n{with_command(slow)}")
            time.sleep(2)
            assert running(slow)
            assert box.run("id -un") == "agent"
            assert box.ids() == before
            config.write_text(with_command("touch /built"))
            wait_until(lambda: "project: rebuilt, ready" in log.read_text(), 60, tell=log.read_text)
            assert "starting over with the newest files" in log.read_text()
            assert box.run("ls /built") == "/built"
            assert not running(slow)
            assert pieces(box) == left
        finally:
            config.write_text(text)
            wait_until(lambda: log.read_text().count("project: rebuilt, ready") == 2, 60)


def test_who_stops_an_agent_need_not_wait_for_its_build(box: Box):
    text, slow = box.config_text(), endless(box)
    left = pieces(box)
    try:
        words = f"    commands: [{slow}]\n    home_override"
        (box.project / "agent.yaml").write_text(text.replace("    home_override", words))
        with box.start("up") as building:
            wait_until(lambda: running(slow), 60)
            box.companion("down").ok()
            assert building.wait(timeout=60) == 1
            assert "stopped while its image was built" in building.stderr.read()
        assert not running(slow)
        assert pieces(box) == left
        assert box.companion("status", "--json").ok().agent["state"] == "stopped"
    finally:
        (box.project / "agent.yaml").write_text(text)
        box.companion("up").ok()


def pieces(box: Box) -> int:
    """Return how many containers of unfinished builds the engine holds."""
    everything = ("ps", "--all", *(["--external"] if box.name == "podman" else []))
    shape = "{{.Names}} {{.Status}}"
    mine = f"{box.id}-"
    lines = box.engine(*everything, "--format", shape).splitlines()
    return sum(mine not in line for line in lines)


def endless(box: Box) -> str:
    """Return a command for a build that is not over in time; the engine's own, for running()."""
    return f"sleep {FIRST_PORT[box.name]}"


def running(command: str) -> bool:
    return (
        subprocess.run(["pgrep", "-fx", command], capture_output=True, check=False).returncode == 0
    )


def test_a_paused_project_waits_for_resume(box: Box):
    config = box.project / "agent.yaml"
    text = config.read_text()
    box.companion("pause").ok()
    try:
        log = box.desk.home / "paused.log"
        with log.open("w") as out:
            child = subprocess.Popen(
                [COMPANION, "watch"], env=box.desk.environment, stdout=out, stderr=out
            )
        wait_until(lambda: "paused" in log.read_text())
        before = box.ids()
        config.write_text(text + '    env: ["COLOUR=red"]\n')
        wait_until(lambda: log.read_text().count("paused") == 2)
        assert box.ids() == before
        box.companion("resume").ok()
        wait_until(lambda: "restarted, ready" in log.read_text())
        assert box.run("echo $COLOUR") == "red"
    finally:
        config.write_text(text)
        (box.desk.home / ".local/state/companion/pauses" / box.id).unlink(missing_ok=True)
        child.terminate()
        child.wait(timeout=60)
        box.companion("up").ok()


def test_an_agent_that_crashes_is_shown_with_its_last_words_and_is_left_alone(box: Box):
    text = box.config_text()
    config = box.project / "agent.yaml"
    crash = "sleep 4; echo the disk is on fire; exit 3"
    with watching(box) as log:
        try:
            inline = f'{{base_image: "debian:bookworm-slim", cmd: [bash, -c, "{crash}"]}}'
            config.write_text(text.replace('{base_image: "debian:bookworm-slim"}', inline))
            wait_until(lambda: "after the save" in log.read_text())
            said = "project: crashed (exit code 3): the disk is on fire"
            wait_until(lambda: said in log.read_text())
            status = box.companion("status", "--json").ok().agent
            assert (status["state"], status["exit_code"]) == ("crashed", 3)
            assert status["last_lines"][-1] == "the disk is on fire"
            assert "crashed (exit code 3)" in box.companion("status").ok().out
            time.sleep(3)
            assert log.read_text().count(said) == 1
            assert box.companion("status", "--json").ok().agent["state"] == "crashed"
        finally:
            config.write_text(text)
            wait_until(lambda: log.read_text().count("after the save") == 2)
    assert box.run("true") == ""


def test_what_is_stopped_by_hand_stays_and_what_lost_its_way_out_comes_back_in_order(box: Box):
    with watching(box) as log:
        before = box.ids()
        box.engine("stop", "--time", "1", box.container("coder"))
        time.sleep(3)
        assert box.companion("status", "--json").ok().agent["state"] == "stopped"
        box.engine("start", box.container("coder"))
        wait_until(lambda: box.ssh("true").code == 0)
        box.engine("kill", box.container("coder-net"))
        wait_until(lambda: "project: restarted, ready" in log.read_text())
        assert "it shares the network of coder-net, which is new" in log.read_text()
        assert box.run("id -un") == "agent"
        assert box.ssh("curl -sSf -m 8 http://example.com/").code != 0
        assert box.ids()["coder-gateway"] == before["coder-gateway"]
        box.engine("kill", box.container("coder-gateway"))
        wait_until(lambda: log.read_text().count("project: restarted, ready") == 2)
        assert box.run("curl -sS -m 8 http://host.containers.internal:8000/") == "echo"


@pytest.mark.parametrize("service", SERVICES)
def test_a_restart_that_is_killed_at_a_step_is_repaired_by_the_next_up(box: Box, service: str):
    """It is killed as it begins to start a container, while the engine works."""
    with box.start("restart") as child:
        assert child.stderr
        assert any(line.startswith(f"starting {service}:") for line in child.stderr)
        child.kill()
        assert child.wait() == -signal.SIGKILL
    is_repaired(box)


@pytest.mark.long
def test_a_restart_that_is_killed_before_a_call_is_repaired_by_the_next_up(box: Box):
    for number in itertools.count(1):
        done = killed_at(box.desk, SPAWNS, number, "-C", str(box.project), "restart")
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        is_repaired(box)
    assert number > 6


def is_repaired(box: Box) -> None:
    box.companion("up").ok()
    assert box.run("id -un") == "agent"
    assert box.ssh("curl -sSf -m 8 http://example.com/").code != 0
    mine = ("--filter", f"label=dev.companion.project={box.id}", "--quiet")
    assert len(box.engine("ps", "--all", *mine).split()) == len(SERVICES)
    assert len(box.engine("network", "ls", *mine).split()) == 2


def test_down_leaves_nothing_but_the_home_and_up_finds_it_again(box: Box):
    box.run("echo kept > ~/note")
    box.companion("down").ok()
    mine = ("--filter", f"label=dev.companion.project={box.id}", "--quiet")
    assert box.engine("ps", "--all", *mine) == ""
    assert box.engine("network", "ls", *mine) == ""
    assert box.companion("down").ok().out == "there was nothing to remove\n"
    pins = box.known_hosts.read_text()
    box.companion("up").ok()
    assert box.run("cat ~/note") == "kept"
    assert box.known_hosts.read_text() == pins


def test_a_refused_host_is_said_at_once_and_what_is_allowed_passes_without_a_restart(box: Box):
    before = box.ids()
    with watching(box) as log:
        box.ssh("curl -sk -m 8 https://heard-of.example/")
        wait_until(lambda: "project: refused heard-of.example" in log.read_text(), 10)
        box.companion("allow", "coder", "heard-of.example", "--once").ok()
        assert box.ssh("curl -s -m 8 http://heard-of.example/").out == (
            "gateway: this name has no address\n"
        )
    box.companion("deny", "coder", "heard-of.example").ok()
    assert box.ids() == before
