"""Quoting of texts in HAProxy's configuration."""


def quote(text: str) -> str:
    """Return `text` as the literal part of a double-quoted log-format string.

    Raises:
        ValueError: it has a control character.
    """
    return literal(text).replace("%", "%%")


def literal(text: str) -> str:
    """Return `text` escaped for use between double quotes.

    Raises:
        ValueError: it has a control character.
    """
    if any(ord(char) < ord(" ") for char in text):
        raise ValueError("a control character in a HAProxy string")
    for char in ("\\", '"', "$"):
        text = text.replace(char, "\\" + char)
    return text
