"""Manual pages in mdoc(7), from the catalogue of commands, which help and completion read, too."""

import re
import textwrap
from collections.abc import Iterable, Iterator
from datetime import date

from companion import __version__
from companion.cli import catalogue
from companion.cli.command import Argument, Command
from companion.operations import descriptions

_ABOUT = "run coding agents in sandboxes on your desktop"
_WIDTH = 76
_YAML = "companion-agent.yaml"
"""The page of both YAML files; a page without our name in its own could be another package's."""
_STATUSES = {
    0: "Success.",
    1: "A problem that you can solve; the message says how.",
    2: "The command line makes no sense.",
    3: "A bug in Companion. The message names the report.",
    4: "There are differences, and --check was given.",
    130: "Interrupted.",
}
_FILES = {
    "agent.yaml": "Describes one sandbox.",
    "fleet.yaml": "Lists several agents and what they share.",
    ".env": "The project's secrets, beside agent.yaml.",
    "~/.config/companion/settings.yaml": "Your own settings, on Linux.",
}


def pages(changelog: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each page.

    Args:
        changelog: the text of CHANGELOG.md; pages have the date of its newest version.
    """
    when = released(changelog)
    yield "companion.1", _page("companion", when, _ABOUT, _overview())
    for command in catalogue.COMMANDS:
        name = f"companion-{command.name}"
        yield f"{name}.1", _page(name, when, command.help, _details(command))
    yield f"{_YAML}.5", _page(_YAML, when, "describe the sandbox of an agent", _keys(), section=5)


def released(changelog: str) -> date:
    """Return the day of the newest version in a changelog.

    Raises:
        ValueError: the newest version is not this program's.
    """
    found = re.search(r"^## (\S+) - (\d{4}-\d{2}-\d{2})$", changelog, re.MULTILINE)
    if not found or found[1] != __version__:
        raise ValueError(f"the newest version in CHANGELOG.md must be {__version__}, with its day")
    return date.fromisoformat(found[2])


def _page(name: str, when: date, about: str, body: Iterable[str], section: int = 1) -> str:
    day = f"{when:%B} {when.day}, {when.year}"
    head = (f".Dd {day}", f".Dt {name.upper()} {section}", f".Os Companion {__version__}")
    return "\n".join((*head, ".Sh NAME", f".Nm {name}", f".Nd {_text(about)}", *body)) + "\n"


def _overview() -> Iterator[str]:
    yield from (".Sh SYNOPSIS", ".Nm", ".Op Fl C Ar DIR", ".Op Fl -json", ".Ar COMMAND ...")
    yield ".Sh DESCRIPTION"
    yield from (
        "Companion starts each coding agent in a container of its own.",
        "The only way out is a gateway, which lets through what you allow",
        "and adds credentials that the agent never sees.",
        ".Pp",
        "Options for every command:",
    )
    yield from _list((_name(a), str(a.options["help"])) for a in (catalogue.VERSION, *_common()))
    for group in catalogue.GROUPS:
        yield f".Ss {_text(group.title)}"
        yield from _list((f"Xr companion-{c.name} 1", c.help) for c in group.commands)
    yield from (".Sh FILES", *_list((f"Pa {_text(n)}", what) for n, what in _FILES.items()))
    yield ".Sh EXIT STATUS"
    yield from _list((str(code), what) for code, what in _STATUSES.items())
    yield from _examples(catalogue.EXAMPLES)


def _details(command: Command) -> Iterator[str]:
    yield from (".Sh SYNOPSIS", f".Nm companion {command.name}")
    yield from map(_use, sorted(command.arguments, key=lambda one: not _is_option(one)))
    yield from (".Sh DESCRIPTION", f"{_text(command.help[0].upper() + command.help[1:])}.")
    if command.aliases:
        yield from (".Pp", f"Also: companion {_text(', '.join(command.aliases))}.")
    arguments = (*command.arguments, *_common())
    yield from _list((_name(one), str(one.options.get("help", ""))) for one in arguments)
    yield from _examples(command.examples)
    yield from (".Sh SEE ALSO", ".Xr companion 1")


def _keys() -> Iterator[str]:
    yield from (".Sh SYNOPSIS", ".Pa agent.yaml", ".Pp", ".Pa fleet.yaml", ".Sh DESCRIPTION")
    yield from (
        "A project is a directory with an agent.yaml, which describes one agent,",
        "or a fleet.yaml, which lists directories of agents and what they share.",
        "Unknown keys are errors.",
        ".Nm companion validate",
        "checks both, and",
        ".Nm companion schema --write",
        "lets your editor complete them.",
    )
    for model, keys in descriptions.KEYS.items():
        yield f".Ss {_text(model)}"
        yield from _list((f"Ic {_text(key)}", what) for key, what in keys.items())
    example = ("name: coder", "runtime: codex", "egress: listed", "features:", "  - plugin: ssh")
    yield from (".Sh EXAMPLES", ".Bd -literal -offset indent", *map(_text, example), ".Ed")
    yield from (".Sh SEE ALSO", ".Xr companion 1")


def _common() -> tuple[Argument, ...]:
    return catalogue.COMMON


def _list(items: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield ".Bl -tag -width Ds"
    for term, what in items:
        yield f".It {term}"
        for sentence in re.split(r"(?<=\.) (?=[A-Z])", what):
            yield from textwrap.wrap(_text(sentence), _WIDTH, break_on_hyphens=False)
    yield ".El"


def _examples(lines: Iterable[str]) -> Iterator[str]:
    shown = tuple(f".Dl companion {_text(line)}" for line in lines)
    yield from (".Sh EXAMPLES", *shown) if shown else ()


def _is_option(argument: Argument) -> bool:
    return argument.names[0].startswith("-")


def _name(argument: Argument) -> str:
    """Return how an argument is named in a list."""
    if not _is_option(argument):
        return f"Ar {_text(_metavar(argument))}"
    value = "" if "action" in argument.options else f" Ar {_text(_metavar(argument))}"
    return " , ".join(f"Fl {name[1:]}{value}" for name in argument.names)


def _use(argument: Argument) -> str:
    """Return how an argument is shown in a synopsis."""
    if _is_option(argument):
        first = argument._replace(names=argument.names[:1])
        return f".Op {_name(first)}"
    shown, count = _text(_metavar(argument)), argument.options.get("nargs")
    if shown.startswith("["):
        return f".Ar {shown}"
    if shown.startswith("-- "):
        return f".Op Fl - Ar {shown.removeprefix('-- ')} ..."
    more = " ..." if count in {"*", "..."} else ""
    return f".Op Ar {shown}{more}" if count else f".Ar {shown}"


def _metavar(argument: Argument) -> str:
    longest = max(argument.names, key=len).strip("-")
    return str(argument.options.get("metavar", longest.upper()))


def _text(text: str) -> str:
    """Return text that roff shows as it is."""
    safe = text.replace("\\", "\\e").replace("`", "\\(ga").replace("'", "\\(aq")
    safe = safe.replace("-", "\\-").replace("|", "\\&|")
    return f"\\&{safe}" if safe.startswith(".") else safe
