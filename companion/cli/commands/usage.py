"""The command that shows help: help."""

from argparse import Namespace

from companion.cli import catalogue, parser
from companion.cli.output import Result
from companion.errors import UsageError, named


def show(arguments: Namespace) -> Result:
    """Show the help of one command, or of all."""
    command = catalogue.find(arguments.topic)
    if arguments.topic and command is None:
        raise UsageError(
            f"there is no command {named(arguments.topic)}", parser.meant(arguments.topic)
        )
    text = parser.help_of(command)
    return Result(text=text, data={"help": text})
