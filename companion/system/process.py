"""Processes: the only module that starts programs.

Programs get a process group of their own and are left to end when we are interrupted: podman that
is killed half-way leaves port rules behind that lead nowhere, and no later start mends them.
"""

import errno
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from companion.errors import CompanionError
from companion.system import process_tree, search
from companion.system.talk import PART, Talk, lines

Environment = Mapping[str, str | None]
"""Variables for a program, on top of our own environment; None removes one."""
NOT_STARTED = 127
TIMED_OUT = 124
_LAST_LINES = 20.0
_PULSE = 0.1
_CURE = "check that it is installed"
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
    stdin: str | None = None,
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
        stdin: text for its standard input; without it the program reads nothing.
        merged: what it says on stderr stands in its stdout, in the order in which it was said.
        alone: it gets nothing of our own environment and directory.

    Raises:
        KeyboardInterrupt: interrupt() was called.
    """
    heed_interrupt()
    try:
        child = subprocess.Popen(
            _found(argv),
            env=alone.environment if alone else _environment(env),
            cwd=alone.directory if alone else _directory(),
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
            process_group=0,
        )
    except OSError as error:
        return Completed(NOT_STARTED, "", _why_not(argv, error))
    talk = Talk((child.stdout, child.stderr), child.kill)
    if child.stdin:
        talk.say(child.stdin, (stdin or "").encode())
    with child:
        try:
            ended = _ends_within(timeout, child, talk)
        except BaseException:
            _ends_within(_LAST_LINES, child, talk)
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


class Lines:
    """The lines that a program says (stderr included), as they come, until it ends or is killed.

    With `apart` it is in a process group of its own: an interrupt in the terminal is for us alone.
    With `waits` its standard input stays open until we kill it or end, however we end.

    Raises:
        CompanionError: it could not be started.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Environment | None = None,
        apart: bool = False,
        waits: bool = False,
    ) -> None:
        try:
            self._child = subprocess.Popen(
                _found(argv),
                env=_environment(env),
                cwd=_directory(),
                stdin=subprocess.PIPE if waits else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                process_group=0 if apart else None,
            )
        except OSError as error:
            raise CompanionError(_why_not(argv, error), _CURE) from None

    def __iter__(self) -> Iterator[str]:
        with self._child as child:
            while child.stdout and (line := child.stdout.readline(PART)):
                yield line.rstrip("\n")

    def kill(self) -> None:
        """End the program; the lines end, too."""
        self._child.kill()

    def end(self, *, builds_here: bool) -> None:
        """End a build without leaving anything of it behind.

        An engine that builds in this very process removes its pieces only if what it runs in a
        container fails: that is killed, now or when it comes. Any other is asked to end.
        """
        until = time.monotonic() + (_LAST_LINES if builds_here else 0)
        while self._child.poll() is None and time.monotonic() < until:
            for pid in process_tree.contained(self._child.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_PULSE)
        self._child.terminate()

    @property
    def code(self) -> int:
        """Its exit code, once the lines have ended."""
        return self._child.wait()


