"""Which commands are there, and what do they take? One table; handlers load when they run."""

import argparse
import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from companion.cli.output import Result
from companion.errors import UsageError, named

if TYPE_CHECKING:
    from pathlib import Path

Handler = Callable[[argparse.Namespace], Result]
_COMMAND_AFTER = {"nargs": argparse.REMAINDER, "metavar": "-- CMD", "help": "command to run"}


class Argument(NamedTuple):
    """One argument of a command, as argparse takes it."""

    names: tuple[str, ...]
    options: dict[str, object]

    @property
    def is_option(self) -> bool:
        """Whether it is given by its name, and not by its place."""
        return self.names[0].startswith("-")

    @property
    def takes_value(self) -> bool:
        """Whether a word of its own follows its name."""
        return self.is_option and "action" not in self.options

    @property
    def repeats(self) -> bool:
        """Whether its place takes several words."""
        return self.options.get("nargs") == "*"

    @property
    def choices(self) -> tuple[str, ...]:
        """All that it may be, if only certain words will do."""
        found = self.options.get("choices", ())
        return found if isinstance(found, tuple) else ()

    @property
    def help(self) -> str:
        """What it does, in a few words."""
        return str(self.options["help"])


class Command(NamedTuple):
    """One command; `handler` is `module:function` below companion.cli.commands."""

    name: str
    help: str
    handler: str
    arguments: tuple[Argument, ...] = ()

    def load(self) -> Handler:
        """Import the handler: only the command that runs pays for what it needs."""
        module, _, function = self.handler.partition(":")
        found: Handler = getattr(
            importlib.import_module(f"companion.cli.commands.{module}"), function
        )
        return found


def _argument(*names: str, **options: object) -> Argument:
    return Argument(names, options)


def _path(text: str) -> "Path":
    from pathlib import Path  # noqa: PLC0415 - start-up time is a budget

    return Path(text)


VERSION = _argument("--version", action="store_true", help="print the version")
DIRECTORY = _argument("-C", "--dir", type=_path, dest="directory_option", metavar="DIR",
                      help="the project's directory")  # fmt: skip
_JSON = _argument("--json", action="store_true", dest="as_json", help="answer in JSON")
COMMON = (DIRECTORY, _JSON)
"""What every command takes, before its name and after it."""
_AGENT = _argument("agent", metavar="AGENT", help="the agent's name")
_AGENTS = _argument("agents", nargs="*", metavar="AGENT", help="only these agents")
_ALL = _argument("--all", action="store_true", help="all projects")
_DIRECTORY = _argument("directory", nargs="?", metavar="DIR", type=_path,
                       help="the project's directory (default: -C)")  # fmt: skip
_YES = _argument("--yes", action="store_true", help="answer yes to every question")
_REST = Argument(("rest",), dict(_COMMAND_AFTER))

