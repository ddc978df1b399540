"""Children: programs that run beside us: we read their lines, hold them, or feed them bytes."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, cast

from companion.system import process, process_tree
from companion.system.talk import PART, Talk

_PULSE = 0.1


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
        env: process.Environment | None = None,
        apart: bool = False,
        waits: bool = False,
    ) -> None:
        self._child: subprocess.Popen[str] = process.begin(
            argv,
            process.environment(env),
            stdin=subprocess.PIPE if waits else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0 if apart else None,
        )

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
        until = time.monotonic() + (process.LAST_LINES if builds_here else 0)
        while self._child.poll() is None and time.monotonic() < until:
            for pid in process_tree.contained(self._child.pid):
                _kill(pid)
            time.sleep(_PULSE)
        self._child.terminate()

    @property
    def code(self) -> int:
        """Its exit code, once the lines have ended."""
        return self._child.wait()


def _kill(pid: int) -> None:
    """Kill a process; only Linux runs containers where we see theirs."""
    if sys.platform == "linux":
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Held:
    """A program that runs until we let it go or end: its standard input stays open that long.

    Raises:
        CompanionError: it could not be started.
    """

    def __init__(self, argv: Sequence[str], env: process.Environment) -> None:
        process.heed_interrupt()
        self._said: list[str] = []
        self._child: subprocess.Popen[str] = process.begin(
            argv,
            process.environment(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        )

    def expect(self, word: str, seconds: float) -> process.Completed | None:
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
        return process.Completed(self._child.wait(), text, text)

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


class Piped:
    """A program whose input and output are bytes that we write and read; see piped().

    Raises:
        CompanionError: it could not be started.
    """

    def __init__(self, argv: Sequence[str], env: process.Environment | None) -> None:
        process.heed_interrupt()
        self._child: subprocess.Popen[bytes] = process.begin(
            argv,
            process.environment(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
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
            code = self._child.wait(process.LAST_LINES)
        except subprocess.TimeoutExpired:
            self._child.kill()
            code = self._child.wait()
        self._errors.ends_within(process.LAST_LINES)
        return code, self._errors.said[0].decode(errors="replace")

    def kill(self) -> None:
        """End it now; its input and output are closed."""
        self._child.kill()
        for stream in (self.stdin, self.stdout):
            with suppress(OSError):
                stream.close()
        self._child.wait()


@contextmanager
def piped(argv: Sequence[str], *, env: process.Environment | None = None) -> Iterator[Piped]:
    """Yield a program that runs while the body does; afterwards it is gone."""
    program = Piped(argv, env)
    try:
        yield program
    finally:
        program.kill()


@contextmanager
def connection(
    argv: Sequence[str], *, env: process.Environment | None = None
) -> Iterator[socket.socket]:
    """Yield a socket to a program's input and output; it runs while the body does.

    Raises:
        CompanionError: it could not be started.
    """
    process.heed_interrupt()
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            child: subprocess.Popen[bytes] = process.begin(
                argv,
                process.environment(env),
                stdin=theirs,
                stdout=theirs,
                stderr=subprocess.DEVNULL,
                process_group=0,
            )
        try:
            yield ours
        finally:
            child.kill()
            child.wait()
