"""Explanations: the sections of the troubleshooting page, for a terminal.

The page is a part of the package, because it has to be there without a network.
"""

import re
import textwrap
from collections.abc import Iterator

from companion.config import decode
from companion.errors import CompanionError
from companion.system import assets, files

_SECTION = re.compile(r"^((?:\([\w-]+\)=\n)+)#+ (.+)\n((?:(?!\(|#).*\n?)*)", re.MULTILINE)
_ANCHOR = re.compile(r"\(([\w-]+)\)=")
_LINK = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")
_WIDTH = 79


def of(name: str) -> str:
    """Return what is known of a check or a problem's code: the message, and what to do.

    Raises:
        CompanionError: there is no such name.
    """
    found = dict(_sections())
    if name not in found:
        what = f"no check or problem is called '{name}'"
        raise CompanionError(what, decode.suggest(name, found))
    heading, text = found[name]
    plain = _LINK.sub(r"\1", text).replace("\\", "")
    paragraphs = (" ".join(part.split()) for part in plain.split("\n\n"))
    return "\n\n".join((heading, *(textwrap.fill(one, _WIDTH) for one in paragraphs if one)))


def _sections() -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the name, the heading and the text of each section."""
    page = files.read_text(assets.troubleshooting()) or ""
    for anchors, heading, text in _SECTION.findall(page):
        yield from ((name, (heading, text)) for name in _ANCHOR.findall(anchors))
