"""Strict YAML parser that keeps the line and column of every value; also dumps YAML.

The only importer of yaml. Deliberately stricter than yaml.safe_load: `no`, `022` and `3.10` stay
text as written; duplicate keys, tags and merge keys are refused.
"""

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal, TypeAlias

import yaml

from companion.errors import ConfigError, Position, Problem, named

Location: TypeAlias = tuple[str | int, ...]
Plain: TypeAlias = "str | int | bool | tuple[Plain, ...] | Mapping[str, Plain] | None"

MAX_NODES = 20_000
MAX_DEPTH = 40
_MOST_PROBLEMS = 20
"""Nobody reads more."""
_HIDDEN = re.compile("[\x85\u2028-\u202e\u2066-\u2069]|\r(?!\n)")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})\Z")
# libyaml is an order of magnitude faster; not every build of PyYAML has it.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_KNOWN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map")}


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed text: plain values, and the place of each."""

    file: str
    data: Plain
    places: Mapping[Location, Position]
    values: Mapping[Location, Position]
    """Places of scalars; `places` has those of their keys."""

    def place(self, location: Location) -> Position:
        """Return the place of the value at `location`, or of its nearest existing parent."""
        return self._nearest(location, {**self.places, **self.values})

    def key_place(self, location: Location) -> Position:
        """Return the place of the key at `location`, or of its nearest existing parent."""
        return self._nearest(location, self.places)

    def joined(self, other: "Document", key: str) -> "Document":
        """Return this document with the places below one top-level key of another."""

        def below(found: Mapping[Location, Position]) -> dict[Location, Position]:
            return {where: place for where, place in found.items() if where[:1] == (key,)}

        places = {**self.places, **below(other.places)}
        return replace(self, places=places, values={**self.values, **below(other.values)})

    def _nearest(self, location: Location, places: Mapping[Location, Position]) -> Position:
        parts = (location[:length] for length in range(len(location), -1, -1))
        found = (places[part] for part in parts if part in places)
        return next(found, Position(self.file, 1, 1))


def parse(text: str, file: str) -> Document:
    """Parse one YAML document; lists become tuples.

    Raises:
        ConfigError: the text is not strict YAML; each problem has its place.
    """
    if hidden := tuple(_hidden(text, file)):
        raise ConfigError(hidden)
    try:
        _refuse_depth(text)
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Position(file, mark.line + 1, mark.column + 1) if mark else Position(file, 1, 1)
        raise ConfigError([Problem(_describe(error), "correct the YAML here", place)]) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        column = len(before) - (before.rfind("\n") + 1) + 1
        place = Position(file, before.count("\n") + 1, column)
        what = "a character that YAML does not allow"
        raise ConfigError([Problem(what, "remove it", place)]) from None
    except (RecursionError, ValueError):
        problem = Problem("nested too deeply", "flatten it", Position(file, 1, 1))
        raise ConfigError([problem]) from None
    if root is None:
        raise ConfigError(
            [Problem("the file is empty", "run `companion init`", Position(file, 1, 1))]
        )
    reader = _Reader(file)
    data = reader.value(root, (), 0)
    if reader.problems:
        raise ConfigError(reader.problems)
    return Document(file, data, reader.places, reader.values)


def dump(data: object) -> str:
    """Return `data` (plain dicts, lists, scalars) as YAML text, in the order given."""
    return yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True
    )


def dump_inline(item: object) -> str:
    """Return a value as it stands in a list between brackets."""
    written = yaml.dump(
        [item],
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=True,
        allow_unicode=True,
        width=math.inf,
    )
    return written.strip()[1:-1]


@dataclass(frozen=True, slots=True)
class Span:
    """Where a value stands in a text: offsets of its first character and after its last one."""

    start: int
    end: int
    style: Literal["scalar", "block", "flow"]
    key: tuple[int, int] | None
    """Where its key stands; None in a list, and for the whole document."""


def spans(text: str) -> Mapping[Location, Span]:
    """Return where each value of a strict YAML text stands; `parse` must accept the text.

    What follows a block, such as comments, is not part of it.
    """
    found: dict[Location, Span] = {}
    root = yaml.compose(text, Loader=_LOADER)
    if root is not None:
        _span(root, (), None, found)
    return found


def _span(
    node: yaml.Node,
    location: Location,
    key: tuple[int, int] | None,
    found: dict[Location, Span],
) -> int:
    """Note the spans of a node and all below it; return the offset after it."""
    ends = []
    if isinstance(node, yaml.MappingNode):
        for inner, child in node.value:
            place = inner.start_mark.index, inner.end_mark.index
            ends.append(_span(child, (*location, inner.value), place, found))
    elif isinstance(node, yaml.SequenceNode):
        ends += [
            _span(child, (*location, index), None, found) for index, child in enumerate(node.value)
        ]
    style, end = _style(node), node.end_mark.index
    end = max(ends) if style == "block" else end
    found[location] = Span(node.start_mark.index, end, style, key)
    return end


def _style(node: yaml.Node) -> Literal["scalar", "block", "flow"]:
    if isinstance(node, yaml.CollectionNode):
        return "flow" if node.flow_style else "block"
    return "scalar"


def _hidden(text: str, file: str) -> Iterator[Problem]:
    """Yield a problem for each character by which a text is read otherwise than it is shown.

    YAML ends a line, and with it a comment, at line breaks that editors and diffs do not show.
    Bidirectional controls let a text be shown in another order.
    """
    for found in islice(_HIDDEN.finditer(text), _MOST_PROBLEMS):
        before = text[: found.start()]
        place = Position(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        name = unicodedata.name(found[0], "a line break of its own kind")
        what = f"the text is not what it looks like: U+{ord(found[0]):04X} ({name})"
        yield Problem(what, "remove it, or write it as an escape in double quotes", place)


def _refuse_depth(text: str) -> None:
    """Check the nesting depth first: libyaml would recurse without a limit."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise RecursionError


