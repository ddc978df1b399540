"""Processes: the only module that starts programs.

Programs get a process group of their own and are left to end when we are interrupted: podman that
is killed half-way leaves port rules behind that lead nowhere, and no later start mends them.
"""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from companion.errors import CompanionError
from companion.system import platforms, search
from companion.system.platforms import Platform
from companion.system.talk import PART, Talk, lines

Environment = Mapping[str, str | None]
"""Variables for a program, on top of our own environment; None removes one."""
NOT_STARTED = 127
TIMED_OUT = 124
_NEW_GROUP, _NO_WINDOW = 0x200, 0x08000000
"""Windows' CREATE_NEW_PROCESS_GROUP and CREATE_NO_WINDOW."""
LAST_LINES = 20.0
"""Seconds that a program that was asked to end gets to do so."""
_interrupted, _builds_end = threading.Event(), threading.Event()


@dataclass(frozen=True, slots=True)
class Completed:
    """What a finished program left: exit code and decoded output."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Alone:
    """All that a program gets: its whole environment and its working directory.

    Its output is taken for UTF-8 with every other byte kept, as in names of files.
    """

    environment: Mapping[str, str]
    directory: Path


def interrupt() -> None:
    """End the work of all threads at their next program, for good: this process is to end.

    From now on, run() and builds.build() raise KeyboardInterrupt instead of starting a program.
    Builds under way are ended; any other program ends by itself.
    """
    _interrupted.set()
    end_builds()


def end_builds() -> None:
    """End all builds, for good: this process is to end. Other programs may finish their step.

    From now on builds.build() raises KeyboardInterrupt.
    """
    _builds_end.set()


def heed_end_of_builds() -> None:
    """Raise KeyboardInterrupt if end_builds() was called."""
    if _builds_end.is_set():
        raise KeyboardInterrupt


def heed_interrupt() -> None:
    """Raise KeyboardInterrupt if interrupt() was called; for threads that wait for something."""
    if _interrupted.is_set():
        raise KeyboardInterrupt


def run(
    argv: Sequence[str],
    *,
    env: Environment | None = None,
    timeout: float = 60.0,
    stdin: str | bytes | None = None,
    merged: bool = False,
    alone: Alone | None = None,
) -> Completed:
    """Run `argv` to its end and return what it said; never raises for its exit code.

    The code is 127 where it could not even be started, for whatever reason, and 124 where its
    output had no end.

    Args:
        argv: the program and its arguments; no shell is involved.
        env: variables set on top of our own environment; None removes one.
        timeout: seconds; afterwards the program is killed and the code is 124.
        stdin: text or bytes for its standard input; without any, the program reads nothing.
        merged: what it says on stderr stands in its stdout, in the order in which it was said.
        alone: it gets nothing of our own environment and directory.

    Raises:
        KeyboardInterrupt: interrupt() was called.
    """
    heed_interrupt()
    try:
        child: subprocess.Popen[bytes] = begin(
            argv,
            alone.environment if alone else environment(env),
            cwd=alone.directory if alone else _directory(),
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
            process_group=0,
        )
    except CompanionError as error:
        return Completed(NOT_STARTED, "", error.problems[0].what)
    talk = Talk((child.stdout, child.stderr), child.kill)
    if child.stdin:
        said = stdin or b""
        talk.say(child.stdin, said.encode() if isinstance(said, str) else said)
    with child:
        try:
            ended = _ends_within(timeout, child, talk)
        except BaseException:
            _ends_within(LAST_LINES, child, talk)
            child.kill()
            raise
        if not ended or talk.is_endless:
            child.kill()
            why = "its output has no end" if ended else f"no answer within {timeout:.0f} s"
            return Completed(TIMED_OUT, "", f"{argv[0]}: {why}")
    errors = "surrogateescape" if alone else "replace"
    out, err = (said.decode(errors=errors).replace("\r\n", "\n") for said in talk.said)
    return Completed(child.returncode, out, err)


def _ends_within(seconds: float, child: "subprocess.Popen[bytes]", talk: Talk) -> bool:
    """Wait for the end of a program and of what it says; tell whether it came in time."""
    until = time.monotonic() + seconds
    if not talk.ends_within(seconds):
        return False
    try:
        child.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


def launch(argv: Sequence[str], text: str = "") -> None:
    """Start a program of the desktop that outlives us, with `text` on its standard input.

    Raises:
        CompanionError: it is not there.
    """
    child: subprocess.Popen[bytes] = begin(
        argv,
        search.environment(ours=False),
        stdin=subprocess.PIPE if text else subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    if child.stdin:
        with suppress(BrokenPipeError), child.stdin:
            child.stdin.write(text.encode())


def become(argv: Sequence[str]) -> NoReturn:
    """Replace this process by a program; its number, terminal and environment stay."""
    os.execv(argv[0], list(argv))  # noqa: S606 - no shell is meant


def ask_to_end(pid: int) -> None:
    """Ask a process of ours to end; one that is gone already needs no asking."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def attach(argv: Sequence[str], *, env: Environment | None = None, unsaid: str = "") -> int:
    """Run `argv` on our own terminal and return its exit code.

    Lines of its standard error that begin with `unsaid`, if given, are left out.
    """
    errors = subprocess.PIPE if unsaid else None
    child: subprocess.Popen[bytes] = begin(argv, environment(env), stderr=errors)
    with child:
        try:
            if child.stderr:
                _pass_on(child.stderr.fileno(), unsaid.encode())
            return child.wait()
        except BaseException:
            child.kill()
            raise