class Held:
    """A program that runs until we let it go or end: its standard input stays open that long.

    Raises:
        CompanionError: it could not be started.
    """

    def __init__(self, argv: Sequence[str], env: Environment) -> None:
        heed_interrupt()
        self._said: list[str] = []
        try:
            self._child = subprocess.Popen(
                _found(argv),
                env=_environment(env),
                cwd=_directory(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                process_group=0,
            )
        except OSError as error:
            raise CompanionError(_why_not(argv, error), _CURE) from None

    def expect(self, word: str, seconds: float) -> Completed | None:
        """Wait until it says a line; return what it said instead, if it ended or took too long."""
        late = threading.Timer(seconds, self._child.kill)
        late.start()
        try:
            for line in self._child.stdout or ():
                if line.strip() == word:
                    return None
                self._said.append(line)
        finally:
            late.cancel()
        text = "".join(self._said)
        return Completed(self._child.wait(), text, text)

    def release(self, seconds: float) -> None:
        """Close its standard input, and wait for its end; kill it if that takes too long."""
        with self._child as child:
            if child.stdin:
                with suppress(BrokenPipeError):
                    child.stdin.close()
            try:
                child.wait(seconds)
            except subprocess.TimeoutExpired:
                child.kill()


def launch(argv: Sequence[str], text: str = "") -> None:
    """Start a program of the desktop that outlives us, with `text` on its standard input.

    Raises:
        CompanionError: it is not there.
    """
    try:
        child = subprocess.Popen(
            _found(argv),
            env=search.environment(ours=False),
            cwd=_directory(),
            stdin=subprocess.PIPE if text else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise CompanionError(_why_not(argv, error), _CURE) from None
    if child.stdin:
        with suppress(BrokenPipeError), child.stdin:
            child.stdin.write(text.encode())


class Piped:
    """A program whose input and output are bytes that we write and read; see piped().

    Raises:
        CompanionError: it could not be started.
    """

    def __init__(self, argv: Sequence[str], env: Environment | None) -> None:
        heed_interrupt()
        try:
            self._child = subprocess.Popen(
                _found(argv),
                env=_environment(env),
                cwd=_directory(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=0,
            )
        except OSError as error:
            raise CompanionError(_why_not(argv, error), _CURE) from None
        self._errors = Talk((self._child.stderr,), self._child.kill)

    @property
    def stdin(self) -> IO[bytes]:
        """What is written here is its standard input."""
        return cast("IO[bytes]", self._child.stdin)

    @property
    def stdout(self) -> IO[bytes]:
        """What it says on its standard output."""
        return cast("IO[bytes]", self._child.stdout)

    def ends(self) -> tuple[int, str]:
        """Close its input and output and wait for its end; return its exit code and its errors."""
        for stream in (self.stdin, self.stdout):
            with suppress(OSError):
                stream.close()
        try:
            code = self._child.wait(_LAST_LINES)
        except subprocess.TimeoutExpired:
            self._child.kill()
            code = self._child.wait()
        self._errors.ends_within(_LAST_LINES)
        return code, self._errors.said[0].decode(errors="replace")

    def kill(self) -> None:
        """End it now; its input and output are closed."""
        self._child.kill()
        for stream in (self.stdin, self.stdout):
            with suppress(OSError):
                stream.close()
        self._child.wait()


@contextmanager
def piped(argv: Sequence[str], *, env: Environment | None = None) -> Iterator[Piped]:
    """Yield a program that runs while the body does; afterwards it is gone."""
    program = Piped(argv, env)
    try:
        yield program
    finally:
        program.kill()


def ask_to_end(pid: int) -> None:
    """Ask a process of ours to end; one that is gone already needs no asking."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def attach(argv: Sequence[str], *, env: Environment | None = None) -> int:
    """Run `argv` on our own terminal and return its exit code."""
    try:
        return subprocess.call(_found(argv), env=_environment(env), cwd=_directory())
    except OSError as error:
        raise CompanionError(_why_not(argv, error), _CURE) from None


def relay(
    argv: Sequence[str],
    on_out: Callable[[str], None],
    on_err: Callable[[str], None],
    *,
    env: Environment | None = None,
) -> int:
    """Run `argv`, pass on each line of its two outputs, and return its exit code."""
    try:
        child = subprocess.Popen(
            _found(argv),
            env=_environment(env),
            cwd=_directory(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
        )
    except OSError as error:
        raise CompanionError(_why_not(argv, error), _CURE) from None
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


def _why_not(argv: Sequence[str], error: OSError) -> str:
    return f"{argv[0]} could not be started: {error.strerror}"


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
    home = Path(os.environ.get("HOME", ""))
    return str(home) if home.is_absolute() and home.is_dir() else os.sep


def _environment(extra: Environment | None) -> dict[str, str]:
    merged: dict[str, str | None] = {**search.environment(ours=True), **(extra or {})}
    return {name: value for name, value in merged.items() if value is not None}
