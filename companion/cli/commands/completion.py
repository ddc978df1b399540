"""What may come next on a command line? The shells ask at each Tab, so nothing heavy is imported.

Their scripts lie in assets/completions and know nothing of commands: they ask this.
"""

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from companion.cli import parser
from companion.cli.output import Result
from companion.cli.parser import Argument, Command

Candidate = tuple[str, str]
"""A word, and what it means."""
_COMMANDS = {command.name: command for command in parser.COMMANDS}


@dataclass(frozen=True, slots=True)
class _Typed:
    """What stands before the word that is being typed."""

    command: Command | None = None
    count: int = 0
    """How many arguments the command has been given, options apart."""
    due: Argument | None = None
    """The option whose value comes next."""
    directory: str = "."
    free: bool = False
    """What comes next is not ours: a command of the sandbox's, or a command line that is wrong."""


def completions(arguments: Namespace) -> Result:
    """Print the script for a shell, or what the last of the words may be that a shell sends."""
    if not arguments.words:
        script = _script(arguments.shell)
        return Result(text=script, data={"script": script})
    found = candidates(sys.stdin.read().split("\n")[:-1] or [""], _agents)
    return Result(text="\n".join("\t".join(one) for one in found), data=[w for w, _ in found])


def candidates(
    words: Sequence[str], agents: Callable[[str], Iterable[str]]
) -> tuple[Candidate, ...]:
    """Return what the last of the words after `companion` may become; nothing: a file, perhaps.

    `agents` tells the names of the agents in a directory.
    """
    typed = _read(words[:-1])
    return tuple(c for c in _next(typed, words[-1], agents) if c[0].startswith(words[-1]))


def _read(words: Iterable[str]) -> _Typed:
    typed = _Typed()
    for word in words:
        typed = _Typed(free=True) if typed.free or word == "--" else _after(typed, word)
    return typed


def _after(typed: _Typed, word: str) -> _Typed:
    command, count, directory = typed.command, typed.count, typed.directory
    if typed.due:
        if typed.due is parser.DIRECTORY:
            directory = word
        return _Typed(command, count, None, directory)
    if word.startswith("-"):
        due = next((a for a in _arguments(command) if word in a.names and a.takes_value), None)
        return _Typed(command, count, due, directory)
    if command is None:
        return _Typed(_COMMANDS.get(word), 0, None, directory, free=word not in _COMMANDS)
    return _Typed(command, count + 1, None, directory)


def _next(typed: _Typed, word: str, agents: Callable[[str], Iterable[str]]) -> Iterable[Candidate]:
    if typed.free:
        return ()
    if typed.due:
        return _values(typed.due, typed, agents)
    if word.startswith("-"):
        options = (a for a in _arguments(typed.command) if a.is_option)
        return ((name, a.help) for a in options for name in a.names)
    if typed.command is None:
        return ((command.name, command.help) for command in parser.COMMANDS)
    places = [a for a in typed.command.arguments if not a.is_option]
    last = places[-1:] if places and places[-1].repeats else []
    wanted = (places[typed.count :] or last)[:1]
    return [c for argument in wanted for c in _values(argument, typed, agents)]


def _arguments(command: Command | None) -> tuple[Argument, ...]:
    return (*(command.arguments if command else (parser.VERSION,)), *parser.COMMON)


def _values(
    argument: Argument, typed: _Typed, agents: Callable[[str], Iterable[str]]
) -> Iterable[Candidate]:
    match argument.options.get("metavar"):
        case "AGENT":
            return ((name, "agent") for name in agents(typed.directory))
        case "EDITOR":
            from editors.catalogue import EDITORS  # noqa: PLC0415 - start-up time is a budget

            return (
                (editor.id, editor.name)
                for editor in EDITORS
                if editor.opening or not argument.is_option
            )
        case _:
            return ((choice, "") for choice in argument.choices)


def _agents(directory: str) -> Iterable[str]:
    """Return the names of the agents that were started in a directory, as our state has them."""
    from companion.system.paths import Paths  # noqa: PLC0415 - start-up time is a budget

    wanted = str(Path(directory).expanduser().resolve())
    for known in Paths.of_user().projects.glob("*/project.json"):
        if json.loads(known.read_bytes()).get("directory") == wanted:
            return sorted(record.parent.name for record in known.parent.glob("*/agent.json"))
    return ()


def _script(shell: str) -> str:
    from companion.system import assets, files  # noqa: PLC0415 - start-up time is a budget

    path = assets.assets_directory() / "completions" / f"companion.{shell}"
    return (files.read_text(path) or "").rstrip()
