"""Command: what the catalogue says of one command, and how its handler is loaded."""

import importlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from companion.cli.output import Result

if TYPE_CHECKING:
    from argparse import Namespace


class Argument(NamedTuple):
    """One argument of a command, as argparse takes it."""

    names: tuple[str, ...]
    options: dict[str, object]


REST = Argument(("rest",), {"nargs": "...", "metavar": "-- CMD", "help": "the command to run"})
COMPOSE_REST = Argument(
    ("rest",), {"nargs": "...", "metavar": "ARGS", "help": "arguments for compose"}
)
PROGRAM_REST = Argument(
    ("rest",), {"nargs": "*", "metavar": "-- ARGS", "help": "arguments for the agent program"}
)


class Command(NamedTuple):
    """One command; `handler` is `module:function` below companion.cli.commands."""

    name: str
    help: str
    handler: str
    arguments: tuple[Argument, ...] = ()
    examples: tuple[str, ...] = ()
    """Command lines without their first word, `companion`."""
    also: tuple[str, ...] = ()
    """Words for the same thing in other tools, for "did you mean"."""
    aliases: tuple[str, ...] = ()
    """Other names that it has."""

    @property
    def places_before_rest(self) -> int | None:
        """How many arguments precede a command line that is passed on; None: nothing is."""
        for at, argument in enumerate(self.arguments):
            if argument is REST or argument is COMPOSE_REST:
                return at
            if argument is PROGRAM_REST:  # it begins at `--` only
                return sys.maxsize
        return None

    @property
    def own(self) -> tuple[Argument, ...]:
        """The arguments but for what is passed on."""
        return tuple(a for a in self.arguments if a.names != REST.names)

    @property
    def rest(self) -> Argument | None:
        """The command line that is passed on, if it need not begin at `--`."""
        return next((a for a in self.arguments if a is REST or a is COMPOSE_REST), None)

    def load(self) -> "Callable[[Namespace], Result]":
        """Import the handler: only the command that runs pays for what it needs."""
        module, _, function = self.handler.partition(":")
        found: Callable[[Namespace], Result] = getattr(
            importlib.import_module(f"companion.cli.commands.{module}"), function
        )
        return found


class Group(NamedTuple):
    """Commands that `companion --help` lists together."""

    title: str
    commands: tuple[Command, ...]
