"""Which values may stand in a file that OpenSSH reads?"""

_UNSAFE = {'"', "\\"}


class SshValueError(ValueError):
    """A value that could be read as something else than itself."""


def word(text: str) -> str:
    """Return `text` if it is one word that needs no quotes.

    Raises:
        SshValueError: it is empty or has space, control or quote characters.
    """
    if not text or any(
        char.isspace() or not char.isprintable() or char in _UNSAFE for char in text
    ):
        raise SshValueError(f"not a plain word: {text!r}")
    if text.startswith(("#", "-", "!")) or any(char in text for char in "*?,"):
        raise SshValueError(f"has a special meaning: {text!r}")
    return text


def quoted(text: str) -> str:
    """Return `text` in double quotes, `%` doubled: a path as ssh_config reads it.

    Raises:
        SshValueError: it has a line break, another control character or a quote.
    """
    if not text or any(not char.isprintable() or char in _UNSAFE for char in text):
        raise SshValueError(f"cannot be quoted: {text!r}")
    return '"' + text.replace("%", "%%") + '"'
