"""Live progress: steps as lines, and on a terminal what is under way below them.

    building the agent image: its definition changed (12.3 s)
    ⠹ starting app-gateway: its image changed  0.8 s
      the tool's own last line

On a terminal, a step becomes a line of its own once the next one begins. Elsewhere, and where raw
output is wanted, each is a line as soon as it begins. Written by hand, because rich (4 packages,
13 MB) would serve here alone: tables and colors must be ours for the start-up time of `status`.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self, TextIO

from companion.cli import output, style
from companion.cli.style import Style
from companion.reconcile.progress import Display
from companion.system.plain import line as one_line

_TICK = 0.1
_TURN = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PLAIN_TURN = "|/-\\"
_WORTH_TELLING = 1.0
"""Seconds: a step that took less is listed without its time."""
_TENTHS_BELOW = 10
"""Seconds: longer times are told without tenths."""
_LATEST = 200
"""Characters that are kept of a tool's line."""


@contextmanager
def shown(names: Sequence[str], *, raw: bool = False) -> Iterator[dict[str, Display]]:
    """Show the progress of work on agents; yield a display for each, by the agent's name.

    Args:
        names: the agents; if there are several, each line has its agent's name.
        raw: show all that tools say, as it comes.
    """
    titles = {name: f"{name}: " if len(names) > 1 else "" for name in names}
    if raw or not _can_redraw(sys.stderr):
        yield {name: Lines(title, raw=raw) for name, title in titles.items()}
        return
    tasks = {name: Task(title) for name, title in titles.items()}
    region = Region(tuple(tasks.values()), sys.stderr)
    with output.comments_to(region.above), region:
        yield {name: Watched(region, task) for name, task in tasks.items()}


@contextmanager
def of_one(name: str, *, raw: bool = False) -> Iterator[Display]:
    """Show the progress of work on one agent."""
    with shown([name], raw=raw) as displays:
        yield displays[name]


