"""Commands: ask a program of the desktop for a secret, as the user's settings say."""

from collections.abc import Sequence
from pathlib import PurePath

from companion.errors import Code, CompanionError, quoted
from companion.system import process
from companion.system.plain import plain

_PATIENCE = 60.0
"""Seconds: a program may have to ask the user for a password or a fingerprint."""
_NOT_FOUND = "install it, or give its absolute path in settings.yaml"
LONGEST = 1 << 14
"""Characters of a value."""


class SecretFailedError(CompanionError):
    """The program did not print a secret."""

    code = Code.SECRET_FAILED


def ask(command: Sequence[str], patience: float = _PATIENCE) -> str:
    """Return the one line that a command prints.

    It runs without a shell and without input, in the user's home, with an environment in which
    nothing leads to programs that an agent could have written.

    Raises:
        SecretFailedError: it failed, took too long, or printed something else. The message has the
            last line of its stderr, and nothing of its output and arguments.
    """
    done = process.run(command, timeout=patience)
    program = PurePath(command[0]).name
    if done.code == process.NOT_STARTED and not done.stdout:
        raise SecretFailedError(done.stderr.strip(), _NOT_FOUND)
    if done.code == process.TIMED_OUT:
        raise SecretFailedError(done.stderr.strip(), f"try `{program}` in a terminal")
    if done.code:
        said = plain((done.stderr.strip().splitlines() or ["no message"])[-1])
        what = f"{program} failed with exit code {done.code}: {quoted(said)}"
        raise SecretFailedError(what, f"try `{program}` in a terminal")
    value = done.stdout.strip("\r\n")
    if problem := value_problem(value):
        raise SecretFailedError(f"what {program} printed {problem}", "correct settings.yaml")
    return value


def value_problem(value: str) -> str:
    """Return why a header cannot hold a value, "" if it can."""
    if not value:
        return "is empty"
    if len(value) > LONGEST:
        return f"has more than {LONGEST} characters"
    if not all(" " <= char <= "~" for char in value):
        return "cannot be sent in a header: it must be one line of printable ASCII"
    return ""
