"""Parser for JSON with comments that keeps the exact position of every value.

`//` and `/* */` comments and trailing commas are accepted, as editors accept them.
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
BOM = "\ufeff"
BREAK = re.compile(r"\r\n?|\n")
"""A line break; VS Code's parser ends a line comment at a lone carriage return, too."""
_DEPTH = 100


class JsoncError(ValueError):
    """The text is not JSON with comments, or lacks the structure that an edit needs."""

    def __init__(self, text: str, offset: int, what: str) -> None:
        self.line, self.column = position(text, offset)
        self.what = what
        super().__init__(f"{self.line}:{self.column}: {what}")


def position(text: str, offset: int) -> tuple[int, int]:
    """Return line and column of an offset; both count from 1."""
    lines = BREAK.split(text[:offset].removeprefix(BOM))
    return len(lines), len(lines[-1]) + 1


@dataclass(frozen=True, slots=True)
class Node:
    """A value: its span, and either its elements or its scalar value."""

    start: int
    end: int
    kind: str
    """`{`, `[` or "" for a scalar."""
    elements: tuple["Element", ...] = ()
    scalar: Json = None


@dataclass(frozen=True, slots=True)
class Element:
    """A member of an object (with its key) or of an array (without)."""

    key: str | None
    start: int
    node: Node
    free: int
    """End offset of the preceding token or comment."""
    comma: int | None
    """End offset of the comma after it."""

    @property
    def end(self) -> int:
        """End offset of its comma, or else of its value."""
        return self.comma or self.node.end


@dataclass(frozen=True, slots=True)
class Token:
    """A comment, mark or scalar; `free` is the end offset of the preceding token."""

    kind: str
    start: int
    end: int
    free: int


def tokens(text: str) -> Iterator[Token]:
    """Yield all tokens except whitespace.

    Raises:
        JsoncError: an unexpected character.
    """
    offset = free = 1 if text.startswith(BOM) else 0
    while offset < len(text):
        match = _TOKEN.match(text, offset)
        if not match:
            raise JsoncError(text, offset, f"{text[offset]!r} is not allowed here")
        offset, kind = match.end(), match.lastgroup or ""
        if kind != "space":
            yield Token(kind, match.start(), offset, free)
            free = offset


def parse(text: str) -> Node | None:
    """Return the root, or None if the text contains nothing but comments.

    Raises:
        JsoncError: the text does not parse.
    """
    significant = [token for token in tokens(text) if token.kind != "comment"]
    if not significant:
        return None
    return _Reader(text, significant).document()


class _Reader:
    """Reads tokens from left to right."""

    def __init__(self, text: str, tokens: Sequence[Token]) -> None:
        self._text, self._tokens, self._next = text, tokens, 0

    def document(self) -> Node:
        root = self._value(0)
        if self._next < len(self._tokens):
            raise self._wrong("the file must end after its first value")
        return root

    def _value(self, depth: int) -> Node:
        token, mark = self._take()
        if depth > _DEPTH:
            raise JsoncError(self._text, token.start, "is nested too deeply")
        if mark in {"{", "["}:
            return self._container(token, mark, "}" if mark == "{" else "]", depth)
        if token.kind != "scalar":
            self._next -= 1
            raise self._wrong("a value is missing here")
        return Node(token.start, token.end, "", scalar=self._scalar(token, mark))

    def _scalar(self, token: Token, mark: str) -> Json:
        try:
            return json.loads(mark)
        except ValueError:  # Python converts no number of thousands of digits
            raise JsoncError(self._text, token.start, "the number is too long") from None

    def _container(self, opening: Token, kind: str, closing: str, depth: int) -> Node:
        elements: list[Element] = []
        while self._peek() != closing:
            if elements and elements[-1].comma is None:
                raise self._wrong(f"a comma or {closing} is missing here")
            elements.append(self._element(keyed=kind == "{", depth=depth))
        end, _ = self._take()
        return Node(opening.start, end.end, kind, tuple(elements))

    def _element(self, *, keyed: bool, depth: int) -> Element:
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
        return Element(key, first.start, node, first.free, comma)

    def _current(self) -> Token:
        if self._next == len(self._tokens):
            raise self._wrong("the file ends too early")
        return self._tokens[self._next]

    def _peek(self) -> str:
        token = self._current()
        return self._text[token.start : token.end] if token.kind == "mark" else ""

    def _take(self) -> tuple[Token, str]:
        token = self._current()
        self._next += 1
        return token, self._text[token.start : token.end]

    def _wrong(self, what: str) -> JsoncError:
        at_end = self._next == len(self._tokens)
        offset = len(self._text) if at_end else self._tokens[self._next].start
        return JsoncError(self._text, offset, what)
