"""Widgets of the dashboard. What comes from an agent is shown as plain text, never as markup."""

import time
from collections.abc import Sequence

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import DataTable, Label, Sparkline, Static

from companion.dashboard import model
from companion.dashboard.model import Board, Host
from companion.operations import overview_text
from companion.system import plain
from companion.traffic.words import place

_HELP = """\
 s  start             o  allow the host once
 x  stop              a  allow the host always
 r  restart           d  deny the host, or hide a refused one
 e  open in editor    t  terminal (Enter, too)
 Tab  next pane       arrows  move in a pane
 ?  this help         q  quit; sandboxes keep running

The keys o, a and d act on the host that is marked. Hosts that can be
allowed come first, and the first one is marked until you go there."""
_A_MOMENT = 0.7
"""Seconds that a host must have been marked before a key decides on it."""
_STYLES = {"running": "green", "crashed": "bold red", "broken": "bold red", "unknown": "dim"}


def text(words: str, style: str = "") -> Text:
    """Return text that is nothing but text."""
    return Text(plain.line(words), style=style, no_wrap=True, end="")


class Table(DataTable[Text]):
    """A table whose rows have keys: the cursor stays on its row, whatever comes, goes or moves."""

    def show(self, columns: Sequence[str], rows: Sequence[tuple[str, tuple[str, ...]]]) -> None:
        """Show rows, each with its key; what did not change is not drawn again."""
        if not self.columns:
            for name in columns:
                self.add_column(name, key=name)
        marked = self.marked
        keys = [key for key, _ in rows]
        if keys != [str(row.key.value) for row in self.ordered_rows]:
            self._lay_out(rows, marked)
        for key, cells in rows:
            self._change(key, columns, cells)

    def _lay_out(self, rows: Sequence[tuple[str, tuple[str, ...]]], marked: str) -> None:
        """Put other rows into the table; the cursor stays on its row, or on what took its place."""
        row, keys = self.cursor_row, [key for key, _ in rows]
        self.clear()
        for key, cells in rows:
            self.add_row(*map(_cell, cells), key=key)
        self.move_cursor(row=keys.index(marked) if marked in keys else row)

    def _change(self, key: str, columns: Sequence[str], cells: Sequence[str]) -> None:
        for column, words in zip(columns, cells, strict=True):
            new = _cell(words)
            if self.get_cell(key, column) != new:
                self.update_cell(key, column, new, update_width=True)

    @property
    def marked(self) -> str:
        """The key of the row under the cursor; empty if there is none."""
        if not self.is_valid_row_index(self.cursor_row):
            return ""
        return str(self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value)


def _cell(words: str) -> Text:
    state = words.partition(",")[0].partition(" ")[0]
    attention = "bold yellow" if "waits for you" in words else ""
    return text(words, attention or _STYLES.get(state, ""))


class Trend(Vertical):
    """A sparkline with its title and newest value."""

    def __init__(self, title: str) -> None:
        super().__init__(classes="trend")
        self._title = title
        self._label, self._line = Static(markup=False), Sparkline([0.0])

    def compose(self) -> ComposeResult:
        """Return the parts."""
        yield self._label
        yield self._line

    def show(self, value: str, values: Sequence[float]) -> None:
        """Show the newest value, and all of them as a line."""
        self._label.update(text(f"{self._title} {value}"))
        self._line.data = [0.0] * (model.KEPT - len(values)) + list(values)


class Trends(Horizontal):
    """The sparklines of the selected sandbox."""

    def compose(self) -> ComposeResult:
        """Return the parts."""
        for title in ("CPU", "Memory", "Traffic"):
            yield Trend(title)

    def show(self, board: Board, key: str) -> None:
        """Show the figures of an agent."""
        used, past = board.figures(key), board.history.get(key, ())
        cpu, memory, traffic = self.query(Trend)
        cpu.show(overview_text.cpu(used), [one.cpu or 0.0 for one in past])
        memory.show(overview_text.memory(used), [float(one.memory or 0) for one in past])
        traffic.show(model.rate(used), [model.moved(one) for one in past])


class Hosts(Table):
    """The hosts of the selected sandbox: the first one is marked until the user moves in here."""

    _changed = 0.0
    """When the mark came to another host without a key, on the monotonic clock."""
    _found: tuple[Host, ...] = ()

    def show_hosts(self, found: Sequence[Host]) -> None:
        """Show hosts; those that can be allowed have a mark."""
        before = self.marked
        rows = [(one.key, (_named(one), one.use)) for one in found]
        self.show(("HOST", "USE"), rows)
        if not self.has_focus:
            self.move_cursor(row=0)
        if self.marked != before:
            self._changed = time.monotonic()
        self._found = tuple(found)
        self.describe()

    def describe(self) -> None:
        """Show all that happened with the marked host, for which its cell may be too narrow."""
        # Nothing but words of our own, so it is no markup.
        self.border_subtitle = next((h.use for h in self._found if h.key == self.marked), "")

    def is_settled(self) -> bool:
        """Tell whether the user could see which host is marked: agents choose what comes when."""
        return time.monotonic() - self._changed > _A_MOMENT


def _named(host: Host) -> str:
    mark = "? " if host.can_be_allowed else "✗ " if host.is_refused else "  "
    return f"{mark}{place(host.name, host.port)}"


class Question(ModalScreen[bool]):
    """A question that y answers with yes, and any other key with no."""

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """Return the parts."""
        yield Label(Text(f"{plain.line(self._question)}\n\ny  yes     any other key  no"))

    def on_key(self, event: events.Key) -> None:
        """Take the answer."""
        event.stop()
        self.dismiss(event.key == "y")


class Help(ModalScreen[None]):
    """What the keys do; any key closes it."""

    def compose(self) -> ComposeResult:
        """Return the parts."""
        yield Label(Text(_HELP))

    def on_key(self, event: events.Key) -> None:
        """Close it."""
        event.stop()
        self.dismiss(None)
