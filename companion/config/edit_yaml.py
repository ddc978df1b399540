"""Edits of a YAML text that leave every other byte alone: an item put into a list, or removed.

The text is spliced where the parser says that values stand. A library that loads and dumps would
write indentation, quotes and line ends its own way.
"""

from collections.abc import Mapping

from companion.config import strict_yaml
from companion.config.strict_yaml import Location, Plain, Span
from companion.errors import ConfigError, Problem


def put(text: str, path: Location, item: Plain, file: str) -> str:
    """Append an item to a list, which is created if its key is missing.

    Args:
        text: a valid document.
        path: where the list stands; what it stands in exists.
        item: what to append; an item that is there already is not appended again.
        file: the file's name, for messages.

    Raises:
        ConfigError: the document is invalid, or is written in a way that cannot be edited safely.
    """
    data = strict_yaml.parse(text, file).data
    items = _items(data, path, file)
    if items is not None and item in items:
        return text
    spans = strict_yaml.spans(text)
    new = _created(text, spans, path, item) if items is None else _put(text, spans, path, item)
    _require(new, data, path, (*(items or ()), item), file)
    return new


def remove(text: str, path: Location, item: Plain, file: str) -> str:
    """Remove an item from a list; the inverse of `put`.

    A list in block style that has no other item is removed with its key, unless its key is the
    only one there.

    Raises:
        ConfigError: as for `put`.
    """
    data = strict_yaml.parse(text, file).data
    items = _items(data, path, file) or ()
    if item not in items:
        return text
    spans = strict_yaml.spans(text)
    index = items.index(item)
    if spans[path].style == "flow":
        new = _without_flow(text, spans, path, index)
    elif len(items) > 1:
        new = _without_lines(text, spans[(*path, index)])
    elif len(_at(data, path[:-1])) > 1:
        new = _without_lines(text, spans[path], spans[path].key)
    else:
        new = _emptied(text, spans[path])
    _require(new, data, path, items[:index] + items[index + 1 :], file)
    return new


def as_lines(item: Plain, indent: int = 0) -> str:
    """Return an item of a list in block style, as `put` writes it, without a line end."""
    lines = strict_yaml.dump([item]).rstrip("\n").split("\n")
    return "\n".join(" " * indent + line for line in lines)


def _put(text: str, spans: Mapping[Location, Span], path: Location, item: Plain) -> str:
    items = [spans[where] for where in spans if where[:-1] == path]
    if spans[path].style == "block":
        column = spans[path].start - _line_start(text, spans[path].start)
        return _after_line(text, items[-1].end, as_lines(item, column))
    written = strict_yaml.dump_inline(item)
    if not items:
        return _spliced(text, spans[path].start + 1, written)
    return _spliced(text, items[-1].end, f", {written}")


def _created(text: str, spans: Mapping[Location, Span], path: Location, item: Plain) -> str:
    around = spans[path[:-1]]
    if around.style != "block":
        end = _inner_end(text, around)
        entry = f"{path[-1]}: {strict_yaml.dump_inline([item])}"
        return _spliced(text, end, entry if text[end - 1] in "{," else f", {entry}")
    column = around.start - _line_start(text, around.start)
    lines = f"{' ' * column}{path[-1]}:\n{as_lines(item, column + 2)}"
    return _after_line(text, around.end, lines)


def _without_flow(text: str, spans: Mapping[Location, Span], path: Location, index: int) -> str:
    this = spans[(*path, index)]
    before, after = spans.get((*path, index - 1)), spans.get((*path, index + 1))
    if before:
        return text[: before.end] + text[this.end :]
    return text[: this.start] + text[after.start if after else this.end :]


def _without_lines(text: str, span: Span, key: tuple[int, int] | None = None) -> str:
    """Return the text without the lines of an item, or of a key and its value."""
    start = _line_start(text, key[0] if key else text.rfind("-", 0, span.start))
    end = _line_end(text, span.end)
    if start == 0:
        return text[end:].removeprefix("\r").removeprefix("\n")
    return text[: _line_end(text, start)] + text[end:]


def _emptied(text: str, span: Span) -> str:
    """Return the text with `[]` in place of a list in block style."""
    after_key = (span.key or (0, 0))[1] + 1
    first = _line_start(text, span.start)
    return (
        f"{text[:after_key]} []{text[after_key : _line_end(text, first)]}"
        + (text[_line_end(text, span.end) :])
    )


def _after_line(text: str, offset: int, lines: str) -> str:
    """Return the text with lines after the one that a value ends in."""
    ending = "\r\n" if "\r\n" in text else "\n"
    return _spliced(text, _line_end(text, offset), ending + lines.replace("\n", ending))


def _inner_end(text: str, braces: Span) -> int:
    """Return the offset after the last entry within braces."""
    inner = text[braces.start : braces.end - 1]
    return braces.start + len(inner.rstrip())


def _spliced(text: str, offset: int, new: str) -> str:
    return text[:offset] + new + text[offset:]


def _line_start(text: str, offset: int) -> int:
    return text.rfind("\n", 0, offset) + 1


def _line_end(text: str, offset: int) -> int:
    """Return the offset of the line end after a value; a value may include its own line end."""
    if offset and text[offset - 1] == "\n":
        end = offset - 1
    else:
        end = text.find("\n", offset)
        end = len(text) if end < 0 else end
    return end - 1 if text[end - 1 : end] == "\r" else end


def _items(data: Plain, path: Location, file: str) -> tuple[Plain, ...] | None:
    """Return the items of a list; None if its key is missing."""
    around = _at(data, path[:-1])
    if path[-1] not in around:
        return None
    found = around[str(path[-1])]
    if not isinstance(found, tuple):
        name = ".".join(map(str, path))
        raise ConfigError([Problem(f"{file}: '{name}' is not a list", "make it a list")])
    return found


def _at(data: Plain, path: Location) -> Mapping[str, Plain]:
    for part in path:
        data = data.get(str(part)) if isinstance(data, Mapping) else None
    return data if isinstance(data, Mapping) else {}


def _require(new: str, before: Plain, path: Location, items: tuple[Plain, ...], file: str) -> None:
    """Check that an edited text has these items, and is otherwise what it was."""
    try:
        after = strict_yaml.parse(new, file).data
        is_right = (_items(after, path, file) or ()) == items
    except ConfigError:
        is_right = False
    if not is_right or _without(after, path) != _without(before, path):
        what = f"{file} is written in a way that Companion cannot edit safely"
        raise ConfigError([Problem(what, "edit it yourself")])


def _without(data: Plain, path: Location) -> Plain:
    """Return the data without what stands at a path."""
    if not isinstance(data, Mapping):
        return data
    key, *rest = path
    return {
        name: _without(value, tuple(rest)) if rest and name == key else value
        for name, value in data.items()
        if rest or name != key
    }