def _can_redraw(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal whose last lines can be replaced."""
    return style.is_terminal(stream) and (sys.platform != "win32" or "WT_SESSION" in os.environ)


class Lines(Display):
    """Progress as lines, each whole and with its agent's name."""

    def __init__(self, title: str, *, raw: bool) -> None:
        self._title, self._raw = title, raw

    def __call__(self, sentence: str) -> None:
        """Write a step."""
        output.comment("\n".join(f"{self._title}{line}" for line in sentence.splitlines()))

    def output(self, line: str) -> None:
        """Write a tool's line, if all are wanted."""
        if self._raw:
            output.quote(f"{self._title}{line}")


@dataclass(slots=True)
class Task:
    """What is under way for one agent; `begun` is on the monotonic clock."""

    title: str
    step: str = ""
    detail: str = ""
    latest: str = ""
    """The last line of the tool at work."""
    begun: float = 0.0

    def begin(self, step: str, now: float) -> None:
        """Begin another step."""
        self.step, self.detail, self.latest, self.begun = step, "", "", now

    def summary(self, now: float) -> str:
        """Return the step as a line that stays."""
        seconds = now - self.begun
        took = f" ({duration(seconds)})" if seconds >= _WORTH_TELLING else ""
        return f"{self.title}{self.step}{took}"


class Watched(Display):
    """The progress of one of the agents that a region shows."""

    def __init__(self, region: "Region", task: Task) -> None:
        self._region, self._task = region, task

    def __call__(self, sentence: str) -> None:
        """Show a step; a detail of it, which is indented, replaces the one before."""
        task, now = self._task, time.monotonic()
        with self._region.lock:
            if task.step and sentence.startswith("  "):
                task.detail, task.latest = sentence.strip(), ""
                return
            before = task.summary(now) if task.step else ""
            *whole, last = sentence.splitlines() or [""]
            task.begin(last, now)
            said = [before, *(f"{task.title}{one}" for one in whole)]
            self._region.above("\n".join(map(output.fitted, filter(None, said))))

    def output(self, line: str) -> None:
        """Keep a tool's last line; progress bars overwrite theirs with carriage returns."""
        parts = [part for part in line.split("\r") if part.strip()]
        if parts:
            with self._region.lock:
                self._task.latest = parts[-1][-_LATEST:].strip()

    def end(self) -> None:
        """Make the step under way a line that stays."""
        task = self._task
        with self._region.lock:
            last = task.summary(time.monotonic()) if task.step else ""
            task.begin("", 0.0)
            self._region.above(output.fitted(last))


class Region:
    """The last lines of a terminal, drawn anew ten times a second while the body runs."""

    def __init__(self, tasks: Sequence[Task], stream: TextIO) -> None:
        self.lock = threading.RLock()
        self._tasks, self._stream = tasks, stream
        self._height = 0
        self._over = threading.Event()
        self._clock = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Self:
        self._clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._clock.join()
        with self.lock:
            now = time.monotonic()
            self._write([output.fitted(t.summary(now)) for t in self._tasks if t.step], ())

    def above(self, text: str) -> None:
        """Write lines that stay."""
        with self.lock:
            self._draw(text.splitlines())

    def _tick(self) -> None:
        while not self._over.wait(_TICK):
            with self.lock:
                self._draw()

    def _draw(self, above: Sequence[str] = ()) -> None:
        columns, rows = style.terminal_columns(self._stream), _rows(self._stream)
        turn = _TURN if _speaks_unicode(self._stream) else _PLAIN_TURN
        self._write(above, frame(self._tasks, time.monotonic(), columns, rows, turn))

    def _write(self, above: Sequence[str], lines: Sequence[str]) -> None:
        """Replace the region, and write lines that stay above it."""
        if not (self._height or above or lines):
            return
        back = f"\r\x1b[{self._height - 1}A" if self._height > 1 else "\r"
        stay = "".join(f"{output.for_stream(line)}\n" for line in above)
        try:
            self._stream.write(f"{back}\x1b[J{stay}{chr(10).join(lines)}")
            self._stream.flush()
        except (OSError, ValueError):  # the terminal is gone, and the work goes on
            self._over.set()
        self._height = len(lines)


def frame(
    tasks: Sequence[Task], now: float, columns: int, rows: int, turn: str = _TURN
) -> list[str]:
    """Return the lines that show what is under way: one for each step, and below it the last line.

    Nothing in them is obeyed by a terminal but our own colors, and none is wider than it.
    """
    busy = [task for task in tasks if task.step]
    mark = turn[int(now / _TICK) % len(turn)]
    lines = []
    for task in busy:
        took = f"  {duration(now - task.begun)}"
        step = style.fit(one_line(f"{task.title}{task.step}"), columns - 3 - len(took))
        lines.append(f"{_paint(mark, Style.TIP)} {step}{_paint(took, Style.DIM)}")
        if rows > 2 * len(busy) and (below := _below(task, columns - 3)):
            lines.append(f"  {_paint(below, Style.DIM)}")
    return lines[: max(1, rows - 1)]


def _below(task: Task, columns: int) -> str:
    """Return the detail of a step and the tool's last line, in one line."""
    detail, latest = one_line(task.detail), one_line(task.latest)
    if detail and latest:
        return style.fit(f"{style.fit(detail, columns // 2)} · {latest}", columns)
    return style.fit(detail or latest, columns)


def _paint(text: str, kind: Style) -> str:
    return style.paint(text, kind, sys.stderr)


def duration(seconds: float) -> str:
    """Return seconds as a person says them: 0.4 s, 12 s, 2 min 5 s."""
    if seconds < _TENTHS_BELOW:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _rows(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).lines or 24
    except (OSError, ValueError):
        return 24


def _speaks_unicode(stream: TextIO) -> bool:
    return (stream.encoding or "").lower().replace("-", "") == "utf8"
