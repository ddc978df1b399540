"""Model of the dashboard: all that the screen shows, as one value. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from companion.operations import figures, overview_text
from companion.operations.figures import Figures, Sample
from companion.operations.overview import AgentOverview, Overview
from companion.traffic import words
from companion.traffic.attention import Attention
from companion.traffic.book import Book, Entry

KEPT = 60
"""Figures of each sandbox that are remembered, a second apart."""
MOST_HOSTS = 100
"""Hosts of a sandbox that are shown: the agent chooses their names."""
_BARS = "▁▂▃▄▅▆▇█"
_IN_ROW = 4
"""Bars in a cell of the table."""


@dataclass(frozen=True, slots=True)
class Host:
    """A host that an agent asked for."""

    name: str
    port: int
    use: str
    """What happened with it, in words."""
    is_refused: bool
    can_be_allowed: bool

    @property
    def key(self) -> str:
        """Its key among the hosts of its agent."""
        return f"{self.name}:{self.port}"


@dataclass(frozen=True, slots=True)
class Board:
    """The state of the screen; mappings are by an agent's key."""

    overview: Overview = field(default_factory=Overview)
    sample: Sample | None = None
    history: Mapping[str, tuple[Figures, ...]] = field(default_factory=dict)
    """The last figures of each agent, the newest last."""
    books: Mapping[str, Book] = field(default_factory=dict)
    steps: Mapping[str, str] = field(default_factory=dict)
    """The work under way, in words."""
    decided: frozenset[tuple[str, str]] = frozenset()
    """Key of an agent and key of a host on which the user decided: no longer shown as refused."""

    def figures(self, key: str) -> Figures:
        """Return the newest figures of an agent."""
        return self.history.get(key, (Figures(),))[-1]


def looked(board: Board, overview: Overview, sample: Sample) -> Board:
    """Return the board after another look at all agents."""
    history = {
        one.key: (
            *board.history.get(one.key, ()),
            figures.figures(one.containers, board.sample, sample),
        )[-KEPT:]
        for one in overview.agents
    }
    return replace(board, overview=overview, sample=sample, history=history)


def read(board: Board, key: str, book: Book) -> Board:
    """Return the board after an agent's traffic was read.

    A host on which the user decided, and that was refused once more afterwards, is shown again.
    """
    before = {(e.host, e.port): e.refused for e in board.books.get(key, Book()).entries}
    again = {
        (key, _host(e).key)
        for e in book.entries
        if e.refused > before.get((e.host, e.port), e.refused)
    }
    books = {**board.books, key: book}
    return replace(board, books=books, decided=board.decided - again)


def stepped(board: Board, key: str, step: str) -> Board:
    """Return the board after a step of the work on an agent began; with "" it ended."""
    others = {k: v for k, v in board.steps.items() if k != key}
    return replace(board, steps={**others, key: step} if step else others)


def settled(board: Board, key: str, host: Host) -> Board:
    """Return the board after the user decided on a host."""
    return replace(board, decided=board.decided | {(key, host.key)})


def hosts(board: Board, key: str) -> tuple[Host, ...]:
    """Return the hosts of an agent: those to decide on, other refused ones, then the rest.

    Those to decide on are in the order in which they were first asked for, so that a new one takes
    no place of another under the user's hand.
    """
    entries = [entry for entry in board.books.get(key, Book()).entries if entry.host]
    entries.sort(key=lambda entry: entry.first if words.can_be_allowed(entry) else math.inf)
    found = map(_host, entries)
    shown = [one for one in found if not one.is_refused or (key, one.key) not in board.decided]
    shown.sort(key=lambda one: (not one.can_be_allowed, not one.is_refused))
    return tuple(shown[:MOST_HOSTS])


def row(board: Board, one: AgentOverview, home: str) -> tuple[str, ...]:
    """Return the cells of an agent's row, in the order of COLUMNS."""
    used, past = board.figures(one.key), board.history.get(one.key, ())
    step = board.steps.get(one.key, "")
    return (
        _name(board, one, home),
        f"working: {step}" if step else overview_text.state(one),
        _with_bars(f"{overview_text.cpu(used):>4}", [f.cpu or 0.0 for f in past], 1.0),
        f"{overview_text.memory(used):>6}",
        _with_bars(f"{rate(used):>8}", [moved(f) for f in past], 1000.0),
        overview_text.refused(one),
        overview_text.ports(one),
        one.program or overview_text.UNKNOWN,
        overview_text.directory(one, home),
        one.branch or overview_text.UNKNOWN,
    )


COLUMNS = ("AGENT", "STATE", "CPU", "MEMORY", "TRAFFIC", "REFUSED", "PORTS", "PROGRAM",
           "DIRECTORY", "BRANCH")  # fmt: skip


def _name(board: Board, one: AgentOverview, home: str) -> str:
    """Return an agent's name; of several that have the same one, with the directory's."""
    same = sum(other.agent == one.agent for other in board.overview.agents)
    name, place = overview_text.name(one), overview_text.directory(one, home)
    return f"{name} ({place.rpartition('/')[2]})" if same > 1 else name


def rate(used: Figures) -> str:
    """Return the traffic in both directions: 12 kB/s."""
    known = used.received is not None
    return f"{words.size(round(moved(used)))}/s" if known else overview_text.UNKNOWN


def moved(used: Figures) -> float:
    """Return the bytes per second in both directions."""
    return (used.received or 0.0) + (used.sent or 0.0)


def headline(board: Board) -> str:
    """Return one line about all sandboxes, with those that need the user first."""
    agents = board.overview.agents
    if not agents:
        return "no registered projects; `companion run` in a repository starts the first sandbox"
    running = [one for one in agents if one.state == "running"]
    waiting = sum(one.attention is Attention.WAITING for one in running)
    crashed = sum(one.state == "crashed" for one in agents)
    memory = sum(board.figures(one.key).memory or 0 for one in running)
    parts = (
        f"{waiting} waiting for you" if waiting else "",
        f"{crashed} crashed" if crashed else "",
        f"{len(running)} of {len(agents)} running",
        f"{words.size(memory)} of memory" if memory else "",
    )
    return " · ".join(filter(None, parts))


def bars(values: list[float], least: float, count: int = _IN_ROW) -> str:
    """Return the last values as bars; the highest is the largest value, or `least` if more."""
    top = max((*values, least))
    highest = len(_BARS) - 1
    return "".join(_BARS[round(value / top * highest)] for value in values[-count:])


def _with_bars(text: str, values: list[float], least: float) -> str:
    return text if overview_text.UNKNOWN in text else f"{text} {bars(values, least)}"


def _host(entry: Entry) -> Host:
    return Host(
        entry.host, entry.port, words.use(entry), entry.is_refused, words.can_be_allowed(entry)
    )
