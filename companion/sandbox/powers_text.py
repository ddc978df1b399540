"""Powers in words: the lines that a user reads before agreeing. Pure; nothing is ever cut."""

import textwrap
import unicodedata
from collections.abc import Collection, Iterable, Iterator

from companion.config.values import is_hidden
from companion.sandbox.powers import PACKAGE, Kind, Power

WIDTH = 80
_SECTIONS = (
    ("files", {Kind.FOREIGN_WRITE, Kind.FOREIGN_READ, Kind.PROJECT_WRITE, Kind.PROJECT_READ}),
    ("network", {Kind.NO_GATEWAY, Kind.OPEN_EGRESS, Kind.WILDCARD, Kind.HOST, Kind.SERVICE,
                 Kind.ENGINE_NETWORK}),
    ("secrets", {Kind.SECRET, Kind.LOGIN}),
    ("ports", {Kind.PUBLIC_PORT, Kind.PORT, Kind.KEYS, Kind.HOST_KEY}),
    ("image", {Kind.IMAGE, Kind.BUILD_NETWORK, Kind.PACKAGE, Kind.VERSION, Kind.BUILD,
               Kind.HOME}),
    ("root", {Kind.ROOT_HOOK, Kind.CAPABILITY}),
    ("start", {Kind.HOOK, Kind.COMMAND, Kind.VARIABLE, Kind.COMMITTER, Kind.EDITOR,
               Kind.CHAT}),
    ("limits", {Kind.LIMITS}),
    ("engine", {Kind.PLACE, Kind.ENGINE}),
)  # fmt: skip
_HOSTS = {Kind.HOST, Kind.WILDCARD}
_MARK = "!"
_ITEM = "  "
_SECOND_COLUMN = "\0"
"""Follows a wide character while lines are broken; no text has it."""
_BUILD = "runs these commands as root while it is built:"
_NOTHING = "nothing: it stays in a closed sandbox"


def lines(
    powers: Iterable[Power], marked: Collection[Power] = (), located: Collection[Power] = ()
) -> tuple[str, ...]:
    """Return powers by subject, each sentence whole, wrapped to 80 columns.

    Args:
        powers: what a configuration opens.
        marked: those that come first in their section, with an exclamation mark.
        located: those whose sentences end with the lines that ask for them, as `[agent.yaml:7]`.
    """
    every = tuple(powers)
    if not every:
        return (f"  {_NOTHING}",)
    ordered = sorted(every, key=lambda power: power not in marked)
    sections = (_section(title, kinds, ordered, marked, located) for title, kinds in _SECTIONS)
    return tuple(line for section in sections for line in section)


def sentence(power: Power) -> str:
    """Return one power as a sentence that stands alone, without its subject."""
    if power.kind is Kind.BUILD:
        return f"runs as root while its image is built: {power.text}"
    return power.text


def _section(
    title: str,
    kinds: Collection[Kind],
    every: Iterable[Power],
    marked: Collection[Power],
    located: Collection[Power],
) -> Iterator[str]:
    mine = [power for power in every if power.kind in kinds]
    sentences = [*_sentences((power for power in mine if power in marked), located)]
    marks = [_MARK] * len(sentences)
    sentences += _sentences((power for power in mine if power not in marked), located)
    for number, text in enumerate(sentences):
        mark = marks[number] if number < len(marks) else " "
        yield from _wrapped(title if number == 0 else "", text, mark)


def _sentences(powers: Iterable[Power], located: Collection[Power]) -> Iterator[str]:
    """Yield the sentences of powers; hosts and packages are joined, build commands a list."""
    every = tuple(powers)
    if hosts := [power for power in every if power.kind in _HOSTS]:
        yield _joined("reaches ", hosts, located)
    alone = (p for p in every if p.kind not in {*_HOSTS, Kind.PACKAGE, Kind.BUILD})
    yield from (_joined("", [power], located) for power in alone)
    if packages := [power for power in every if power.kind is Kind.PACKAGE]:
        yield _joined(PACKAGE, packages, located)
    if built := [power for power in every if power.kind is Kind.BUILD]:
        yield _BUILD
        yield from (_ITEM + _joined("", [power], located) for power in built)


def _joined(begin: str, powers: Collection[Power], located: Collection[Power]) -> str:
    """Return powers that begin alike as one sentence, with the lines that ask for them."""
    named = ", ".join(power.text.removeprefix(begin) for power in powers)
    asking = [power.place for power in powers if power in located and power.place]
    lines = {file: [p.line for p in asking if p.file == file] for file in {p.file for p in asking}}
    spans = (_span(file, min(found), max(found)) for file, found in sorted(lines.items()))
    where = f" [{', '.join(spans)}]" if lines else ""
    return f"{begin}{named}{where}"


def _span(file: str, first: int, last: int) -> str:
    return f"{file}:{first}" if first == last else f"{file}:{first}-{last}"


def _wrapped(title: str, text: str, mark: str) -> list[str]:
    """Return a sentence in lines: nothing is cut, and nothing gets left of its own column."""
    inner = _ITEM if text.startswith(_ITEM) else ""
    first = f"{mark} {title:<8}{inner}"
    wrapped = textwrap.wrap(
        "".join(map(_cells, text)).strip(" "),
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_on_hyphens=False,
    )
    return [line.replace(_SECOND_COLUMN, "") for line in wrapped]


def _cells(char: str) -> str:
    """Return a character as long as it is wide in a terminal; a hidden one as its code."""
    if is_hidden(char) and char != " ":
        return ascii(char)[1:-1]
    is_wide = unicodedata.east_asian_width(char) in {"W", "F"}
    return char + _SECOND_COLUMN if is_wide else char
