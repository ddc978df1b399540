"""Which keys does a text give, and what is wrong with the rest of it?"""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ssh.keys import fingerprint

_TYPES = re.compile(
    r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)"
    r"|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)\Z"
)


@dataclass(frozen=True, slots=True)
class Key:
    """One public key; equal blobs are the same key, whatever the comment."""

    type: str
    blob: str
    comment: str

    @property
    def line(self) -> str:
        """The key as a line of authorized_keys."""
        return f"{self.type} {self.blob} {self.comment}".strip()

    @property
    def fingerprint(self) -> str:
        """`SHA256:…`, as `ssh-keygen -l` prints it."""
        return fingerprint(self.line)


@dataclass(frozen=True, slots=True)
class Problem:
    """A line (from 1) that is no plain key; the message never repeats it."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """All keys of a text, and all problems."""

    keys: tuple[Key, ...]
    problems: tuple[Problem, ...]


def parse(text: str) -> Parsed:
    """Read an authorized_keys text; comments and blank lines mean nothing."""
    keys: list[Key] = []
    problems: list[Problem] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if "PRIVATE KEY" in line:
            message = "this is a private key: give the .pub file instead, and keep this one secret"
            return Parsed((), (Problem(number, message),))
        if not line or line.startswith("#"):
            continue
        result = _parse_line(line)
        if isinstance(result, Key):
            keys.append(result)
        else:
            problems.append(Problem(number, result))
    return Parsed(tuple(keys), tuple(problems))


def merge(*groups: Iterable[Key]) -> str:
    """Return the union of keys as a text, in order; of equal keys the first comment stays."""
    union: dict[str, Key] = {}
    for group in groups:
        for key in group:
            union.setdefault(key.blob, key)
    return "".join(f"{key.line}\n" for key in union.values())


def _parse_line(line: str) -> Key | str:
    kind, _, rest = line.partition(" ")
    blob, _, comment = rest.strip().partition(" ")
    if not _TYPES.match(kind):
        return "not a plain public key (options before the key are not supported)"
    try:
        data = base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError):
        return f"the {kind} key is damaged: it is not base64"
    if data[4 : 4 + len(kind)] != kind.encode() or data[:4] != len(kind).to_bytes(4, "big"):
        return f"the {kind} key is damaged: its content says something else"
    printable = "".join(char for char in comment if char.isprintable())
    return Key(kind, blob, printable.strip())
