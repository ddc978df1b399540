"""The command `cp`: copies files and directories into a sandbox, or out of it."""

import re
import time
from argparse import Namespace
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from companion.cli import live
from companion.cli.output import Result, plural
from companion.cli.targets import agent_of
from companion.engine.detection import detect
from companion.engine.driver import driver
from companion.errors import CompanionError, Problem, UsageError, named
from companion.operations import copying, started
from companion.operations.copying import CopiedOut, Inside
from companion.operations.disarming import ENDING
from companion.system import programs
from companion.system.paths import Paths

_INSIDE = re.compile(r"(?P<agent>[a-z0-9-]*):(?P<path>.*)", re.DOTALL)
_SHOWN = 5
_SIDES = 2


class _Place(NamedTuple):
    """A path in a sandbox; without an agent, in the only one."""

    agent: str
    path: str


def copy(arguments: Namespace) -> Result:
    """Copy into a sandbox or out of it; its path is printed."""
    if arguments.clipboard:
        return _paste(arguments)
    if len(arguments.places) != _SIDES:
        raise UsageError("two paths are needed", "`companion cp SRC AGENT:PATH`, or the reverse")
    source, target = arguments.places
    origin, destination = _place(source), _place(target)
    if origin and destination:
        raise UsageError("both paths are in sandboxes", "copy to the desktop first")
    if destination:
        home, inside = _inside(arguments, destination)
        path = copying.into(home, source, inside)
        return Result(text=path, data={"path": path}, is_verbatim=True)
    if not origin:
        hint = "write `AGENT:PATH`, or `:PATH` if there is one agent"
        raise UsageError("neither path is in a sandbox", hint)
    home, inside = _inside(arguments, origin)
    done = copying.out_of(home, inside, target)
    data = {
        "path": str(done.place),
        "files": done.written.files,
        "left_out": done.written.left_out,
        "disabled": list(done.disarmed.renamed),
    }
    problems = (*_left_out(done.written.left_out), *_disabled(done))
    return Result(text=str(done.place), data=data, problems=problems, is_verbatim=True)


def _paste(arguments: Namespace) -> Result:
    """Copy the clipboard's image in."""
    word = arguments.places[0] if arguments.places else ""
    if len(arguments.places) > 1:
        raise UsageError(f"unexpected argument {named(arguments.places[1])}", "name an agent only")
    image = programs.clipboard_image()
    if not image:
        what = "the clipboard holds no image that a program here can read"
        raise CompanionError(what, "copy an image; on Linux, wl-paste or xclip reads it")
    _, inside = _inside(arguments, _place(word) or _Place(word, ""))
    if not inside.path:
        inside = Inside(inside.engine, inside.record, "/tmp")  # noqa: S108 - inside
    path = copying.put(image, f"clipboard-{time.strftime('%Y%m%d-%H%M%S')}.png", inside)
    return Result(text=path, data={"path": path}, is_verbatim=True)


def _inside(arguments: Namespace, place: _Place) -> tuple[Paths, Inside]:
    """Return a path in a sandbox, which is started if it is stopped."""
    arguments.agent = place.agent
    home, project, agent = agent_of(arguments)
    with live.of_one(agent) as progress:
        record = started.ensure(home, project, agent, progress, enough=started.INSIDE)
    return home, Inside(driver(detect(None, record.engine), project.id, agent), record, place.path)


def _place(text: str) -> _Place | None:
    match = _INSIDE.fullmatch(text)
    return _Place(match["agent"], match["path"]) if match else None


def _left_out(names: list[str]) -> tuple[Problem, ...]:
    if not names:
        return ()
    shown = ", ".join(map(repr, names[:_SHOWN])) + (", …" if len(names) > _SHOWN else "")
    what = f"left out {plural(len(names), 'name')}: {shown}"
    hint = "files, directories and links within the copy come out, and no `.git` into what is there"
    return (Problem(what, hint),)


def _disabled(done: CopiedOut) -> Iterator[Problem]:
    """Yield what git will not obey in a copy, and why."""
    for name, why in islice(done.disarmed.renamed.items(), _SHOWN):
        what = f"{done.place / name} is renamed to {Path(name).name}{ENDING}: {why}"
        yield Problem(what, "read it before you rename it back")
    if (more := len(done.disarmed.renamed) - _SHOWN) > 0:
        yield Problem(f"so renamed in {done.place}, too: {plural(more, 'further file')}", "")