def _pass_on(source: int, unsaid: bytes) -> None:
    """Copy what comes to our standard error at once, except lines that begin with `unsaid`."""
    held, errors = b"", sys.stderr.fileno()
    while part := os.read(source, PART):
        *lines, held = (held + part).split(b"\n")
        shown = b"".join(line + b"\n" for line in lines if not line.startswith(unsaid))
        if not (held.startswith(unsaid) or unsaid.startswith(held)):
            shown, held = shown + held, b""
        _write(errors, shown)
    if not held.startswith(unsaid):
        _write(errors, held)


def _write(target: int, text: bytes) -> None:
    with suppress(OSError):  # whoever read it is gone
        while text:
            text = text[os.write(target, text) :]


def relay(
    argv: Sequence[str],
    on_out: Callable[[str], None],
    on_err: Callable[[str], None],
    *,
    env: Environment | None = None,
) -> int:
    """Run `argv`, pass on each line of its two outputs, and return its exit code."""
    child: subprocess.Popen[str] = begin(
        argv,
        environment(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="surrogateescape",
    )
    with child:
        if child.stdout and child.stderr:
            errors = threading.Thread(target=lines, args=(child.stderr, on_err), daemon=True)
            errors.start()
            try:
                lines(child.stdout, on_out)
            except BrokenPipeError:
                child.kill()
                raise
            errors.join()
    return child.returncode


def begin(
    argv: Sequence[str],
    env: Mapping[str, str],
    **options: Any,  # noqa: ANN401 - they are of as many types as Popen takes
) -> "subprocess.Popen[Any]":
    """Start a program by its absolute path, in the user's home; `options` as Popen takes them.

    Raises:
        CompanionError: it is not there, or the system refuses.
    """
    try:
        flags = creation_flags(platforms.HERE, options)
        where = {"cwd": _directory(), **options}
        return subprocess.Popen(_found(argv), env=env, creationflags=flags, **where)
    except OSError as error:
        what = f"{argv[0]} could not be started: {error.strerror}"
        raise CompanionError(what, "check that it is installed") from None


def creation_flags(platform: Platform, options: Mapping[str, object]) -> int:
    """Return how Windows is to start a program whose options, for other systems, are these.

    Ctrl-C in the terminal is for us alone where the program gets a group or session of its own. A
    tray has no console: each program that we talk to would open one, in a window.
    """
    if platform != "win32":
        return 0
    is_apart = options.get("process_group") == 0 or options.get("start_new_session")
    is_talked_to = options.get("stdout") is not None
    return (_NEW_GROUP if is_apart else 0) | (_NO_WINDOW if is_talked_to else 0)


def environment(extra: Environment | None = None) -> dict[str, str]:
    """Return the variables for a program of ours, with these on top."""
    merged: dict[str, str | None] = {**search.environment(ours=True), **(extra or {})}
    return {name: value for name, value in merged.items() if value is not None}


def _found(argv: Sequence[str]) -> tuple[str, ...]:
    """Return a command line with the absolute path of its program."""
    program = search.find(argv[0])
    if program is None and Path(argv[0]).is_absolute() and Path(argv[0]).exists():
        raise PermissionError(errno.EPERM, "it is not a program, or lies where an agent may write")
    if program is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return (program, *argv[1:])


def _directory() -> str:
    """Return where programs of ours work: not where we were started, which an agent may write."""
    home = Path(os.environ.get(platforms.home_variable(), ""))
    return str(home) if home.is_absolute() and home.is_dir() else os.sep
