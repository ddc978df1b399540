"""`companion top`: what its screen shows and what its keys do, on the engine of fake_engine.py."""

import asyncio
import os
import pty
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from desk import COMPANION, Desk
from fake_project import Fake, config
from textual.pilot import Pilot
from textual.widgets import RichLog, Static

from companion.dashboard.app import Top
from companion.dashboard.widgets import Help, Hosts, Question, Table

MOMENT = "2026-01-01T00:00:00.000000000Z"
REFUSED = "tls {} port=443 to=- why=egress bytes=0/0 ms=1 term=PR"
REACHED = "tls {} port=443 to=any why=ok bytes=1/2 ms=3 term=--"
MEAN = "[bold red]markup[/] \x1b]0;owned\x07\x1b[2Jend"


@pytest.fixture
def two(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> tuple[Fake, Fake]:
    """Two sandboxes, of which the first runs and was refused two hosts."""
    first, second = (
        Fake(desk, desk.project(config().replace("coder", name), name=name, __env="KEY=one\n"))
        for name in ("first", "second")
    )
    for project in (first, second):
        project.companion("up").ok()
    second.companion("down").ok()
    lines = (REFUSED.format("astral.sh"), REFUSED.format("evil.example"), MEAN)
    first.set(said="".join(f"{MOMENT} {line}\n" for line in lines))
    for name, value in desk.environment.items():
        monkeypatch.setenv(name, value)
    return first, second


Steps = Callable[[Top, Pilot[None]], Coroutine[Any, Any, None]]


def driven(desk: Desk, steps: Steps, size: tuple[int, int] = (120, 40), rows: int = 2) -> None:
    """Show the screen, and do something with it once it shows all hosts that there are."""

    async def drive() -> None:
        top = Top(desk.paths)
        async with top.run_test(size=size) as pilot:
            await until(pilot, lambda: top.query_one(Hosts).row_count == rows)
            await steps(top, pilot)

    asyncio.run(drive())


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    for _ in range(300):
        if condition():
            return
        await pilot.pause(0.05)
    raise AssertionError(f"it did not come to that; {pilot.app.screen}: {said(pilot.app)}")


def cells(top: Top, row: int) -> list[str]:
    return [cell.plain for cell in top.query_one("#agents", Table).get_row_at(row)]


def said(top: Top) -> str:
    """Return the log as shown, its lines as long as they were."""
    return " ".join(" ".join(strip.text for strip in top.query_one(RichLog).lines).split())


def told(top: Top) -> str:
    return "\n".join(one.message for one in top._notifications)


def test_all_sandboxes_are_shown_with_their_hosts_and_plain_logs(desk: Desk, two: object):
    async def steps(top: Top, pilot: Pilot[None]) -> None:
        assert cells(top, 0)[:2] == ["first", "running"]
        assert cells(top, 1)[:2] == ["second", "stopped"]
        assert "1 of 2 running" in str(top.query_one("#headline", Static).content)
        await until(pilot, lambda: "refused: not in the egress list" in said(top))
        await until(pilot, lambda: "[bold red]markup[/] \\x1b]0;owned\\x07\\x1b[2Jend" in said(top))
        assert "\x1b" not in said(top)
        await pilot.press("question_mark")
        assert isinstance(top.screen, Help)
        await pilot.press("escape")

    driven(desk, steps)


def test_a_host_is_allowed_once_always_after_a_question_or_hidden(
    desk: Desk, two: tuple[Fake, Fake]
):
    file = two[0].project / "agent.yaml"
    before = file.read_text()

    async def steps(top: Top, pilot: Pilot[None]) -> None:
        hosts = top.query_one(Hosts)
        assert hosts.marked == "astral.sh:443"
        await until(pilot, hosts.is_settled)
        await pilot.press("o")
        await until(pilot, lambda: "first may reach astral.sh until it is taken down" in told(top))
        assert file.read_text() == before
        await until(pilot, lambda: hosts.row_count == 1)
        assert hosts.marked == "evil.example:443"
        await pilot.press("d")
        assert hosts.row_count == 1, "a key that was meant for the host before decided on this one"
        await until(pilot, hosts.is_settled)
        await pilot.press("a")
        assert isinstance(top.screen, Question)
        await pilot.press("n")
        await pilot.press("d")
        await until(pilot, lambda: hosts.row_count == 0)
        assert file.read_text() == before

    driven(desk, steps)


def test_the_first_host_to_decide_on_is_marked_until_the_user_marks_another(
    desk: Desk, two: tuple[Fake, Fake]
):
    lines = [f"{MOMENT} {line}\n" for line in (REACHED.format("api.example"), MEAN)]
    moments = (MOMENT.replace("T00", hour) for hour in ("T01", "T02", "T03"))
    later = [
        f"{moment} {REFUSED.format(host)}\n"
        for moment, host in zip(moments, ("one.example", "two.example", "one.example"), strict=True)
    ]
    two[0].set(said="".join(lines))

    async def steps(top: Top, pilot: Pilot[None]) -> None:
        hosts = top.query_one(Hosts)

        async def refuse(count: int, rows: int) -> list[str]:
            two[0].set(said="".join((*lines, *later[:count])))
            await until(pilot, lambda: hosts.row_count == rows)
            return [hosts.get_row_at(row)[0].plain for row in range(rows)]

        assert hosts.marked == "api.example:443"
        assert await refuse(1, 2) == ["? one.example", "  api.example"]
        assert hosts.marked == "one.example:443"
        await pilot.press("tab", "tab", "down")
        assert hosts.marked == "api.example:443"
        assert await refuse(3, 3) == ["? one.example", "? two.example", "  api.example"]
        assert hosts.marked == "api.example:443"

    driven(desk, steps, rows=1)


def test_always_adds_a_line_to_agent_yaml(desk: Desk, two: tuple[Fake, Fake]):
    file = two[0].project / "agent.yaml"

    async def steps(top: Top, pilot: Pilot[None]) -> None:
        await until(pilot, top.query_one(Hosts).is_settled)
        await pilot.press("a", "y")
        await until(pilot, lambda: "a new line in agent.yaml" in told(top))
        assert "astral.sh" in file.read_text()

    driven(desk, steps)


def test_sandboxes_are_stopped_after_a_question_and_started(desk: Desk, two: tuple[Fake, Fake]):
    async def steps(top: Top, pilot: Pilot[None]) -> None:
        await pilot.press("x")
        assert two[0].world["containers"]
        await pilot.press("y")
        await until(pilot, lambda: cells(top, 0)[1] == "stopped")
        assert not two[0].world["containers"]
        await pilot.press("down", "s")
        await until(pilot, lambda: cells(top, 1)[1] == "running")
        await pilot.press("q")

    driven(desk, steps)


def test_an_action_that_fails_says_why_and_the_screen_stays(desk: Desk, two: tuple[Fake, Fake]):
    two[1].set(refuse=["start"])

    async def steps(top: Top, pilot: Pilot[None]) -> None:
        await pilot.press("down", "s")
        await until(pilot, lambda: "start is refused" in told(top))
        await until(pilot, lambda: not top._board.steps)
        assert cells(top, 0)[:2] == ["first", "running"]

    driven(desk, steps)


def test_top_without_a_terminal_or_textual_is_one_message(desk: Desk, tmp_path: Path):
    assert "`companion list` prints the same once" in desk.companion("top").err
    (tmp_path / "textual.py").write_text("raise ModuleNotFoundError(name='textual')\n")
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [COMPANION, "top"],
        env=desk.environment | {"PYTHONPATH": str(tmp_path)},
        stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(ours)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: `companion top` needs Textual, which is not installed",
        "tip: `pipx inject companion-sandbox textual`, or install companion-sandbox[top]",
    ]
