"""What the desktop costs: the tray, its clicks, and the start of the command (B7, B9)."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from desk import AGENT, COMPANION, make_desk
from panel import until
from rows import Row, at_most, beside
from stand import Stand, cpu, fastest
from trays import Tray, tray

TIMES = 10


def desktop(top: Path) -> Iterator[Row]:
    """B7, B9: the tray with 50 projects that are not started; the start of the command."""
    desk = make_desk(top / "home", engines=True)
    for number in range(50):
        project = desk.project(AGENT.replace("coder", f"agent-{number}"), f"project-{number}")
        desk.companion("add", str(project)).ok()
    with tray(desk, top) as running:
        running.panel.wait_for_icon()
        time.sleep(15)
        before, pid = cpu(running.process.pid), running.process.pid
        time.sleep(20)
        idle = (cpu(pid) - before) / 20 * 100
        status = Path(f"/proc/{pid}/status").read_text()
    rss = int(status.partition("VmRSS:")[2].split()[0]) / 1024
    yield at_most("B7", "", "RSS of the tray with 50 projects", rss, "MiB", 60)
    yield at_most("B7", "", "CPU of the idle tray", idle, "%", 0.1)
    bare = fastest([sys.executable, "-c", "pass"])
    yield beside("B9", "", "companion --version", fastest([str(COMPANION), "--version"]), bare, 4)


def clicks(here: Stand, top: Path) -> Iterator[Row]:
    """B9: from a click to the editor's process, and to a refused host that is let through."""
    here.watcher.terminate()
    here.watcher.wait()  # the tray watches instead
    with tray(here.desk, top) as shown:
        shown.panel.wait_for_icon()
        until(lambda: "nothing to do" in shown.log.read_text())
        opened, allowed = [], []
        for _ in range(TIMES):
            called = shown.programs / "code.called"
            called.unlink(missing_ok=True)
            row = shown.panel.find("Open in/VS Code")
            begin = time.time()
            shown.panel.press(row)
            until(called.exists)
            opened.append(called.stat().st_mtime - begin)
        for number in range(TIMES):
            host = f"clicked-{number}.test"
            with asking(here, host) as passed:
                until(lambda host=host: _allow(shown, host))
                row = shown.panel.find(_allow(shown, host))
                begin = time.time()
                shown.panel.press(row)
                allowed.append(passed() - begin)
    text = f"click in the tray, until the editor's process runs, worst of {TIMES}"
    yield at_most("B9", here.engine, text, max(opened) * 1000, "ms", 150)
    text = f'click on "Allow once", until the host is let through, worst of {TIMES}'
    yield at_most("B9", here.engine, text, max(allowed) * 1000, "ms", 500)


@contextmanager
def asking(here: Stand, host: str) -> Iterator[Callable[[], float]]:
    """Have the agent ask for a host again and again; yields what waits until it is let through."""
    ask = f"curl -s -m 8 http://{host}/ | grep -q 'no address'"
    argv = ["ssh", "-F", here.desk.home / ".ssh/config", here.alias]
    with subprocess.Popen(
        [*argv, f"until {ask}; do sleep 0.02; done; date +%s.%N"], stdout=subprocess.PIPE, text=True
    ) as asks:
        yield lambda: float(asks.communicate(timeout=60)[0])


def _allow(shown: Tray, host: str) -> str:
    """Return the path of the row that allows a host once; "" while there is none."""
    for row in shown.panel.rows():
        if row.text.startswith("Refused hosts") and any(r.text == host for r in row.rows):
            return f"{row.text}/{host}/Allow once"
    return ""
