"""The application of `companion top`: shows the board, and turns keys into actions."""

import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import DataTable, Footer, RichLog, Static

from companion.dashboard import actions, model
from companion.dashboard.actions import Action, Verb
from companion.dashboard.model import Board, Host
from companion.dashboard.observer import Observer
from companion.dashboard.widgets import Help, Hosts, Question, Table, Trends, text
from companion.errors import CompanionError
from companion.operations.figures import Sample
from companion.operations.overview import AgentOverview, Overview
from companion.system import plain, process
from companion.system.paths import Paths
from companion.traffic.book import Book

_DRAIN = 0.2
"""Seconds between looks for new lines of the log."""
_MOST_LINES = 2000
_VERBS = {"start": Verb.START, "stop": Verb.STOP, "restart": Verb.RESTART,
          "once": Verb.ONCE, "always": Verb.ALWAYS, "deny": Verb.DENY}  # fmt: skip


class Top(App[None]):
    """The screen of one user."""

    TITLE = "companion top"
    ENABLE_COMMAND_PALETTE = False
    CSS_PATH = "top.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - as Textual has it
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "act('start')", "start"),
        Binding("x", "act('stop')", "stop"),
        Binding("r", "act('restart')", "restart"),
        Binding("o", "decide('once')", "once"),
        Binding("a", "decide('always')", "always"),
        Binding("d", "decide('deny')", "deny"),
        Binding("e", "edit", "edit"),
        Binding("t", "terminal", "terminal"),
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("q", "quit", "quit"),
    ]

    def __init__(self, home: Paths) -> None:
        super().__init__()
        self._home = home
        self._board = Board()
        self._selected = ""
        self._followed: tuple[str, ...] = ()
        """The IDs of the containers whose log is shown."""
        self._asked_to_quit = False
        self._observer = Observer(home, self._on_look, self._on_traffic)

    def compose(self) -> ComposeResult:
        """Return the widgets."""
        yield Static(id="headline", markup=False)
        yield Table(id="agents", cursor_type="row")
        yield Trends(id="trends")
        with Horizontal(id="details"):
            with Vertical(id="logs"):
                yield RichLog(id="log", max_lines=_MOST_LINES, wrap=True, min_width=20)
            yield Hosts(id="hosts", cursor_type="row")
        yield Static(id="problems", markup=False)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Begin to look."""
        self.query_one("#logs").border_title = "Log"
        self.query_one("#hosts").border_title = "Hosts"
        self.query_one("#agents").focus()
        self.set_interval(_DRAIN, self._drain)
        self._observer.start()

    def on_unmount(self) -> None:
        """End what was begun."""
        self._observer.stop()

    # What threads report.

    def _on_look(self, overview: Overview, sample: Sample) -> None:
        self._soon(lambda: self._show(model.looked(self._board, overview, sample)))

    def _on_traffic(self, key: str, book: Book) -> None:
        self._soon(lambda: self._show(model.read(self._board, key, book)))

    def _soon(self, change: Callable[[], None]) -> None:
        """Have the screen's thread do something, unless it has ended; callable from any thread."""
        if self.is_running:
            self.call_later(change)

    # What is shown.

    def _show(self, board: Board) -> None:
        self._board = board
        rows = [(one.key, model.row(board, one, str(self._home.home)))
                for one in board.overview.agents]  # fmt: skip
        self._agents.show(model.COLUMNS, rows)
        self.query_one("#headline", Static).update(text(model.headline(board)))
        problems = "\n".join(str(problem) for problem in board.overview.problems)
        shown = self.query_one("#problems", Static)
        shown.display = bool(problems)
        shown.update(Text(plain.plain(problems)))
        self._select(self._agents.marked)

    def _select(self, key: str) -> None:
        """Show the details of an agent; its log anew only if it has other containers."""
        one = self._board.overview.agent(key)
        running = tuple(c.id for c in one.containers if c.running) if one else ()
        if (key, running) != (self._selected, self._followed):
            if key != self._selected:
                self.query_one(RichLog).clear()
            self._selected, self._followed = key, running
            self._observer.select(one)
        self.query_one(Trends).show(self._board, key)
        self._hosts.show_hosts(model.hosts(self._board, key))

    def _drain(self) -> None:
        lines = self._observer.lines()
        if lines:
            self.query_one(RichLog).write(Text("\n".join(map(plain.line, lines))))

    @property
    def _agents(self) -> Table:
        return self.query_one("#agents", Table)

    @property
    def _hosts(self) -> Hosts:
        return self.query_one(Hosts)

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Show the details of the agent under the cursor."""
        if event.data_table is self._agents:
            self._select(self._agents.marked)
        else:
            self._hosts.describe()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Open a terminal."""
        if event.data_table is self._agents:
            self.action_terminal()

    # What keys do.

    def action_act(self, name: str) -> None:
        """Do something with the agent under the cursor."""
        if one := self._board.overview.agent(self._selected):
            self._ask(Action(_VERBS[name], one), lambda: None)

    def action_decide(self, name: str) -> None:
        """Decide on the host under the cursor; a refused one that is denied is no longer shown."""
        one, verb = self._board.overview.agent(self._selected), _VERBS[name]
        host = next((h for h in model.hosts(self._board, self._selected)
                     if h.key == self._hosts.marked), None)  # fmt: skip
        if one is None or host is None:
            self.notify("no host is selected", markup=False)
        elif not self._hosts.is_settled():
            self.notify(f"another host is marked now: {host.name}", markup=False)
        elif verb is Verb.DENY and host.is_refused:
            self._settle(one, host)
        elif verb is not Verb.DENY and not host.can_be_allowed:
            self.notify(f"{host.name} cannot be allowed here: {host.use}", markup=False)
        else:
            self._ask(Action(verb, one, host.name), partial(self._settle, one, host))

    def action_edit(self) -> None:
        """Open an editor."""
        if one := self._board.overview.agent(self._selected):
            self._run(actions.editor(one))

    def action_terminal(self) -> None:
        """Open a terminal in place of the screen, until it ends."""
        if one := self._board.overview.agent(self._selected):
            self._run(actions.terminal(one))

    def action_help(self) -> None:
        """Show what the keys do."""
        self.push_screen(Help())

    async def action_quit(self) -> None:
        """End, but not unseen while something is under way."""
        if self._board.steps and not self._asked_to_quit:
            self._asked_to_quit = True
            self.notify("work is under way; q again ends it, and the next `up` continues",
                        severity="warning", markup=False)  # fmt: skip
            return
        self.exit()

    def _settle(self, one: AgentOverview, host: Host) -> None:
        self._show(model.settled(self._board, one.key, host))

    def _ask(self, action: Action, done: Callable[[], None]) -> None:
        """Do something, after a question if it deserves one."""
        if self._board.steps.get(action.on.key):
            self.notify(f"{action.on.agent} is being worked on", markup=False)
        elif action.question:
            begin = partial(self._begin, action, done)
            self.push_screen(Question(action.question), lambda yes: begin() if yes else None)
        else:
            self._begin(action, done)

    def _begin(self, action: Action, done: Callable[[], None]) -> None:
        self._step(action.on.key, action.verb)
        threading.Thread(target=self._do, args=(action, done), daemon=True).start()

    def _do(self, action: Action, done: Callable[[], None]) -> None:
        """Carry out an action (runs in a thread of its own)."""
        key = action.on.key
        try:
            said = actions.carry_out(
                self._home, action, lambda step: self._soon(partial(self._step, key, step))
            )
        except CompanionError as error:
            self._soon(partial(self._tell, actions.failure(error), is_error=True))
        except Exception as error:  # noqa: BLE001 - one key's bug must not end the screen
            self._soon(partial(self._tell, f"this is a bug in Companion: {error!r}", is_error=True))
        else:
            self._soon(partial(self._tell, said))
            self._soon(done)
        finally:
            self._soon(partial(self._step, key, ""))
            self._observer.look_again()

    def _step(self, key: str, step: str) -> None:
        self._show(model.stepped(self._board, key, plain.line(step)))

    def _tell(self, words: str, *, is_error: bool = False) -> None:
        self.notify(plain.plain(words), severity="error" if is_error else "information",
                    markup=False)  # fmt: skip

    def _run(self, argv: Sequence[str]) -> None:
        """Run one of our commands on the terminal, in place of the screen."""
        try:
            with self.suspend():
                attach(argv)
        except SuspendNotSupported:
            self.notify("this terminal cannot be shared", markup=False)
        except CompanionError as error:
            self._tell(actions.failure(error), is_error=True)


def attach(argv: Sequence[str]) -> None:
    """Run a command on the terminal, and let the user read why it failed. Ctrl-C never ends us."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        if process.attach(argv):
            signal.signal(signal.SIGINT, signal.default_int_handler)
            with suppress(EOFError, KeyboardInterrupt):
                input("\nPress Enter to return to companion top. ")
    finally:
        signal.signal(signal.SIGINT, before)


def run(home: Paths) -> None:
    """Show the screen until the user quits; sandboxes keep running.

    Raises:
        RuntimeError: it failed, which is a bug.
    """
    top = Top(home)
    try:
        top.run()
    finally:
        process.end_builds()  # they would go on without the lock
    if top.return_code:  # Textual has printed where, and returns
        raise RuntimeError("the screen failed") from getattr(top, "_exception", None)
