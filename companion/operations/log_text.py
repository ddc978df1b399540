"""Lines of logs in words, for `companion logs` and `companion top`."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from itertools import groupby

from companion.operations.container_logs import Line
from companion.spec.identity import Role
from companion.traffic.log import Passage, parse
from companion.traffic.words import moved, place

_SECOND = 1_000_000_000


def shown(line: Line, wide: int, *, raw: bool = False) -> str:
    """Return a line as shown, its service in so many columns.

    Unless `raw`, what the gateway decided is put into words.
    """
    return _composed(line, wide, _said(line, raw=raw))


def all_shown(lines: Iterable[Line], wide: int, *, raw: bool = False) -> Iterator[str]:
    """Yield lines as shown; what the gateway decided alike again and again is one, with a count."""
    for (_, said), run in groupby(lines, key=lambda line: _alike(line, raw=raw)):
        first, *more = run
        if said and more:
            often = f"{len(more) + 1} times until {_when(more[-1])}"
            yield _composed(first, wide, f"{said} ({often})")
        else:
            yield from (shown(line, wide, raw=raw) for line in (first, *more))


def _alike(line: Line, *, raw: bool) -> tuple[str, str]:
    """Return what decides whether lines are alike; nothing is said if they are not to be joined."""
    passage = _passage(line, raw=raw)
    return line.service, _said(line, raw=raw) if passage else ""


def _passage(line: Line, *, raw: bool) -> Passage | None:
    return None if raw or line.role is not Role.GATEWAY else parse(line.text)


def _said(line: Line, *, raw: bool) -> str:
    passage = _passage(line, raw=raw)
    said = f"{place(passage.host, passage.port)} {moved(passage)}" if passage else line.text
    return said.rstrip()


def _composed(line: Line, wide: int, said: str) -> str:
    return f"{_when(line)} {line.service.ljust(wide)} | {said}"


def _when(line: Line) -> str:
    when = datetime.fromtimestamp(line.at / _SECOND).astimezone()
    day = "" if when.date() == _today() else f"{when:%Y-%m-%d} "
    return f"{day}{when:%H:%M:%S}"


def _today() -> date:
    return datetime.now().astimezone().date()
