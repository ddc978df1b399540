"""Output: the only module that prints; a Result becomes text or JSON."""

import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any, NamedTuple, TextIO

from companion.cli import style
from companion.cli.style import Style, paint
from companion.cli.wrapping import wrapped
from companion.errors import CompanionError, Problem
from companion.system.plain import for_terminal, plain

FINE, EXPECTED, USAGE, BUG, DIFFERENCES, INTERRUPTED, UNREAD = 0, 1, 2, 3, 4, 130, 141
"""Exit codes; docs/commands.md, "Exit codes", explains them."""
FAILURES = {EXPECTED, USAGE, BUG}
ENVELOPE_VERSION = 1
_INDENT = "  "
_COLUMN, _LEAST = 8, 6
"""The narrowest that a column of a table becomes; and if that is not enough."""
_WRITERS: list[Callable[[str], None]] = []
"""What comments are written with, while something else is drawn on the terminal."""


class Result(NamedTuple):
    """A command's answer: plain data for programs, text for people, and the exit code."""

    text: str = ""
    data: Any = None
    code: int = 0
    problems: tuple[Problem, ...] = ()
    is_verbatim: bool = False
    """Whether the text is to be copied, or is another program's, and is never wrapped."""
    tip: str = ""
    """The next step, for people: after the text, on stderr."""


def render(result: Result, command: str, *, as_json: bool) -> int:
    """Print a result on stdout (problems as text go to stderr) and return its exit code."""
    if as_json:
        import json  # noqa: PLC0415 - start-up time is a budget

        print(json.dumps(_envelope(result, command), indent=2))
    else:
        if result.text:
            text = for_stream(result.text)
            print(text if result.is_verbatim else fitted(text, sys.stdout))
        sys.stdout.flush()
        report(result.problems, label="error" if result.code in FAILURES else "warning")
        if result.tip:
            tip(result.tip)
    sys.stdout.flush()
    return result.code


def failure(error: CompanionError, code: int) -> Result:
    """Return the result that an expected failure means."""
    return Result(code=code, problems=error.problems)


def show(line: str) -> None:
    """Print a line of an answer that does not end, at once."""
    print(for_stream(line), flush=True)


def never_fails_to_encode() -> None:
    """Show a character that the terminal's encoding lacks as its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def never_lacks_streams() -> None:
    """Discard what is written where Windows gives a program without a console no streams."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))


