"""Edits of a program's version in an agent.yaml, which leave every other byte alone."""

from companion.config import strict_yaml
from companion.config.strict_yaml import Location, Plain
from companion.errors import ConfigError, Problem

_VERSION = "version"


def with_version(text: str, at: Location, version: str, file: str) -> str:
    """Return the text with another version of a runtime or a feature.

    Args:
        text: a valid document.
        at: where the runtime stands, as a name or a mapping, or the feature.
        version: the new version.
        file: the file's name, for messages.

    Raises:
        ConfigError: the text is written in a way that cannot be edited safely.
    """
    spans = strict_yaml.spans(text)
    span, given = spans[at], spans.get((*at, _VERSION))
    written = strict_yaml.dump_inline(version)
    if given:
        new = text[: given.start] + written + text[given.end :]
    elif span.style == "scalar":
        name = text[span.start : span.end]
        new = f"{text[: span.start]}{{name: {name}, version: {written}}}{text[span.end :]}"
    else:
        first = next(spans[where] for where in spans if where[:-1] == at)
        between = ", " if span.style == "flow" else _next_line(text, (first.key or (0, 0))[0])
        new = f"{text[: first.end]}{between}version: {written}{text[first.end :]}"
    _require(new, text, at, version, file)
    return new


def _next_line(text: str, key: int) -> str:
    """Return a line end, and the indentation of a key."""
    column = key - text.rfind("\n", 0, key) - 1
    return ("\r\n" if "\r\n" in text else "\n") + " " * column


def _require(new: str, old: str, at: Location, version: str, file: str) -> None:
    """Check that the edited text has the version, and is otherwise what it was."""
    try:
        after = strict_yaml.parse(new, file).data
    except ConfigError:
        after = None
    if after != _with(strict_yaml.parse(old, file).data, at, version):
        what = f"{file} is written in a way that Companion cannot edit safely"
        hint = f"write the version yourself: {version}"
        raise ConfigError([Problem(what, hint)])


def _with(data: Plain, at: Location, version: str) -> Plain:
    """Return data with the version at a place."""
    if not at:
        return {**(data if isinstance(data, dict) else {"name": data}), _VERSION: version}
    head, *rest = at
    if isinstance(data, tuple):
        return tuple(
            _with(item, tuple(rest), version) if number == head else item
            for number, item in enumerate(data)
        )
    if isinstance(data, dict):
        return {
            key: _with(value, tuple(rest), version) if key == head else value
            for key, value in data.items()
        }
    return data
