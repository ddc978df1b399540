"""Edits of the egress list in an agent.yaml or fleet.yaml, which leave every other byte alone."""

from companion.config import edit_yaml, strict_yaml
from companion.config.strict_yaml import Location


def with_host(text: str, at: Location, host: str, file: str) -> str:
    """Return the text with a host in the list.

    Args:
        text: a valid document.
        at: where its egress rules stand, in the short form `listed` or in full.
        host: a host name, or `*.` and a host name.
        file: the file's name, for messages.

    Raises:
        ConfigError: the text is written in a way that cannot be edited safely.
    """
    return edit_yaml.put(_in_full(text, at), (*at, "allow"), host, file)


def without_host(text: str, at: Location, host: str, file: str) -> str:
    """Return the text without a host in the list; the same if it is not there.

    Raises:
        ConfigError: as for with_host().
    """
    return edit_yaml.remove(text, (*at, "allow"), host, file)


def _in_full(text: str, at: Location) -> str:
    """Return the text with `egress: listed` in its full form, which has room for a list."""
    span = strict_yaml.spans(text).get(at)
    if span is None or span.style != "scalar" or span.key is None:
        return text
    start = text.rfind("\n", 0, span.key[0]) + 1
    end = text.find("\n", span.end)
    rest = text[span.end : end if end >= 0 else len(text)]
    after, line_end = rest.removesuffix("\r"), "\r\n" if "\r\n" in text else "\n"
    key, mode = text[: span.key[1] + 1], text[span.start : span.end]
    indent = " " * (span.key[0] - start + 2)
    return f"{key}{after.rstrip()}{line_end}{indent}mode: {mode}{text[span.end + len(after) :]}"
