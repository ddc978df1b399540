"""Insert, replace and remove values in JSON with comments without touching anything else.

Settings files are JSON with `//` and `/* */` comments and trailing commas. Every edit is a splice:
bytes outside it are unchanged. remove() is the exact inverse of an inserting put(). A file that
does not parse is never edited.
"""

import json
import re
from dataclasses import dataclass

from editors.jsonc_tree import BOM, BREAK, Element, Json, JsoncError, Node, parse, tokens

_SAME_LINE = re.compile(r"(?:[ \t]*/\*[^\r\n]*?\*/)*(?P<line>[ \t]*//[^\r\n]*)?")


@dataclass(frozen=True, slots=True)
class Match:
    """A step into an array: to the object whose member `key` is `value`."""

    key: str
    value: str


Step = str | Match
"""A step into an object is the name of a member."""
Path = tuple[Step, ...]


def get(text: str, path: Path) -> tuple[Json, ...]:
    """Return the value at `path` as a tuple of one, or an empty tuple if there is none.

    Raises:
        JsoncError: the text does not parse.
    """
    node = parse(text)
    for step in path:
        found = _find(node, step) if node else None
        node = found.node if found else None
    return (_plain(node),) if node else ()


def put(text: str, path: Path, value: Json) -> str:
    """Return the text with `value` at `path`; missing parents are created.

    Raises:
        JsoncError: the text does not parse, or a parent has the wrong type.
    """
    root = parse(text)
    if root is None:
        shown = json.dumps(_wrap(path, value), indent=2, ensure_ascii=False)
        ended = not _ends_in_line_comment(text, len(text))
        return text + (f"{shown}\n" if ended else _newline(text) + shown)
    node = root
    for depth, step in enumerate(path):
        wanted = "[" if isinstance(step, Match) else "{"
        if node.kind != wanted:
            name = path[depth - 1] if depth else "the file"
            shape = "an array" if wanted == "[" else "an object"
            raise JsoncError(text, node.start, f"{name} is not {shape}")
        found = _find(node, step)
        if found is None:
            return _insert(text, node, step, _wrap(path[depth + 1 :], value, step))
        node = found.node
    if _plain(node) == value:
        return text
    return text[: node.start] + _dump(text, value, node.start) + text[node.end :]


def remove(text: str, path: Path) -> str:
    """Return the text without the value at `path`; an empty path removes the root value.

    Raises:
        JsoncError: the text does not parse.
    """
    node = parse(text)
    if not path:
        return text if node is None else _without_root(text, node)
    for step in path[:-1]:
        found = _find(node, step) if node else None
        node = found.node if found else None
    last = _find(node, path[-1]) if node else None
    return text if node is None or last is None else _cut(text, node, last)


def _without_root(text: str, root: Node) -> str:
    """Return the text without its root and the line break that put() added after or before it."""
    before, after = text[: root.start], text[root.end :]
    if not after and (breaks := list(BREAK.finditer(before))) and breaks[-1].end() == len(before):
        return before[: breaks[-1].start()]
    return before + after.removeprefix("\n")


def _find(node: Node, step: Step) -> Element | None:
    """Return the element that is in effect: of duplicate keys the last one."""
    if isinstance(step, Match):
        fits = (e for e in node.elements if node.kind == "[" and _is(e.node, step))
        return next(fits, None)
    return next((e for e in reversed(node.elements) if e.key == step), None)


def _is(node: Node, match: Match) -> bool:
    found = _find(node, match.key)
    return found is not None and found.node.scalar == match.value


def _plain(node: Node) -> Json:
    if node.kind == "{":
        return {e.key: _plain(e.node) for e in node.elements}
    return [_plain(e.node) for e in node.elements] if node.kind == "[" else node.scalar


def _wrap(path: Path, value: Json, at: Step = "") -> Json:
    """Return `value` wrapped in the containers of a path; `at` is the step before the path."""
    for step, before in reversed(list(zip(path, (at, *path), strict=False))):
        value = [value] if isinstance(step, Match) else {step: value}
        if isinstance(before, Match) and isinstance(value, dict):
            value = {before.key: before.value, **value}
    return value


def _insert(text: str, node: Node, step: Step, value: Json) -> str:
    """Append an element; a comment at the end of the previous line stays with that line."""
    key = "" if isinstance(step, Match) else f"{json.dumps(step, ensure_ascii=False)}: "
    if node.elements:
        last = node.elements[-1]
        comments = _SAME_LINE.match(text, last.end)
        at = comments.end() if comments else last.end
        indent = _indent(text, last.start)
        between = BREAK.search(text, last.free, last.start)
        many = bool(between or (comments and comments["line"]))
        before = text[: last.node.end] + ("" if last.comma else ",") + text[last.node.end : at]
        after = ("," if last.comma else "") + text[at:]
    else:
        at = _content_end(text, node)
        indent = _indent(text, node.start) + _unit(text)
        many = bool(BREAK.search(text, node.start, node.end))
        before, after = text[:at], text[at:]
    gap = _newline(text) + indent if many else "" if at == node.start + 1 else " "
    shown = _pretty(text, value, indent) if many else json.dumps(value, ensure_ascii=False)
    return before + gap + key + shown + after


def _cut(text: str, node: Node, element: Element) -> str:
    """Remove an element and its comma."""
    begin, end = element.free, element.end
    if _ends_in_line_comment(text, begin) and not re.match(r"[ \t]*[\r\n]", text[end:]):
        ended = BREAK.search(text, begin)
        begin = ended.end() if ended else begin
    index = node.elements.index(element)
    if element.comma is None and index:
        comma = node.elements[index - 1].comma or begin
        return text[: comma - 1] + text[comma:begin] + text[end:]
    return text[:begin] + text[end:]


def _ends_in_line_comment(text: str, offset: int) -> bool:
    last = [t for t in tokens(text) if t.end == offset]
    return bool(last) and text.startswith("//", last[0].start)


def _content_end(text: str, node: Node) -> int:
    """Return the end of the last comment in an empty container, or the start of its content."""
    inside = (t for t in tokens(text) if node.start < t.start < node.end - 1)
    return max((t.end for t in inside if t.kind == "comment"), default=node.start + 1)


def _dump(text: str, value: Json, offset: int) -> str:
    return _pretty(text, value, _indent(text, offset))


def _pretty(text: str, value: Json, indent: str) -> str:
    lines = json.dumps(value, indent=_unit(text), ensure_ascii=False).split("\n")
    return (_newline(text) + indent).join(lines)


def _newline(text: str) -> str:
    """Return the line break that a text uses; a lone carriage return is one, too."""
    found = BREAK.search(text)
    return found[0] if found else "\n"


def _indent(text: str, offset: int) -> str:
    line = re.split(r"[\r\n]", text[:offset])[-1].removeprefix(BOM)
    return line[: len(line) - len(line.lstrip(" \t"))]


def _unit(text: str) -> str:
    match = re.search(r"[\r\n]([ \t]+)[^\s/*]", text)
    return match[1] if match else "  "
