"""The tray with a real sandbox: its state, ways in, saves, mistakes, and its own sudden death."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from panel import until
from sandboxes import SERVICES, Box
from servers import fetched, serving
from trays import Tray, tray

pytestmark = pytest.mark.engine
RUNS, STOPPED = "● project \N{EN DASH} running", "○ project \N{EN DASH} stopped"


@pytest.fixture
def shown(box: Box, tmp_path: Path) -> Iterator[Tray]:
    """A tray that shows the running sandbox."""
    box.companion("up").ok()
    with tray(box.desk, tmp_path) as running:
        running.panel.wait_for_icon()
        until(lambda: running.panel.rows()[0].text == RUNS)
        until(lambda: "nothing to do" in running.log.read_text())  # the first look mends, too
        yield running


def test_a_click_gets_into_the_sandbox_by_editor_and_terminal(box: Box, shown: Tray):
    shown.panel.click("Open in/VS Code")
    folder = f"vscode-remote://ssh-remote+{box.alias}/home/agent"
    until(lambda: shown.called("code") == ["--folder-uri", folder])
    settings = box.desk.home / ".config/Code/User/settings.json"
    assert json.loads(settings.read_text()) == {"remote.SSH.remotePlatform": {box.alias: "linux"}}
    shown.panel.click("Open in/Zed")
    until(lambda: shown.called("zed") == [f"ssh://{box.alias}/home/agent"])
    until(lambda: "Open in Zed" in [row.text for row in shown.panel.rows()])
    (shown.programs / "zed.called").unlink()
    shown.panel.left_click()
    until(lambda: shown.called("zed") == [f"ssh://{box.alias}/home/agent"])
    shown.panel.click("Terminal")
    until(lambda: shown.called("x-terminal-emulator")[-1:] == [box.alias])
    before, program, option = shown.called("x-terminal-emulator")[:3]
    assert (before, Path(program).name, option) == ("-e", "ssh", "-F")
    assert Path(program).is_absolute()
    shown.panel.click("Copy SSH command")
    assert shown.panel.wait_for_note("Copied").text == f"ssh {box.alias}"
    box.companion("editors", "remove").ok()


def test_a_stopped_sandbox_is_shown_and_opening_starts_it(box: Box, shown: Tray):
    shown.panel.click("Stop")
    until(lambda: shown.panel.rows()[0].text == STOPPED, 30)
    shown.panel.click("Open in/VS Code")
    until(lambda: shown.panel.properties()["Title"].startswith("Companion: project: "))
    until(lambda: shown.called("code"), 60)
    assert shown.panel.rows()[0].text == RUNS
    assert "ready" in shown.panel.wait_for_note("project is ready").text
    box.companion("editors", "remove").ok()


def test_what_is_stopped_by_hand_is_shown_as_stopped_and_stays_so(box: Box, shown: Tray):
    for service in SERVICES:
        box.engine("stop", "--time", "1", box.container(service))
    until(lambda: shown.panel.rows()[0].text == STOPPED, 30)
    assert not box.engine("ps", "--quiet", "--filter", f"label=dev.companion.project={box.id}")
    shown.panel.click("Start")
    until(lambda: shown.panel.rows()[0].text == RUNS, 60)


def test_a_save_restarts_and_a_broken_one_keeps_the_old_sandbox(box: Box, shown: Tray):
    idle = shown.panel.properties()["IconPixmap"]
    with box.changed('    env: ["COLOUR=green"]\n'):
        until(lambda: shown.panel.properties()["IconPixmap"] != idle)
        note = shown.panel.wait_for_note("project is ready", 60)
        assert note.text.startswith("restarted, ready ")
        until(lambda: shown.panel.properties()["IconPixmap"] == idle)
        assert box.run("echo $COLOUR") == "green"
    shown.panel.wait_for_note("project is ready", 60)
    until(lambda: shown.panel.properties()["IconPixmap"] == idle, 60)
    with box.changed("    env: [\n"):
        note = shown.panel.wait_for_note("project: change not applied")
        assert note.text.startswith("agent.yaml:")
        assert box.run("id -un") == "agent"
    until(lambda: shown.panel.properties()["IconPixmap"] == idle)


@pytest.mark.one_engine
def test_a_click_forwards_a_port_and_opens_it(box: Box, shown: Tray):
    assert "Ports" not in [row.text for row in shown.panel.rows()]
    with serving(box, 3000):
        shown.panel.click("Ports/Forward 3000 and open it")
        until(lambda: shown.called("xdg-open"))
        (address,) = shown.called("xdg-open")
        port = int(address.rpartition(":")[2])
        assert address == f"http://coder.localhost:{port}"
        assert fetched(port) == "from inside"
        assert address in [row.text for row in shown.panel.rows()]
        assert [row.text for row in shown.panel.find("Ports").rows] == [f"Stop forwarding {port}"]
        shown.panel.click(f"Ports/Stop forwarding {port}")
        until(lambda: fetched(port) == "")
    until(lambda: "Ports" not in [row.text for row in shown.panel.rows()])


def test_a_tray_that_was_killed_finds_its_sandboxes_again(box: Box, tmp_path: Path):
    ids = box.ids()
    first, second = tmp_path / "first", tmp_path / "second"
    for place in (first, second):
        place.mkdir()
    with tray(box.desk, first) as killed:
        killed.panel.wait_for_icon()
        until(lambda: killed.panel.rows()[0].text == RUNS)
        killed.process.kill()
        killed.process.wait()
        with tray(box.desk, second) as running:
            running.panel.wait_for_icon()
            until(lambda: running.panel.rows()[0].text == RUNS)
    assert box.ids() == ids
