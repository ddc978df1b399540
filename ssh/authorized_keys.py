"""Parse and merge authorized_keys texts."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ssh.public_key import Key
from ssh.public_key import parse as parse_key
from ssh.values import SshValueError

__all__ = ["Key", "Parsed", "Problem", "merge", "parse"]

_PRIVATE = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY|PuTTY-User-Key-File-")


@dataclass(frozen=True, slots=True)
class Problem:
    """A line (counted from 1) that is not a plain public key; the message never repeats it."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """All keys of a text, in order, and all problems."""

    keys: tuple[Key, ...]
    problems: tuple[Problem, ...]


def parse(text: str) -> Parsed:
    """Parse a text in sshd(8)'s AUTHORIZED_KEYS FORMAT, without options.

    Never raises. A text that contains a private key yields no keys and only that problem, because
    every other line may be part of the secret.
    """
    keys: list[Key] = []
    problems: list[Problem] = []
    # Not splitlines(): it also splits at characters that sshd does not treat as line breaks.
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        line = raw.strip()
        if _PRIVATE.match(line):
            message = "this is a PRIVATE key: give its .pub file, and keep this one to yourself"
            return Parsed((), (Problem(number, message),))
        if not line or line.startswith("#"):
            continue
        try:
            keys.append(parse_key(line))
        except SshValueError as error:
            problems.append(Problem(number, str(error)))
    return Parsed(tuple(keys), tuple(problems))


def merge(*groups: Iterable[Key]) -> str:
    """Return the union as a text, in order of first appearance; a key keeps its first comment."""
    union: dict[str, Key] = {}
    for group in groups:
        for key in group:
            union.setdefault(key.blob, key)
    return "".join(f"{key.line}\n" for key in union.values())
