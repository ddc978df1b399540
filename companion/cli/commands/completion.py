"""Completion: argcomplete answers the shells from the parser; agents and editors come from here.

The shells ask at each Tab, so nothing heavy is imported.
"""

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from pathlib import Path

import argcomplete
from argcomplete import lexers, shell_integration
from argcomplete.completers import FilesCompleter

from companion.cli import catalogue, parser
from companion.cli.catalogue import PLACES, PORTS
from companion.cli.output import Result


def completions(arguments: Namespace) -> Result:
    """Print the script for a shell."""
    script = shell_integration.shellcode(["companion"], shell=arguments.shell).strip()
    return Result(text=script, data={"script": script}, is_verbatim=True)


def answer() -> None:
    """Tell a shell what may come next, as the environment asks, and end the process."""
    whole = parser.whole()
    _complete(whole)
    point = int(os.environ["COMP_POINT"])
    *_, words, _ = lexers.split_line(os.environ["COMP_LINE"], point)
    passed_on = "--" in words or parser.split(words[1:]).rest
    exclude = _options(whole) if passed_on else ()
    argcomplete.autocomplete(whole, always_complete_options=False, exclude=exclude)


def _complete(whole: ArgumentParser) -> None:
    """Let each argument be completed by what it names."""
    for action in whole._actions:  # noqa: SLF001 - argparse lists them nowhere else
        if isinstance(action.choices, dict):
            for inner in action.choices.values():
                _complete(inner)
        elif completer := _COMPLETERS.get(str(action.metavar)):
            action.completer = completer  # type: ignore[attr-defined]


def _options(whole: ArgumentParser) -> set[str]:
    """Return the names of all options: none of them is offered to another program."""
    own = {name for action in whole._actions for name in action.option_strings}  # noqa: SLF001
    inner = (a.choices.values() for a in whole._actions if isinstance(a.choices, dict))  # noqa: SLF001
    return own.union(*(_options(one) for parsers in inner for one in parsers))


def _agents(parsed_args: Namespace, **_: object) -> Iterable[str]:
    """Return the names of the agents that were started in a directory, as our state has them."""
    from companion.project import lookup, store  # noqa: PLC0415 - start-up time is a budget
    from companion.system.paths import Paths  # noqa: PLC0415

    home, directory = Paths.of_user(), getattr(parsed_args, "directory_option", None) or Path()
    found = lookup.projects_at(home, directory)
    return sorted(name for project in found for name in store.of_project(home, project).names)


def _places(prefix: str, parsed_args: Namespace, **_: object) -> Iterable[str]:
    """Return what `cp` takes: agents with a colon, and files of the desktop."""
    agents = (f"{name}:" for name in _agents(parsed_args))
    return (*agents, *FilesCompleter()(prefix))


def _editors(**_: object) -> dict[str, str]:
    from editors.catalogue import EDITORS  # noqa: PLC0415 - start-up time is a budget

    return {editor.id: editor.name for editor in EDITORS}


def _commands(**_: object) -> dict[str, str]:
    return {command.name: command.help for command in catalogue.COMMANDS}


_COMPLETERS: dict[object, Callable[..., Iterable[str]]] = {
    "AGENT": _agents,
    PORTS.options["metavar"]: _agents,
    PLACES.options["metavar"]: _places,
    "EDITOR": _editors,
    "COMMAND": _commands,
}
