"""The entry point: a command line becomes an exit code, and every error is caught here."""

import gc
import os
import signal
import sys
import threading
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import FrameType
from typing import NoReturn

from companion import __version__
from companion.cli import output, parser
from companion.cli.catalogue import HELP, JSON, VERSION
from companion.cli.output import BUG, EXPECTED, INTERRUPTED, UNREAD, USAGE, Result
from companion.cli.parser import Line
from companion.errors import Code, CompanionError, UsageError

_NOWHERE = output.failure(
    CompanionError("the current directory was removed", "change to another one"), EXPECTED
)


def entry() -> NoReturn:
    """Run the command line of this process."""
    signal.signal(signal.SIGTERM, _interrupt)
    output.never_lacks_streams()
    output.never_fails_to_encode()
    if "_ARGCOMPLETE" in os.environ:
        from companion.cli.commands import completion  # noqa: PLC0415 - start-up time is a budget

        completion.answer()
    _end(main(sys.argv[1:]))


def _end(code: int) -> NoReturn:
    """End the process, which has said all that it has to say.

    A thread that is left may be inside a compiled module or hold the lock of an output: to take the
    interpreter down around it aborts the process (signal 6 or 11). It ends with the process.
    """
    if threading.active_count() > 1:
        os._exit(code)
    sys.exit(code)


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit code (see docs/commands.md, "Exit codes")."""
    try:
        return _main(argv)
    except BrokenPipeError:
        output.hang_up()
        return UNREAD


def _main(argv: Sequence[str]) -> int:
    line = parser.split(argv)
    name = line.command.name if line.command else ""
    as_json = line.has(JSON)
    try:
        return output.render(_run(line), name, as_json=as_json)
    except UsageError as error:
        return output.render(output.failure(error, USAGE), name, as_json=as_json)
    except CompanionError as error:
        return output.render(output.failure(error, EXPECTED), name, as_json=as_json)
    except KeyboardInterrupt:
        more = "; run `companion up` to continue" if name in {"up", "restart"} else ""
        output.comment(f"interrupted{more}")
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - our own bugs end here, as a report
        is_lost = isinstance(error, FileNotFoundError) and _is_nowhere()
        return output.render(_NOWHERE if is_lost else _bug(argv), name, as_json=as_json)


def _run(line: Line) -> Result:
    if line.has(HELP) and (line.name is None or line.command):
        text = parser.help_of(line.command)
        return Result(text=text, data={"help": text})
    if line.name is None and line.has(VERSION):
        return Result(text=f"companion {__version__}", data={"version": __version__})
    if not line.name and not line.before:
        return Result(text=parser.start(), code=USAGE)
    arguments = parser.parse(line)
    _beware_of_agents()
    with _new_places():
        result: Result = _loaded(arguments)(arguments)
    return result


def _new_places() -> AbstractContextManager[None]:
    """Have `uninstall` remove the directories around ours that the first commands make."""
    from companion.system.paths import Paths  # noqa: PLC0415 - start-up time is a budget

    try:
        home = Paths.of_user()
    except CompanionError:  # commands that need it say so
        return nullcontext()
    if home.data.exists() and home.state.exists():
        return nullcontext()
    from companion.desktop import made_directories  # noqa: PLC0415 - needed once

    return made_directories.noting(home)


def _beware_of_agents() -> None:
    """Have no program started from where an agent may write."""
    from companion.system import search  # noqa: PLC0415 - start-up time is a budget

    search.never_where(_writable)


def _writable() -> tuple[str, ...]:
    """Return where agents may write, for when the first program is started."""
    from companion.project import store  # noqa: PLC0415 - start-up time is a budget
    from companion.system.paths import Paths  # noqa: PLC0415

    return store.writable(Paths.of_user())


def _loaded(arguments: Namespace) -> Callable[[Namespace], Result]:
    """Return the handler of a command.

    Nothing that is loaded is garbage; to look for it takes a tenth of the time of a short command.
    """
    gc.disable()
    try:
        handler: Callable[[Namespace], Result] = arguments.load()
    finally:
        gc.freeze()
        gc.enable()
    return handler


def _is_nowhere() -> bool:
    """Tell whether the current directory was removed, so that no relative path means anything."""
    try:
        os.getcwd()  # noqa: PTH109 - start-up time is a budget
    except FileNotFoundError:
        return True
    return False


def _bug(argv: Sequence[str]) -> Result:
    """Write down what happened and where to find it."""
    import traceback  # noqa: PLC0415 - start-up time is a budget

    from companion.system import files  # noqa: PLC0415
    from companion.system.paths import Paths  # noqa: PLC0415
    from companion.system.plain import plain  # noqa: PLC0415

    trace = traceback.format_exc()
    text = f"companion {__version__}, python {sys.version}, {sys.platform}\n{list(argv)}\n\n{trace}"
    what = f"this is a bug in companion: {trace.strip().splitlines()[-1]}"
    try:
        path = Paths.of_user().reports / "last.txt"
        files.write(path, plain(text))
    except CompanionError as error:
        return output.failure(CompanionError(f"{what}\n{trace}", str(error), code=Code.BUG), BUG)
    return output.failure(CompanionError(what, f"please report {path}", code=Code.BUG), BUG)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
