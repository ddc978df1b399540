"""The parser of command lines: argparse, built from the catalogue, for one command at a time.

Raises:
    UsageError: from `parse`, if a command line makes no sense.
"""

import argparse
import re
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple, NoReturn

from companion.cli import catalogue
from companion.cli.catalogue import (
    COMMANDS,
    COMMON,
    DIRECTORY,
    HELP,
    JSON,
    VERSION,
)
from companion.cli.command import Argument, Command
from companion.cli.style import Style, paint
from companion.errors import UsageError, named

_FLAGS = (*JSON.names, *HELP.names)
_ABOUT = "Sandboxed coding agents on your desktop."


class Line(NamedTuple):
    """A command line, split into what is ours and what is passed on to another program."""

    before: Sequence[str]
    name: str | None
    after: Sequence[str] = ()
    rest: Sequence[str] = ()

    @property
    def command(self) -> Command | None:
        """The command that it names, if there is one of this name."""
        return catalogue.find(self.name)

    def has(self, option: Argument) -> bool:
        """Tell whether a flag of ours is given, even if the line makes no sense otherwise."""
        after = self.after[: self.after.index("--")] if "--" in self.after else self.after
        return any(name in words for name in option.names for words in (self.before, after))


def split(argv: Sequence[str]) -> Line:
    """Return the options before the command, the command, its words, and what is passed on."""
    at = 0
    while at < len(argv) and argv[at].startswith("-"):
        at += 2 if argv[at] in DIRECTORY.names else 1
    if at >= len(argv):
        return Line(argv, None)
    words, command = argv[at + 1 :], catalogue.find(argv[at])
    places = command.places_before_rest if command else None
    end = len(words) if places is None else _end(words, places)
    rest = words[end + 1 :] if words[end : end + 1] == ["--"] else words[end:]
    return Line(argv[:at], argv[at], words[:end], rest)


def _end(words: Sequence[str], places: int) -> int:
    """Return where a command line begins that is passed on, after so many arguments of ours."""
    at = 0
    while at < len(words) and words[at] != "--":
        word = words[at]
        if word in DIRECTORY.names:
            at += 2
        elif word in _FLAGS or (places and word.startswith("-")):
            at += 1
        elif places:
            at, places = at + 1, places - 1
        else:
            break
    return at


def parse(line: Line) -> argparse.Namespace:
    """Return the values that a command line gives; only the parser of its command is built."""
    arguments, command = _read(_top(), line.before), line.command
    if line.name is None:
        raise UsageError("no command given", "`companion --help` lists all commands")
    if command is None:
        raise UsageError(f"there is no command {named(line.name)}", meant(line.name))
    arguments.directory_option = arguments.directory_option or DIRECTORY.options["type"](".")  # type: ignore[operator]
    arguments = _read(_parser_of(command, command.own), line.after, arguments)
    arguments.rest, arguments.load = list(line.rest), command.load
    return arguments


def help_of(command: Command | None) -> str:
    """Return the help of a command; of all of them in their groups if there is none."""
    parser = _parser_of(command, command.arguments) if command else _top()
    text = parser.format_help().rstrip()
    if command and (rest := command.rest):
        text = text.replace(" ...\n", f" [{rest.options['metavar']} ...]\n", 1)
    text = re.sub(r"^[A-Za-z][A-Za-z ]*:(?= |$)", _heading, text, flags=re.MULTILINE)
    return re.sub(r"^  (-\S.*?|[^\s-]\S*)(?=  +\S|$)", _name, text, flags=re.MULTILINE)


def start() -> str:
    """Return the first commands, for who calls none."""
    wide = max(len(line) for line, _ in catalogue.START)
    lines = (
        f"  {paint(f'companion {line}'.ljust(wide + 10), Style.TIP)}  {what}"
        for line, what in catalogue.START
    )
    return "\n".join((_ABOUT, "", *lines))


def _heading(found: re.Match[str]) -> str:
    return paint(found[0], Style.HEADING)


def _name(found: re.Match[str]) -> str:
    return f"  {paint(found[1], Style.TIP)}"


def whole() -> argparse.ArgumentParser:
    """Return one parser of everything, for completion."""
    parser = _top()
    commands = parser.add_subparsers()
    for command in COMMANDS:
        of_command = commands.add_parser(command.name, help=command.help, add_help=False)
        _fill(of_command, command.arguments)
    return parser