COMMANDS = (
    Command("init", "write an agent.yaml to start from", "project:init", (
        _argument("directory", nargs="?", metavar="DIR", type=_path, help="where (default: -C)"),
        _argument("--example", metavar="NAME", help="copy a shipped example"),
        _argument("--name", help="the agent's name"),
        _argument("--runtime", help="the agent program, see `companion plugins`"),
    )),
    Command("validate", "check agent.yaml and everything it names", "project:validate"),
    Command("generate", "write .build/ without starting anything", "project:generate"),
    Command("plan", "say what `up` would do, and why", "project:plan", (
        _argument("--check", action="store_true", help="exit 4 if there is something to do"),
    )),
    Command("up", "start the sandbox or bring it up to date", "sandbox:up", (_AGENTS, _YES)),
    Command("down", "stop and remove the sandbox", "sandbox:down", (
        _AGENTS,
        _argument("--volumes", action="store_true", help="remove its volumes too"),
        _argument("--abandon", action="store_true",
                  help="leave what is on an engine that does not answer"),
    )),
    Command("restart", "replace the sandbox's containers", "sandbox:restart", (_AGENTS, _YES)),
    Command("status", "say how the sandbox is", "sandbox:status"),
    Command("logs", "show what agent and gateway said", "sandbox:logs", (
        _AGENT, _argument("-f", "--follow", action="store_true", help="go on showing"),
    )),
    Command("exec", "run a command in the sandbox through the engine", "sandbox:execute",
            (_AGENT, _REST)),
    Command("ssh", "log in to the sandbox, or run a command there", "sandbox:ssh",
            (_AGENT, _REST)),
    Command("open", "open the agent's folder in an editor", "editing:open_in_editor", (
        _AGENT, _YES,
        _argument("--in", metavar="EDITOR", dest="editor", help="see `companion editors list`"),
        _argument("--path", metavar="P", help="a folder in the sandbox (default: its workdir)"),
        _argument("--print", action="store_true", dest="print_only",
                  help="print the command, start nothing"),
    )),
    Command("editors", "let editors know the sandboxes, or forget them", "editing:editors", (
        _argument("action", choices=("list", "sync", "remove"), help="what to do"),
        _argument("editor", nargs="?", metavar="EDITOR", help="only this one"),
    )),
    Command("audit", "attack a running sandbox from inside, and say what held", "health:audit",
            (_AGENT,)),
    Command("doctor", "say what is wrong on this machine, and how to mend it", "health:doctor", (
        _argument("--fix", action="store_true", help="mend what can be mended"),
    )),
    Command("keys", "list, add or remove keys that may log in; rotate our own", "keys:keys", (
        _argument("action", choices=("list", "add", "remove", "rotate"), help="what to do"),
        _AGENT,
        _argument("key", nargs="?", help="a public key, its file, or its fingerprint"),
        _argument("--host", action="store_true", help="rotate the agent's host key only"),
        _argument("--client", action="store_true", help="rotate our own key to log in with only"),
    )),
    Command("oauth", "authorise an MCP server that agent.yaml names", "oauth:oauth", (
        _argument("provider", metavar="PROVIDER", help="its name under mcp-oauth"),
        _argument("--print", action="store_true", dest="print_only",
                  help="print the address, open no browser"),
        _argument("--port", type=int, default=0, metavar="N",
                  help="where the browser comes back to, if the server wants it to be known: "
                       "http://127.0.0.1:N/callback (default: any)"),
    )),
    Command("proxy", "be the connection of an ssh, without a port: for its ProxyCommand",
            "sandbox:proxy", (_AGENT,)),
    Command("watch", "keep all sandboxes current on every save", "live:watch"),
    Command("tray", "the same, with an icon on the desktop", "live:tray"),
    Command("autostart", "start the tray at login, or do not", "live:autostart", (
        _argument("action", choices=("on", "off", "status"), help="what to do"),
    )),
    Command("list", "list the projects that companion knows", "live:listing"),
    Command("add", "know a project without starting it", "live:add", (_DIRECTORY,)),
    Command("remove", "take a project's sandbox down and forget the project", "live:remove", (
        _DIRECTORY, _argument("--volumes", action="store_true", help="remove its volumes too"),
    )),
    Command("pause", "leave the project alone on saves", "live:pause", (_ALL,)),
    Command("resume", "react to the project's saves again", "live:resume", (_ALL,)),
    Command("compose", "let compose show what companion made: ps, logs, exec, top, config, images",
            "sandbox:compose", (
        Argument(("rest",), {"nargs": argparse.REMAINDER, "metavar": "ARGS",
                             "help": "what compose takes"}),
    )),
    Command("plugins", "list runtimes and features", "project:plugins"),
    Command("schema", "print the JSON Schema of agent.yaml", "project:schema", (
        _argument("--fleet", action="store_true", help="of fleet.yaml instead"),
        _argument("--write", action="store_true",
                  help="into .build/, with a comment in the files by which editors find it"),
    )),
    Command("completions", "print the script by which a shell completes companion's commands",
            "completion:completions", (
        _argument("shell", choices=("bash", "zsh", "fish"), help="which shell"),
        _argument("--words", action="store_true",
                  help="read the words typed, a line each: say what the last one may be"),
    )),
    Command("uninstall", "take back everything that companion made", "health:uninstall", (
        _YES, _argument("--purge", action="store_true", help="remove volumes too"),
    )),
)  # fmt: skip


class _Parser(argparse.ArgumentParser):
    """Raises instead of exiting, so that usage errors speak JSON too."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, f"see `{self.prog} --help`")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return what a command line asks for; only the command that it names has its parser made.

    Raises:
        UsageError: it makes no sense.
    """
    before, name, rest = _split(argv)
    arguments = _top().parse_args(before)
    arguments.command = name
    if name is None:
        return arguments
    command = next((c for c in COMMANDS if c.name == name), None)
    if command is None:
        raise UsageError(f"there is no command {named(name)}", "see `companion --help`")
    arguments.directory_option = arguments.directory_option or _path(".")
    arguments.load = command.load
    return _parser_of(command).parse_args(rest, arguments)


def _split(argv: Sequence[str]) -> tuple[Sequence[str], str | None, Sequence[str]]:
    """Return the options before the command, the command, and what follows it."""
    at = 0
    while at < len(argv) and argv[at].startswith("-"):
        at += 2 if argv[at] in DIRECTORY.names else 1
    return (argv[:at], argv[at], argv[at + 1 :]) if at < len(argv) else (argv, None, ())


def _top() -> argparse.ArgumentParser:
    width = max(len(command.name) for command in COMMANDS)
    lines = (f"  {command.name:{width}}  {command.help}" for command in COMMANDS)
    parser = _Parser(
        prog="companion",
        usage="companion [-h] [--version] [-C DIR] [--json] COMMAND ...",
        description="Sandboxed coding agents on your desktop.",
        epilog="\n".join(("commands:", *lines)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add(parser, VERSION)
    _add(parser, DIRECTORY, default=None)
    _add(parser, _JSON, default=False)
    return parser


def _parser_of(command: Command) -> argparse.ArgumentParser:
    parser = _Parser(prog=f"companion {command.name}", description=command.help)
    for argument in COMMON:
        _add(parser, argument, default=argparse.SUPPRESS)
    for argument in command.arguments:
        _add(parser, argument)
    return parser


def _add(parser: argparse.ArgumentParser, argument: Argument, **more: object) -> None:
    parser.add_argument(*argument.names, **argument.options, **more)  # type: ignore[arg-type]
