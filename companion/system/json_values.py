"""JSON values: frozen dataclasses to plain data that JSON can hold, and strictly back.

Own code, because every command reads our records; ARCHITECTURE.md compares the import times of
libraries.
"""

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def encode(value: object) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Return a dataclass, or what its fields hold, as plain data."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in fields(value)}
    match value:
        case bytes():
            return value.decode()
        case Enum():
            return value.value
        case Mapping():
            return {key: encode(inner) for key, inner in value.items()}
        case tuple() | list():
            return [encode(inner) for inner in value]
        case _:
            return value


def decode(kind: Any, data: Any) -> Any:  # noqa: ANN401 - any annotation, and whatever JSON holds
    """Return plain data as a value of a type; keys that a dataclass does not have are ignored.

    Types are dataclasses, enums, `Literal`, `X | Y`, `tuple[X, ...]`, `tuple[X, Y]`,
    `Mapping[str, X]`, text, bytes, numbers, booleans and None.

    Raises:
        ValueError: the data is no such value.
    """
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if origin in {Union, types.UnionType}:
        return _first_of(inner, data)
    if origin is Literal and any(type(data) is type(one) and data == one for one in inner):
        return data
    if origin is tuple and isinstance(data, list):
        return _tuple(inner, data)
    if origin is Mapping and isinstance(data, dict):
        return {key: decode(inner[1], value) for key, value in data.items()}
    if isinstance(origin, type) and is_dataclass(origin) and isinstance(data, dict):
        return _dataclass(origin, data)
    return _scalar(origin, data)


def _scalar(kind: Any, data: Any) -> Any:  # noqa: ANN401
    if kind is Any or (kind in {str, int, bool, types.NoneType} and type(data) is kind):
        return data
    if kind is float and type(data) in {int, float}:
        return float(data)
    if kind is bytes and isinstance(data, str):
        return data.encode()
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    raise ValueError(f"{type(data)} is no {kind}")


def _first_of(kinds: tuple[Any, ...], data: Any) -> Any:  # noqa: ANN401
    for kind in kinds:
        try:
            return decode(kind, data)
        except ValueError:
            continue
    raise ValueError(f"{type(data)} is none of {kinds}")


def _tuple(kinds: tuple[Any, ...], data: list[Any]) -> tuple[Any, ...]:
    if kinds[1:] == (...,):
        return tuple(decode(kinds[0], value) for value in data)
    return tuple(decode(kind, value) for kind, value in zip(kinds, data, strict=True))


def _dataclass(kind: type, data: Mapping[str, Any]) -> Any:  # noqa: ANN401
    hints, given = _hints(kind), {}
    for field in fields(kind):
        if field.name in data:
            given[field.name] = decode(hints[field.name], data[field.name])
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{kind} lacks {field.name}")
    return kind(**given)


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)
