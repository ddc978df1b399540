"""A project's .env: parsing it, and the text of .env.example."""

from collections.abc import Mapping
from io import StringIO

from dotenv.parser import parse_stream

from companion.errors import ConfigError, Position, Problem


def parse(text: str, file: str) -> Mapping[str, str]:
    """Return name → value; the format is python-dotenv's, without interpolation.

    Raises:
        ConfigError: a line is not an assignment. Values never appear in a message.
    """
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for binding in parse_stream(StringIO(text)):
        if binding.key is not None and not binding.error:
            values[binding.key] = binding.value or ""
        elif binding.error:
            place = Position(file, _first_line(binding.original.string, binding.original.line), 1)
            problems.append(Problem("not of the form NAME=value", "correct or remove it", place))
    if problems:
        raise ConfigError(problems)
    return values


def example(names: Mapping[str, str]) -> str:
    """Return the text of .env.example for variables (name → its use)."""
    lines = ["# Values for .env, which stays on your machine: never commit it."]
    for name, use in sorted(names.items()):
        lines += ["", f"# {use}", f"{name}="]
    return "\n".join(lines) + "\n"


def _first_line(text: str, line: int) -> int:
    """Return the line after the blank lines, which the parser counts as part of the binding."""
    return line + len(text) - len(text.lstrip("\n"))
