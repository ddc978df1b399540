"""What do the desktop tests share? The real tray, on a session bus and a panel of our own."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from desk import COMPANION, Desk, no_secret_in
from panel import Panel, session_bus


@dataclass
class Tray:
    """A tray that runs, the panel that shows it, and how the desktop's programs were called."""

    desk: Desk
    panel: Panel
    process: "subprocess.Popen[bytes]"
    programs: Path
    log: Path

    def called(self, name: str) -> list[str]:
        path = self.programs / f"{name}.called"
        return path.read_text().splitlines() if path.exists() else []


def record(programs: Path, *names: str) -> None:
    """Put programs there that only write down how they were called, and what they were told."""
    programs.mkdir(exist_ok=True)
    for name in names:
        called = programs / f"{name}.called"
        script = f'#!/bin/sh\nprintf "%s\\n" "$@" >{called}.new && mv {called}.new {called}\n'
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)


@contextmanager
def tray(
    desk: Desk, place: Path, *, has_tray: bool = True, stderr: int | None = None
) -> Iterator[Tray]:
    """Run `companion tray` on a bus of its own until the block ends, or the user quits.

    What it says is in its log; what it says on stderr is elsewhere if `stderr` is given.
    """
    programs, log = place / "programs", place / "tray.log"
    record(programs, "code", "zed", "xdg-open", "xclip", "x-terminal-emulator", "zenity")
    with ExitStack() as stack:
        address = stack.enter_context(session_bus(place))
        path = f"{programs}:{desk.environment['PATH']}"
        kept = {k: v for k, v in desk.environment.items() if k not in {"DISPLAY", "TERMINAL"}}
        environment = {**kept, "PATH": path, "DBUS_SESSION_BUS_ADDRESS": address}
        panel = Panel(address, tray=has_tray)
        stack.callback(panel.close)
        out = stack.enter_context(log.open("wb"))
        argv = [COMPANION, "tray"]
        process = subprocess.Popen(argv, env=environment, stdout=out, stderr=stderr or out)
        try:
            yield Tray(Desk(desk.home, environment), panel, process, programs, log)
        finally:
            if process.poll() is None:
                process.terminate()
                code = process.wait(timeout=60)
                assert code == 0, f"exit code {code}: {log.read_text()}"
            state = desk.home / ".local/state/companion"
            logs = [path.read_text() for path in (log, *state.glob("*.log"))]
            no_secret_in(panel.said, *logs)
