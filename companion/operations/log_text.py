"""Lines of logs in words, for `companion logs` and `companion top`."""

from datetime import date, datetime

from companion.operations.container_logs import Line
from companion.spec.identity import Role
from companion.traffic.log import parse
from companion.traffic.words import moved, place

_SECOND = 1_000_000_000


def shown(line: Line, wide: int, *, raw: bool = False) -> str:
    """Return a line as shown, its service in so many columns.

    Unless `raw`, what the gateway decided is put into words.
    """
    passage = None if raw or line.role is not Role.GATEWAY else parse(line.text)
    said = f"{place(passage.host, passage.port)} {moved(passage)}" if passage else line.text
    when = datetime.fromtimestamp(line.at / _SECOND).astimezone()
    day = "" if when.date() == _today() else f"{when:%Y-%m-%d} "
    return f"{day}{when:%H:%M:%S} {line.service.ljust(wide)} | {said.rstrip()}"


def _today() -> date:
    return datetime.now().astimezone().date()
