"""Plain text: what sandboxes, builds and engines say, without what a terminal would obey.

Everything that is shown passes here last: on a terminal, in a log, in a notification, in a menu.
"""

import re

_COLOR = r"\x1b\[[0-9;]*m"
# Control characters but tab and line break, C1 controls, what turns the direction of text or breaks
# a line unseen, letters that look like blanks, invisible tags, and bytes that were not UTF-8.
_OBEYED = (
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"
    r"\u115f\u1160\u2800\u3164\uffa0"
    r"\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff"
    r"\U000e0000-\U000e007f]"
)
_PATTERN = re.compile(rf"({_COLOR})|{_OBEYED}")
_NO_COLOR = "\x1b[0m"


def plain(text: str) -> str:
    """Return text for a log, a notification or a menu: no colors, other controls as codes."""
    return _PATTERN.sub(lambda found: "" if found[1] else _code(found[0]), text)


def line(text: str) -> str:
    """Return text for a place that has one line."""
    return plain(text).replace("\n", " ").replace("\t", " ")


def for_terminal(text: str) -> str:
    """Return text for a terminal: no controls but colors, each to the end of its line."""
    shown = _PATTERN.sub(lambda found: found[1] or _code(found[0]), text)
    return "\n".join(
        one + _NO_COLOR if "\x1b" in one and not one.endswith(_NO_COLOR) else one
        for one in shown.split("\n")
    )


def escaped(text: str) -> str:
    """Return text for a place that takes markup; the library html loads thousands of names."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _code(character: str) -> str:
    """Return a character as Python writes it, such as x1b after a backslash."""
    return ascii(character)[1:-1]
