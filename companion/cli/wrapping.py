"""Wrapping: sentences broken between words, so that no terminal breaks them within one.

What is to be copied stays whole: a word, a path, and a command in backquotes. A terminal wraps
those by itself, and knows that they are one line.
"""

import re

from companion.cli import style

_WORD = re.compile(r"[^\s`]*(?:`[^`]*`[^\s`]*)+|\S+")
"""A word, or a command in backquotes with what adheres to it."""
_WHOLE = re.compile(r"\S {2,}\S|^ +companion ")
"""Columns, which a line break would destroy, and a command on a line of its own."""


def wrapped(text: str, columns: int, hang: int = 0) -> str:
    """Return text in lines of at most so many columns, as far as its words allow.

    Args:
        text: lines; each keeps its own indentation.
        columns: the width of the terminal.
        hang: by how many columns more the rest of a line is indented.
    """
    return "\n".join(
        _line(line, columns, hang)
        if style.width(line) > columns and not _WHOLE.search(line)
        else line
        for line in text.split("\n")
    )


def _line(line: str, columns: int, hang: int) -> str:
    first = line[: len(line) - len(line.lstrip(" "))]
    rest = first + " " * hang
    lines: list[str] = []
    now, used = first, len(first)
    for word in _WORD.findall(line):
        width = style.width(word)
        is_empty = now in {first, rest}
        if not is_empty and used + 1 + width > columns:
            lines.append(now)
            now, used, is_empty = rest, len(rest), True
        now += word if is_empty else f" {word}"
        used += width if is_empty else 1 + width
    return "\n".join([*lines, now])
