"""What a user sees: the tray of a real sandbox in xfce4-panel."""

import subprocess
from pathlib import Path

import pytest
from desk import COMPANION
from panel import until
from sandboxes import Box
from screen import ORANGE, screen
from trays import record

pytestmark = pytest.mark.engine


def test_the_tray_on_a_real_desktop(box: Box, tmp_path: Path):
    if box.name != "podman":
        pytest.skip("one engine is enough for the screen: podman")
    box.companion("up").ok()
    programs, config = tmp_path / "programs", box.project / "agent.yaml"
    record(programs, "code", "zed", "xdg-open", "x-terminal-emulator")
    with screen(tmp_path / "screen") as seen, (tmp_path / "log").open("wb") as out:
        ours = ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR")
        environment = box.desk.environment | {name: seen.environment[name] for name in ours}
        environment["PATH"] = f"{programs}:{environment['PATH']}"
        tray = subprocess.Popen([COMPANION, "tray"], env=environment, stdout=out, stderr=out)
        try:
            place = seen.wait_for_icon()
            until(lambda: "nothing to do" in (tmp_path / "log").read_text())
            seen.click(place, 3)
            seen.keys("Down", "Down", "Right", "Return")
            folder = f"vscode-remote://ssh-remote+{box.alias}/home/agent"
            until((programs / "code.called").exists)
            assert (programs / "code.called").read_text().split() == ["--folder-uri", folder]

            seen.park()
            with box.changed('    env: ["COLOUR=green"]\n'):
                until(lambda: "starting" in (tmp_path / "log").read_text())
                until(lambda: "ready" in (tmp_path / "log").read_text(), 60)
                seen.wait_for_icon()
            until(lambda: (tmp_path / "log").read_text().count("ready") == 2, 60)
            text = config.read_text()
            config.write_text(text.replace("mode: listed", "mode: lsited"))
            seen.wait_for_icon(ORANGE)
            until(lambda: "project: not changed" in (tmp_path / "log").read_text())
            assert box.run("id -un") == "agent"
            config.write_text(text)
            seen.wait_for_icon()
        finally:
            tray.terminate()
            assert tray.wait(timeout=60) == 0
            box.companion("editors", "remove")
