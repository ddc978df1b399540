"""The command `list`: all sandboxes at a glance."""

import sys
import time
from argparse import Namespace
from collections.abc import Sequence

from companion.cli import style
from companion.cli.output import Result, table
from companion.operations import figures, overview_text
from companion.operations.figures import Figures
from companion.operations.overview import AgentOverview, Overview, overview
from companion.operations.overview_text import UNKNOWN
from companion.system.paths import Paths

_SECONDS = 0.1
"""How long CPU time is counted."""
_HEAD = ("AGENT", "PROGRAM", "STATE", "MEMORY", "CPU", "PORTS", "REFUSED", "BRANCH", "DIRECTORY")
_ALWAYS = {"AGENT", "STATE", "DIRECTORY"}
_PERCENT = 100
_MOST = {"DIRECTORY": 18}
"""Columns of a terminal after which a cell is rather cut than another one left out."""


def listing(_: Namespace) -> Result:
    """Show every registered agent, and what its sandbox uses right now."""
    home = Paths.of_user()
    found = overview(home)
    used = _used(found)
    rows = [_row(one, used[number], str(home.home)) for number, one in enumerate(found.agents)]
    shown = _fitting(_without_empty([_HEAD, *rows]))
    text = table(shown, cuts=True) if rows else "no registered projects"
    return Result(
        text=text,
        tip="" if rows else "`companion run` in a git repository starts an agent there",
        data=[_facts(one, used[number]) for number, one in enumerate(found.agents)],
        problems=found.problems,
    )


def _used(found: Overview) -> Sequence[Figures]:
    before = now = figures.sample(found.containers)
    if before.usages:
        time.sleep(_SECONDS)
        now = figures.sample(found.containers)
    return [figures.figures(one.containers, before, now) for one in found.agents]


def _row(one: AgentOverview, used: Figures, home: str) -> tuple[str, ...]:
    return (
        overview_text.name(one),
        one.program or UNKNOWN,
        overview_text.state(one),
        overview_text.memory(used),
        overview_text.cpu(used),
        overview_text.ports(one),
        overview_text.refused(one),
        one.branch or UNKNOWN,
        overview_text.directory(one, home),
    )


def _without_empty(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return rows, the first of which is the head, without columns that tell nothing."""
    columns = zip(*rows, strict=True)
    kept = [c for c in columns if c[0] in _ALWAYS or any(cell != UNKNOWN for cell in c[1:])]
    return list(zip(*kept, strict=True))


def _fitting(rows: Sequence[tuple[str, ...]]) -> Sequence[tuple[str, ...]]:
    """Return rows without figures if a terminal is too narrow; `companion top` shows them, too."""
    columns = list(zip(*rows, strict=True))
    for head in ("CPU", "MEMORY") if style.is_terminal(sys.stdout) else ():
        needed = sum(2 + min(max(map(style.width, c)), _MOST.get(c[0], 1000)) for c in columns) - 2
        if needed > style.columns(sys.stdout):
            columns = [column for column in columns if column[0] != head]
    return list(zip(*columns, strict=True))


def _facts(one: AgentOverview, used: Figures) -> dict[str, object]:
    record = one.record
    return {
        "agent": one.agent,
        "directory": str(one.ref.project.directory),
        "works_in": one.works_in,
        "branch": one.branch,
        "program": one.program or None,
        "state": one.state,
        "exit_code": one.condition.exit_code,
        "attention": one.attention.value or None,
        "wanted": record.wanted if record else None,
        "paused": one.paused,
        "engine": record.engine.name if record and record.engine else None,
        "alias": record.allocation.alias if record else "",
        "ssh_port": one.ssh_port,
        "ports": [{"port": port, "inside": inside} for port, inside in one.published],
        "forwards": [{"port": f.port, "inside": f.inside, "url": f.url} for f in one.forwards],
        "refused": one.refused,
        "memory": used.memory,
        "cpu_percent": None if used.cpu is None else round(used.cpu * _PERCENT, 1),
    }