def hang_up() -> None:
    """Discard what is still to be written: the reader of our output is gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def report(problems: Sequence[Problem], *, label: str = "error") -> None:
    """Print problems on stderr: what is wrong, details and tip, each on lines of its own.

    A tip that several have in a row is printed after the last one.
    """
    title = paint(f"{label}:", Style.ERROR if label == "error" else Style.WARNING, sys.stderr)
    for problem, following in zip_longest(problems, problems[1:]):
        first, *details = problem.located.splitlines() or [""]
        comment(f"{title} {first}", hang=len(_INDENT))
        for line in details:
            comment(line if line.startswith(_INDENT) else _INDENT + line)
        if problem.hint and not (following and following.hint == problem.hint):
            tip(problem.hint)


def tip(hint: str) -> None:
    """Print the next step on stderr."""
    comment(f"{paint('tip:', Style.TIP, sys.stderr)} {hint}", hang=len(_INDENT))


def comment(text: str, *, hang: int = 0) -> None:
    """Print sentences on stderr, wrapped to the terminal; `hang` indents the rest of a line."""
    quote(fitted(for_stream(text), hang=hang))


def quote(text: str) -> None:
    """Print on stderr what is to be copied, or what another program says: never wrapped."""
    if _WRITERS:
        _WRITERS[-1](text)
    else:
        print(for_stream(text), file=sys.stderr, flush=True)


def fitted(text: str, stream: TextIO | None = None, hang: int = 0) -> str:
    """Return sentences wrapped to the terminal of a stream (stderr by default), if it is one."""
    stream = stream or sys.stderr
    return wrapped(text, style.columns(stream), hang) if style.is_terminal(stream) else text


@contextmanager
def comments_to(write: Callable[[str], None]) -> Iterator[None]:
    """Have comments written by `write` while the body runs."""
    _WRITERS.append(write)
    try:
        yield
    finally:
        _WRITERS.remove(write)


def for_stream(text: str) -> str:
    """Return text that a terminal obeys in nothing but colors; where none are wanted, in nothing.

    Tools and agents keep their colors in a pipe, as in other programs' logs.
    """
    return plain(text) if os.environ.get("NO_COLOR") else for_terminal(text)


def ask(question: str, at_the_end: str = "") -> str:
    """Return what the user types; `at_the_end` if nothing comes any more (Ctrl-D)."""
    try:
        return input(for_terminal(question)).strip()
    except EOFError:
        print()
        return at_the_end
    except KeyboardInterrupt:
        print()
        raise


def ask_unseen(question: str) -> str:
    """Return what the user types, without showing it; "" at the end of the input."""
    from getpass import getpass  # noqa: PLC0415 - start-up time is a budget

    try:
        return getpass(for_terminal(question))
    except EOFError:
        return ""
    except KeyboardInterrupt:
        comment("")
        raise


def piped(limit: int) -> str:
    """Return at most so many bytes of what is piped in; what is not UTF-8 becomes U+FFFD."""
    return sys.stdin.buffer.read(limit).decode(errors="replace")


def plural(count: int, noun: str) -> str:
    """Return "1 project", "2 projects"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def table(rows: Iterable[tuple[str, ...]], *, cuts: bool = False, wraps: bool = False) -> str:
    """Return rows as aligned columns; what stands below the heading STATE has colors.

    Args:
        rows: the cells of each row; a first row in capitals is the heading.
        cuts: on a terminal, cut the widest cells, so that each row has one line; states only if
            nothing else helps, and never the first one, which is a name that the user may type.
            Of a DIRECTORY, the end is kept.
        wraps: on a terminal, wrap the last column, which is prose.
    """
    lines = list(rows)
    widths = [max(map(style.width, column)) for column in zip(*lines, strict=True)]
    if (cuts or wraps) and style.is_terminal(sys.stdout):
        most, last = style.columns(sys.stdout), [len(widths) - 1]
        states = [at for at, head in enumerate(lines[0]) if head == "STATE"]
        rest = [at for at in range(1, len(widths)) if at not in states]
        rounds = ((last, _COLUMN),) if wraps else ((rest, _COLUMN), (rest, _LEAST), (states, 1))
        for at in (at for at in rest if cuts and lines[0][at] == "DIRECTORY"):
            least = max(style.width(_fitted("DIRECTORY", line[at], 0)) for line in lines)
            widths = _narrowed(widths, most, [at], max(least, len("DIRECTORY")))
        for columns, least in rounds:
            widths = _narrowed(widths, most, columns, least)
    shown: list[str] = []
    for line in lines:
        cells = list(line)
        if wraps:
            cells[-1], *others = _broken(line[-1], widths[-1])
        else:
            others = []
        cells = [_fitted(*one) for one in zip(lines[0], cells, widths, strict=True)]
        if line is lines[0] and "".join(line).isupper():
            cells = [paint(cell, Style.BOLD) for cell in cells]
        else:
            heads = zip(lines[0], cells, strict=True)
            cells = [style.state(cell) if head == "STATE" else cell for head, cell in heads]
        padded = (style.pad(cell, width) for cell, width in zip(cells, widths, strict=True))
        shown.append("  ".join(padded).rstrip())
        before = " " * sum(width + 2 for width in widths[:-1])
        shown += (before + other for other in others)
    return "\n".join(shown)


def _fitted(head: str, text: str, width: int) -> str:
    """Return a cell that fits; of a path, the end tells most."""
    if head != "DIRECTORY" or text == head:
        return style.fit(text, width)
    while style.width(text) > width and "/" in text.removeprefix("…/"):
        text = "…/" + text.removeprefix("…/").partition("/")[2]
    return style.fit(text, width) if width else text


def _broken(text: str, width: int) -> list[str]:
    """Return prose in lines of at most so many columns."""
    if style.width(text) <= width:
        return [text]
    import textwrap  # noqa: PLC0415 - start-up time is a budget

    return textwrap.wrap(text, width)


def _narrowed(widths: Sequence[int], most: int, candidates: Sequence[int], least: int) -> list[int]:
    """Return widths of columns that fit; of the candidates, the widest ones are cut first."""
    fitting = list(widths)
    while candidates and sum(fitting) + 2 * (len(fitting) - 1) > most:
        at = max(candidates, key=fitting.__getitem__)
        if fitting[at] <= least:
            break
        fitting[at] -= 1
    return fitting


def _envelope(result: Result, command: str) -> dict[str, Any]:
    return {
        "version": ENVELOPE_VERSION,
        "command": command,
        "ok": result.code == 0,
        "exit_code": result.code,
        "data": result.data,
        "problems": [
            {
                "code": p.code,
                "what": p.what,
                "hint": p.hint,
                "file": p.place.file if p.place else None,
                "line": p.place.line if p.place else None,
                "column": p.place.column if p.place else None,
            }
            for p in result.problems
        ],
    }
