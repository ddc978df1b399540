"""Draw docs/top.svg, the picture of `companion top`: its own screen with figures that are made up.

The screen draws itself as text in an SVG: sharp at any size, and the same wherever it is drawn.
Nothing in it is fetched while it is looked at.
"""

import asyncio
import re
from collections.abc import Iterator
from math import sin
from pathlib import Path

from textual.widgets import RichLog

from companion.dashboard.app import Top
from companion.dashboard.model import Board
from companion.dashboard.widgets import Hosts
from companion.engine.model import Condition, Container, Health
from companion.operations.figures import Figures
from companion.operations.overview import AgentOverview, Overview
from companion.project.model import AgentRef, Project
from companion.project.record import AgentRecord
from companion.sandbox.allocation import Allocation
from companion.spec.identity import Role
from companion.system.paths import Paths
from companion.traffic.attention import Attention, Heard
from companion.traffic.book import Book, Entry

PICTURE = Path(__file__).parent.parent / "docs/top.svg"
HOME = Path("/home/ada")
SIZE = (120, 30)
NOW = 1795774000.0
AGENTS = (
    ("app", "claude-code", 2222, Health.RUNNING, Attention.WAITING, 3),
    ("app-fix-login", "codex", 2223, Health.RUNNING, Attention.BUSY, 0),
    ("docs", "pi", 2224, Health.RUNNING, Attention.DONE, 0),
    ("payments", "codex", 2225, Health.ABSENT, Attention.UNKNOWN, 0),
)
ENTRIES = (
    Entry("astral.sh", 443, NOW, NOW, refused=2, why="egress", is_refused=True),
    Entry("deb.debian.org", 80, NOW + 1, NOW, refused=1, why="egress", is_refused=True),
    Entry("metrics.corp", 443, NOW + 2, NOW, refused=1, why="private", is_refused=True),
    Entry("api.anthropic.com", 443, NOW, NOW, allowed=214, sent=1_900_000, received=4_100_000),
    Entry("registry.npmjs.org", 443, NOW, NOW, allowed=36, sent=41_000, received=28_000_000),
)
LINES = """\
10:41:07 agent   | 214 tests passed
10:41:19 gateway | astral.sh refused: not in the egress list
10:41:19 gateway | deb.debian.org:80 refused: not in the egress list
10:41:22 gateway | astral.sh refused: not in the egress list
10:41:30 gateway | metrics.corp refused: leads to a private address
10:41:44 agent   | vite ready in 412 ms, http://localhost:5173"""


def main() -> None:
    svg = asyncio.run(drawn())
    # The font would be fetched from elsewhere.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code", "ui-monospace, 'DejaVu Sans Mono', Menlo")
    PICTURE.write_text("\n".join(line.rstrip() for line in svg.splitlines() if line.strip()) + "\n")
    print(f"{PICTURE.name}: {PICTURE.stat().st_size / 1000:.0f} kB")


async def drawn() -> str:
    """Return the screen as SVG."""
    inner = (".config", ".local/share", ".local/state")
    top = Top(Paths(HOME, *(HOME / one / "companion" for one in inner), HOME / ".config"))
    agents = tuple(map(agent, range(len(AGENTS))))
    history = {one.key: tuple(figures(number)) for number, one in enumerate(agents)}
    async with top.run_test(size=SIZE) as pilot:
        top._observer.stop()  # noqa: SLF001 - the picture is of the screen itself
        await pilot.pause(1.5)
        board = Board(Overview(agents), None, history, {agents[0].key: Book(ENTRIES)})
        top._show(board)  # noqa: SLF001 - the same
        top.query_one(RichLog).write(LINES)
        top.query_one(Hosts).focus()
        await pilot.pause(0.5)
        return top.export_screenshot(title="companion top")


def agent(number: int) -> AgentOverview:
    """Return a sandbox."""
    name, program, port, health, attention, refused = AGENTS[number]
    record = AgentRecord(Allocation(name, "10.0.0.0/28", "10.0.1.0/28", port), wanted="up")
    runs = health is Health.RUNNING
    container = Container(
        f"{number}", name, name, name, name, Role.AGENT, "", runs, "", 0,
        out_of_memory=False, started="2026-11-27T08:00:00", network_mode="",
    )  # fmt: skip
    return AgentOverview(
        AgentRef(Project(HOME / "code" / name, name)), name, program, record,
        refused=refused, condition=Condition(health),
        containers=(container,), heard=Heard(attention, at=NOW),
    )  # fmt: skip


def figures(number: int) -> Iterator[Figures]:
    """Yield a minute of a sandbox."""
    if AGENTS[number][3] is not Health.RUNNING:
        yield Figures()
        return
    for second in range(60):
        wave = max(0.0, sin(second / 4 + number + 5.3) * sin(second / 11 + 2 * number + 3.7))
        yield Figures(
            memory=round((310 - 70 * number) * 1e6 + second * 6e5 + wave * 4e7),
            cpu=(0.9 - 0.35 * number) * wave + 0.01,
            received=wave * 240_000 / (number + 1) + 900,
            sent=wave * 30_000,
        )


if __name__ == "__main__":
    main()
