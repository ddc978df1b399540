"""Checks for values in files that OpenSSH reads, where a newline starts a new directive."""

import re
import unicodedata

_BREAKS = {"Cc", "Zl", "Zp", "Cs"}
"""Unicode categories: control characters, line and paragraph separators, lone surrogates."""
_ALIAS = re.compile(r"[a-z0-9][a-z0-9._-]*")
_WORD = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9._:-]*")
_EXPANDED = re.compile(r"""["%]|\$\{|\\(?=["'\\]|\Z)""")
"""What some version of ssh does not read literally in quotes."""


class SshValueError(ValueError):
    """A value that OpenSSH would not read literally."""


def one_line(what: str, value: str) -> str:
    """Return the value unchanged; `what` names it in the error.

    Raises:
        SshValueError: it has a line break or another control character.
    """
    if any(unicodedata.category(char) in _BREAKS for char in value):
        raise SshValueError(f"{what} has a line break or control character: {value!r}")
    return value


def alias(value: str) -> str:
    """Return a host alias unchanged.

    Raises:
        SshValueError: it has characters other than a-z, 0-9, dot, dash and underscore. Patterns
            (`*?!,`) match other hosts; VS Code lowercases capitals, which ssh treats as another
            host.
    """
    if not _ALIAS.fullmatch(value):
        raise SshValueError(f"a host alias may have a-z, 0-9 and ._- only: {value!r}")
    return value


def word(what: str, value: str) -> str:
    """Return a user or host name or an address unchanged.

    Raises:
        SshValueError: it is empty, starts with a dash, or would need quotes.
    """
    if not _WORD.fullmatch(value):
        raise SshValueError(f"{what} is not one plain word: {value!r}")
    return value


def path(what: str, value: str) -> str:
    r"""Return a path in the double quotes that ssh_config(5) requires around spaces.

    Raises:
        SshValueError: it is empty, breaks the line, or has `"`, `%`, `${`, or a backslash before
            a quote, a backslash or the end: versions of ssh differ in how they read those.
    """
    if not one_line(what, value) or _EXPANDED.search(value):
        raise SshValueError(f'{what} is empty or has " % ${{ or a double backslash: {value!r}')
    return f'"{value}"'


def port(value: int) -> int:
    """Return a TCP port unchanged.

    Raises:
        SshValueError: it is not in 1-65535; ssh would reject the entire file.
    """
    if not 1 <= value <= 65535:  # noqa: PLR2004 - what 16 bits hold
        raise SshValueError(f"not a port: {value}")
    return value
