"""How does a value get into a JSON file with comments, and out again, without touching the rest?

Settings files are JSON with `//` and `/* */` comments and trailing commas. Every edit is a splice:
bytes outside it stay. remove() is the exact inverse of the put() that inserted. Nothing is edited
in a file that does not parse.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Json = Any
_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)"
    r"|(?P<comment>//[^\r\n]*|/\*.*?\*/)"
    r'|(?P<scalar>"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"'
    r"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)"
    r"|(?P<mark>[{}\[\],:])",
    re.DOTALL,
)
_SAME_LINE = re.compile(r"(?:[ \t]*/\*[^\r\n]*?\*/)*(?P<line>[ \t]*//[^\r\n]*)?")
_BOM = "\ufeff"
_DEPTH = 100


class JsoncError(ValueError):
    """The text is not JSON with comments, or not of the shape that an edit needs."""

    def __init__(self, text: str, offset: int, what: str) -> None:
        before = text[:offset].removeprefix(_BOM)
        self.line = before.count("\n") + 1
        self.column = len(before) - (before.rfind("\n") + 1) + 1
        self.what = what
        super().__init__(f"{self.line}:{self.column}: {what}")


@dataclass(frozen=True, slots=True)
class Match:
    """A step into an array: to the object whose member `key` is `value`."""

    key: str
    value: str


Step = str | Match
"""A step into an object is the name of a member."""
Path = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class _Node:
    """A value: its span, and either what it holds or what it is."""

    start: int
    end: int
    kind: str
    """`{`, `[` or "" for a scalar."""
    elements: tuple["_Element", ...] = ()
    scalar: Json = None


@dataclass(frozen=True, slots=True)
class _Element:
    """A member of an object (with its key) or of an array (without)."""

    key: str | None
    start: int
    node: _Node
    free: int
    """Where the token or comment before it ends."""
    comma: int | None
    """Where the comma after it ends."""

    @property
    def end(self) -> int:
        return self.comma or self.node.end


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    start: int
    end: int
    free: int


def get(text: str, path: Path) -> tuple[Json, ...]:
    """Return the value at `path` as a tuple of one, or an empty tuple if there is none.

    Raises:
        JsoncError: the text does not parse.
    """
    node = _parse(text)
    for step in path:
        found = _find(node, step) if node else None
        node = found.node if found else None
    return (_plain(node),) if node else ()


def put(text: str, path: Path, value: Json) -> str:
    """Return the text with `value` at `path`; what is missing on the way there is made.

    Raises:
        JsoncError: the text does not parse, or something on the way is neither object nor array.
    """
    root = _parse(text)
    if root is None:
        return text + json.dumps(_wrap(path, value), indent=2, ensure_ascii=False) + "\n"
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
    """Return the text without what stands at `path`; without a path, without the whole value.

    Raises:
        JsoncError: the text does not parse.
    """
    node = _parse(text)
    if not path:
        return text if node is None else text[: node.start] + text[node.end :].removeprefix("\n")
    for step in path[:-1]:
        found = _find(node, step) if node else None
        node = found.node if found else None
    last = _find(node, path[-1]) if node else None
    return text if node is None or last is None else _cut(text, node, last)


def _find(node: _Node, step: Step) -> _Element | None:
    """Return the element that counts: of equal keys the last one."""
    if isinstance(step, Match):
        fits = (e for e in node.elements if node.kind == "[" and _is(e.node, step))
        return next(fits, None)
    return next((e for e in reversed(node.elements) if e.key == step), None)


def _is(node: _Node, match: Match) -> bool:
    found = _find(node, match.key)
    return found is not None and found.node.scalar == match.value


def _plain(node: _Node) -> Json:
    if node.kind == "{":
        return {e.key: _plain(e.node) for e in node.elements}
    return [_plain(e.node) for e in node.elements] if node.kind == "[" else node.scalar


def _wrap(path: Path, value: Json, at: Step = "") -> Json:
    """Return `value` inside what a path makes around it; `at` is the step that leads to it all."""
    for step, before in reversed(list(zip(path, (at, *path), strict=False))):
        value = [value] if isinstance(step, Match) else {step: value}
        if isinstance(before, Match) and isinstance(value, dict):
            value = {before.key: before.value, **value}
    return value


def _insert(text: str, node: _Node, step: Step, value: Json) -> str:
    """Put an element last; a comment at the end of the line before stays with its own."""
    newline = "\r\n" if "\r\n" in text else "\n"
    key = "" if isinstance(step, Match) else f"{json.dumps(step, ensure_ascii=False)}: "
    if node.elements:
        last = node.elements[-1]
        comments = _SAME_LINE.match(text, last.end)
        at = comments.end() if comments else last.end
        indent = _indent(text, last.start)
        many = "\n" in text[last.free : last.start] or bool(comments and comments["line"])
        before = text[: last.node.end] + ("" if last.comma else ",") + text[last.node.end : at]
        after = ("," if last.comma else "") + text[at:]
    else:
        at = _content_end(text, node)
        indent = _indent(text, node.start) + _unit(text)
        many = "\n" in text[node.start : node.end]
        before, after = text[:at], text[at:]
    gap = newline + indent if many else "" if at == node.start + 1 else " "
    shown = _pretty(text, value, indent) if many else json.dumps(value, ensure_ascii=False)
    return before + gap + key + shown + after


def _cut(text: str, node: _Node, element: _Element) -> str:
    """Take an element out, and the comma that it brought along."""
    begin, end = element.free, element.end
    if _ends_in_line_comment(text, begin) and not re.match(r"[ \t]*\r?\n", text[end:]):
        begin = text.index("\n", begin) + 1
    index = node.elements.index(element)
    if element.comma is None and index:
        comma = node.elements[index - 1].comma or begin
        return text[: comma - 1] + text[comma:begin] + text[end:]
    return text[:begin] + text[end:]


def _ends_in_line_comment(text: str, offset: int) -> bool:
    last = [t for t in _tokens(text) if t.end == offset]
    return bool(last) and text.startswith("//", last[0].start)


def _content_end(text: str, node: _Node) -> int:
    """Return where the last comment of an empty container ends, or where its inside begins."""
    inside = (t for t in _tokens(text) if node.start < t.start < node.end - 1)
    return max((t.end for t in inside if t.kind == "comment"), default=node.start + 1)


def _dump(text: str, value: Json, offset: int) -> str:
    return _pretty(text, value, _indent(text, offset))


def _pretty(text: str, value: Json, indent: str) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = json.dumps(value, indent=_unit(text), ensure_ascii=False).split("\n")
    return (newline + indent).join(lines)


def _indent(text: str, offset: int) -> str:
    line = text[text.rfind("\n", 0, offset) + 1 : offset].removeprefix(_BOM)
    return line[: len(line) - len(line.lstrip(" \t"))]


def _unit(text: str) -> str:
    match = re.search(r"\n([ \t]+)[^\s/*]", text)
    return match[1] if match else "  "


def _tokens(text: str) -> Iterator[_Token]:
    """Yield comments and tokens; `free` is where the one before ends."""
    offset = free = 1 if text.startswith(_BOM) else 0
    while offset < len(text):
        match = _TOKEN.match(text, offset)
        if not match:
            raise JsoncError(text, offset, f"{text[offset]!r} does not belong here")
        offset, kind = match.end(), match.lastgroup or ""
        if kind != "space":
            yield _Token(kind, match.start(), offset, free)
            free = offset


def _parse(text: str) -> _Node | None:
    """Return the root, or None if the text holds nothing but comments."""
    tokens = [t for t in _tokens(text) if t.kind != "comment"]
    if not tokens:
        return None
    return _Reader(text, tokens).document()


class _Reader:
    """Reads tokens from left to right."""

    def __init__(self, text: str, tokens: Sequence[_Token]) -> None:
        self._text, self._tokens, self._next = text, tokens, 0

    def document(self) -> _Node:
        root = self._value(0)
        if self._next < len(self._tokens):
            raise self._wrong("one value is all that a file holds")
        return root

    def _value(self, depth: int) -> _Node:
        token, mark = self._take()
        if depth > _DEPTH:
            raise JsoncError(self._text, token.start, "is nested too deeply")
        if mark in {"{", "["}:
            return self._container(token, mark, "}" if mark == "{" else "]", depth)
        if token.kind != "scalar":
            self._next -= 1
            raise self._wrong("a value is missing here")
        return _Node(token.start, token.end, "", scalar=json.loads(mark))

    def _container(self, opening: _Token, kind: str, closing: str, depth: int) -> _Node:
        elements: list[_Element] = []
        while self._peek() != closing:
            if elements and elements[-1].comma is None:
                raise self._wrong(f"a comma or {closing} is missing here")
            elements.append(self._element(keyed=kind == "{", depth=depth))
        end, _ = self._take()
        return _Node(opening.start, end.end, kind, tuple(elements))

    def _element(self, *, keyed: bool, depth: int) -> _Element:
        first = self._current()
        key: str | None = None
        if keyed:
            _, name = self._take()
            if not name.startswith('"'):
                self._next -= 1
                raise self._wrong("a key in quotes is missing here")
            key = json.loads(name)
            if self._peek() != ":":
                raise self._wrong("a colon is missing here")
            self._take()
        node = self._value(depth + 1)
        comma = self._take()[0].end if self._peek() == "," else None
        return _Element(key, first.start, node, first.free, comma)

    def _current(self) -> _Token:
        if self._next == len(self._tokens):
            raise self._wrong("the file ends too early")
        return self._tokens[self._next]

    def _peek(self) -> str:
        token = self._current()
        return self._text[token.start : token.end] if token.kind == "mark" else ""

    def _take(self) -> tuple[_Token, str]:
        token = self._current()
        self._next += 1
        return token, self._text[token.start : token.end]

    def _wrong(self, what: str) -> JsoncError:
        at_end = self._next == len(self._tokens)
        offset = len(self._text) if at_end else self._tokens[self._next].start
        return JsoncError(self._text, offset, what)
