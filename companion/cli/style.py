"""Style: colors where they are wanted, and text fitted to the columns of a terminal."""

import os
import re
import sys
from enum import StrEnum
from typing import TextIO

_SGR = re.compile(r"\x1b\[[0-9;]*m")
_CUT = "…"
_JOINERS = "\u200b\u200c\u200d\u2060\ufeff"
"""Characters without a width. Terminals show others of their kind, such as a soft hyphen."""
_FALLBACK = 80


class Style(StrEnum):
    """A meaning, by the number of its color or weight."""

    BOLD = "1"
    DIM = "2"
    BAD = "31"
    GOOD = "32"
    WARNING = "33"
    TIP = "36"
    ERROR = "1;31"
    HEADING = "1;32"


STATES = {
    "running": Style.GOOD,
    "allowed": Style.GOOD,
    "up": Style.GOOD,
    "ok": Style.GOOD,
    "done": Style.GOOD,
    "working": Style.WARNING,
    "paused": Style.WARNING,
    "warning": Style.WARNING,
    "waits": Style.WARNING,
    "broken": Style.BAD,
    "refused": Style.BAD,
    "crashed": Style.BAD,
    "failed": Style.BAD,
    "stopped": Style.DIM,
    "down": Style.DIM,
    "unknown": Style.DIM,
}
"""The style of a state, by its first word."""


def is_colored(stream: TextIO) -> bool:
    """Tell whether to color what is written to a stream (no-color.org, force-color.org)."""
    if os.environ.get("NO_COLOR"):
        return False
    if forced := os.environ.get("FORCE_COLOR"):
        return forced != "0"
    return is_terminal(stream)


def is_terminal(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal that understands escape sequences."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def paint(text: str, style: Style, stream: TextIO | None = None) -> str:
    """Return text in a style, if the stream (stdout by default) is colored."""
    return f"\x1b[{style}m{text}\x1b[0m" if text and is_colored(stream or sys.stdout) else text


def state(text: str) -> str:
    """Return the name of a state in its color."""
    words = text.split()
    style = STATES.get(words[0]) if words else None
    return paint(text, style) if style else text


def columns(stream: TextIO) -> int:
    """Return the width of a terminal, in columns; $COLUMNS has precedence, as everywhere."""
    if (given := os.environ.get("COLUMNS", "")).isdecimal() and int(given):
        return int(given)
    return _own_columns(stream) or _FALLBACK


def terminal_columns(stream: TextIO) -> int:
    """Return where a terminal breaks lines, whatever $COLUMNS says: what is drawn must not break.

    One that does not tell its width is as wide as `columns` says.
    """
    return _own_columns(stream) or columns(stream)


def _own_columns(stream: TextIO) -> int:
    """Return the width that a terminal tells; 0 if it tells none."""
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return 0


def width(text: str) -> int:
    """Return how many columns a line takes: colors none, wide characters two."""
    bare = _SGR.sub("", text) if "\x1b" in text else text
    return len(bare) if bare.isascii() else sum(map(_cells, bare))


def fit(text: str, most: int) -> str:
    """Return a line without colors, cut with an ellipsis if it takes more columns."""
    if width(text) <= most:
        return text
    kept, left = [], most - 1
    for character in text:
        left -= _cells(character)
        if left < 0:
            break
        kept.append(character)
    return "".join(kept).rstrip() + _CUT if most > 0 else ""


def pad(text: str, to: int) -> str:
    """Return text with blanks up to a number of columns."""
    return text + " " * max(0, to - width(text))


def _cells(character: str) -> int:
    import unicodedata  # noqa: PLC0415 - start-up time is a budget

    if unicodedata.combining(character) or character in _JOINERS:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