def closest(word: str, known: Iterable[str]) -> str:
    """Return "did you mean" with the known word that is nearest; "" if none is near."""
    import difflib  # noqa: PLC0415 - start-up time is a budget

    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean '{close[0]}'?" if close else ""


class _Parser(argparse.ArgumentParser):
    """Raises instead of exiting, so that usage errors speak JSON too; its help has our colors."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - as argparse takes them
        super().__init__(**options)
        self.color = False

    def error(self, message: str) -> NoReturn:
        lacking = "the following arguments are required: "
        what = re.sub(f"^{lacking}", "missing argument: ", message)
        one = next((a for a in self._actions if what == f"missing argument: {a.metavar}"), None)
        choices = ", ".join(map(str, one.choices or ())) if one else ""
        raise UsageError(
            what, f"choose one of {choices}" if choices else f"see `{self.prog} --help`"
        )


def _read(
    parser: argparse.ArgumentParser,
    words: Sequence[str],
    arguments: argparse.Namespace | None = None,
) -> argparse.Namespace:
    known = vars(arguments) if arguments else {}
    found, unknown = parser.parse_known_args(words, argparse.Namespace(**known))
    if any(not word.startswith("-") for word in unknown):  # options stand between arguments
        found, unknown = parser.parse_known_intermixed_args(words, argparse.Namespace(**known))
    for word in unknown[:1]:
        kind = "option" if word.startswith("-") else "argument"
        name = word.partition("=")[0]
        options = (option for action in parser._actions for option in action.option_strings)  # noqa: SLF001 - argparse lists them nowhere else
        tip = closest(name, options) if kind == "option" else ""
        raise UsageError(f"unexpected {kind} {named(name)}", tip or f"see `{parser.prog} --help`")
    return found


def meant(name: str) -> str:
    """Return a tip for a name that no command has."""
    synonym = next((command.name for command in COMMANDS if name in command.also), "")
    known = (word for command in COMMANDS for word in (command.name, *command.aliases))
    tip = f"did you mean '{synonym}'?" if synonym else closest(name, known)
    return tip or "`companion --help` lists all commands"


def _top() -> argparse.ArgumentParser:
    width = max(len(command.name) for command in COMMANDS)
    groups = (
        "\n".join((f"{group.title}:", *(f"  {c.name:{width}}  {c.help}" for c in group.commands)))
        for group in catalogue.GROUPS
    )
    more = "`companion help COMMAND` shows the arguments and examples of one command."
    parser = _Parser(
        prog="companion",
        usage="companion [-C DIR] [--json] COMMAND ...",
        description=_ABOUT,
        epilog="\n\n".join((*groups, _examples(catalogue.EXAMPLES), more)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    _add(parser, VERSION)
    _add(parser, DIRECTORY, default=None)
    _add(parser, JSON, default=False)
    _add(parser, HELP, default=False)
    return parser


def _parser_of(command: Command, taken: Iterable[Argument]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=f"companion {command.name}",
        description=f"{command.help[0].upper()}{command.help[1:]}.",
        epilog="\n\n".join(filter(None, (_also(command), _examples(command.examples)))),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    _fill(parser, taken)
    return parser


def _fill(parser: argparse.ArgumentParser, taken: Iterable[Argument]) -> None:
    for argument in taken:
        _add(parser, argument)
    for argument in COMMON:
        _add(parser, argument, default=argparse.SUPPRESS)


def _add(parser: argparse.ArgumentParser, argument: Argument, **more: object) -> None:
    if choices := argument.options.get("choices"):
        more["type"] = partial(_choice, choices)  # type: ignore[arg-type]
    parser.add_argument(*argument.names, **argument.options, **more)  # type: ignore[arg-type]


def _choice(choices: tuple[str, ...], word: str) -> str:
    """Return one of the choices, as argparse would check it, but with a suggestion."""
    if word not in choices:
        tip = closest(word, choices) or "choose one of them"
        raise UsageError(f"{named(word)} is not one of {', '.join(choices)}", tip)
    return word


def _also(command: Command) -> str:
    names = ", ".join(f"companion {name}" for name in command.aliases)
    return f"also: {names}" if names else ""


def _examples(lines: Iterable[str]) -> str:
    shown = "\n".join(f"  companion {line}" for line in lines)
    return f"examples:\n{shown}" if shown else ""
