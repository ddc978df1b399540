"""Which host key does each of our aliases have? Our own file, written whole."""

from collections.abc import Mapping

from ssh.values import word


def render(pins: Mapping[str, str]) -> str:
    """Return the file for alias → public host key (`type base64`, a comment is dropped)."""
    return "".join(
        f"{word(alias)} {' '.join(map(word, key.split()[:2]))}\n"
        for alias, key in sorted(pins.items())
    )


def parse(text: str) -> dict[str, str]:
    """Return alias → public host key from a file that render() wrote."""
    lines = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return {alias: f"{kind} {blob}" for alias, kind, blob in lines}