class _Dumper(yaml.SafeDumper):
    """YAML as people write it: no aliases, lists indented, each line of a text on its own."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401, ARG002 - yaml's signature
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - yaml's signature
        super().increase_indent(flow, False)  # noqa: FBT003 - yaml's signature

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Return a text of several lines as a block."""
        style = "|" if "\n" in text else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _Dumper.represent_text)


@dataclass(slots=True)
class _Reader:
    """One walk over a node tree; collects places and problems."""

    file: str
    places: dict[Location, Position] = field(default_factory=dict)
    values: dict[Location, Position] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    nodes: int = 0

    def value(self, node: yaml.Node, location: Location, depth: int) -> Plain:
        self.nodes += 1
        self.places.setdefault(location, self._place(node))
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            self._refuse(node, "nested too deeply or too large", "flatten it")
            return None
        if node.tag not in _KNOWN_TAGS:
            self._refuse(node, "a tag is not allowed here", "remove it")
            return None
        if isinstance(node, yaml.MappingNode):
            return dict(self._items(node, location, depth))
        if isinstance(node, yaml.SequenceNode):
            return tuple(
                self.value(child, (*location, index), depth + 1)
                for index, child in enumerate(node.value)
            )
        if not isinstance(node, yaml.ScalarNode):
            return None
        self.values[location] = self._place(node)
        return _scalar(node)

    def _items(
        self, node: yaml.MappingNode, location: Location, depth: int
    ) -> Iterator[tuple[str, Plain]]:
        first_lines: dict[str, int] = {}
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
                self._refuse(key, "keys must be plain text", "write the key out")
                continue
            name: str = key.value
            if name in first_lines:
                self._refuse(
                    key,
                    f"{named(name)} is given twice",
                    f"the first is on line {first_lines[name]}",
                )
                continue
            first_lines[name] = key.start_mark.line + 1
            self.places[(*location, name)] = self._place(key)
            yield name, self.value(child, (*location, name), depth + 1)

    def _refuse(self, node: yaml.Node, what: str, hint: str) -> None:
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(Problem(what, hint, self._place(node)))

    def _place(self, node: yaml.Node) -> Position:
        return Position(self.file, node.start_mark.line + 1, node.start_mark.column + 1)


def _scalar(node: yaml.ScalarNode) -> Plain:
    text: str = node.value
    if node.style:
        return text
    if text in {"", "~", "null"}:
        return None
    if text in {"true", "false"}:
        return text == "true"
    return int(text) if _INTEGER.match(text) else text


def _describe(error: yaml.MarkedYAMLError) -> str:
    parts = [part for part in (error.context, error.problem) if part]
    return "not valid YAML: " + ", ".join(parts)
