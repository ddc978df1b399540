"""From a repository to the terminal of a real agent program, which outlives its connection."""

import os
import pty
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from desk import COMPANION, Desk, make_desk
from sandboxes import wait_until

pytestmark = [pytest.mark.engine, pytest.mark.one_engine]
LEAVE = b"\x02d"
"""What detaches from tmux."""


class Terminal:
    """A terminal with companion in it, and all that was shown on it."""

    def __init__(self, desk: Desk, cwd: Path, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        self.shown = ""
        self.process = subprocess.Popen(
            [COMPANION, *arguments], env=desk.environment | {"TERM": "xterm-ghostty"}, cwd=cwd,
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with suppress(OSError):
            while piece := os.read(self._ours, 10_000):
                self.shown += piece.decode(errors="replace")

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def expect(self, text: str) -> None:
        wait_until(lambda: text in self.shown, 240, lambda: self.shown[-3000:])

    def ends(self) -> int:
        return self.process.wait(30)

    def connection(self) -> int:
        """Return the process of its ssh."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return int(children.split()[-1])


@contextmanager
def repository(desk: Desk) -> Iterator[Path]:
    """Make a repository that agents may change, and remove its sandboxes at the end."""
    top = desk.home / "code/app"
    top.mkdir(parents=True)
    (desk.home / ".gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.com\n")
    (top / "file").write_text("one\n")
    git = ["git", "-c", "safe.directory=*"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], cwd=top, env=desk.environment, check=True)
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "1000:1000", top], check=True)
    try:
        yield top
    finally:
        for name in ("app-side", "app"):
            desk.companion("remove", name, "--discard", "--volumes")
            desk.companion("remove", name, "--volumes")


def test_one_command_leads_to_an_agents_terminal_that_survives_a_lost_connection(
    engine: str, tmp_path: Path
):
    desk = make_desk(tmp_path / "home", trusting=False, engines=True)
    if engine == "podman":  # of two engines that answer, docker comes first
        desk.environment["DOCKER_HOST"] = f"unix://{tmp_path}/nothing"
    with repository(desk) as top:
        first = Terminal(desk, top, "run", "codex", "--", "--no-alt-screen")
        first.expect("Start it? [Y/n]")
        first.type(b"\n")
        first.expect("Log in now? [Y/n]")
        first.type(b"n\n")
        first.expect("Ctrl-B D")

        def panes(form: str) -> str:
            inside = ("exec", "--", "tmux", "list-panes", "-a", "-F", form)
            return desk.companion(*inside, cwd=top).out.strip()

        wait_until(lambda: panes("#{session_name} #{session_attached}") == "agent 1")
        pid, place = panes("#{pane_pid} #{pane_current_path}").split(" ", 1)
        assert place == "/home/agent/app"
        wait_until(lambda: "codex" in first.shown.lower(), 60, lambda: first.shown[-2000:])
        os.kill(first.connection(), signal.SIGKILL)
        first.ends()
        assert panes("#{pane_pid} #{session_attached}") == f"{pid} 0"

        second = Terminal(desk, top, "run")
        wait_until(lambda: panes("#{pane_pid} #{session_attached}") == f"{pid} 1")
        second.type(LEAVE)
        assert second.ends() == 0
        assert "[Y/n]" not in second.shown
        assert panes("#{pane_pid}") == pid

        said = desk.companion("run", "codex", "--branch", "side", "--yes", cwd=top).ok()
        assert "app-side is running" in said.out
        inside = (
            "git commit -qam two --allow-empty && git log --format='%an %s' -1 && git status -s"
        )
        side = top.with_name("app.worktrees") / "side"
        done = desk.companion("exec", "--", "sh", "-c", inside, cwd=side).ok()
        assert done.out == "Ada two\n"
        refused = desk.companion("remove", cwd=side)
        assert "only on side: " in refused.err
        log = ["git", "-c", "safe.directory=*", "log", "--format=%s", "side", "-1"]
        seen = subprocess.run(log, cwd=top, capture_output=True, text=True, check=True)
        assert seen.stdout == "two\n"
