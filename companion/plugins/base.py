"""Plugin types: a name, typed options, and a pure function from options to a contribution."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel

from companion.config.origin import Origin
from companion.config.values import Line
from companion.plugins.contribution import Contribution, RuntimeProgram
from companion.plugins.login import ModelLogin

_REFERENCE = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)\}\Z")


def _referred(text: str) -> str:
    found = _REFERENCE.match(text)
    if found is None:
        raise ValueError("must be a variable such as ${API_KEY}: put the secret itself into .env")
    return found[1]


Reference = Annotated[Line, AfterValidator(_referred)]
"""`${VARIABLE}` in the config; the variable's name once decoded."""

_TEMPLATES = ("{{ .AGENT_HOME }}", "{{ .AGENT_USER }}")


@dataclass(frozen=True, slots=True)
class Context:
    """Facts that a plugin gets about the agent that it contributes to."""

    agent: str
    user: str
    home: str
    origin: Origin

    def expand(self, text: str) -> str:
        """Replace the template variables of agent.yaml in a path or command."""
        return expand(text, user=self.user, home=self.home)


def expand(text: str, *, user: str, home: str) -> str:
    """Replace `{{ .AGENT_HOME }}` and `{{ .AGENT_USER }}`."""
    for template, value in zip(_TEMPLATES, (home, user), strict=True):
        text = text.replace(template, value)
    return text


O = TypeVar("O", bound=BaseModel)  # noqa: E741 - O as in options


@dataclass(frozen=True, slots=True)
class FeaturePlugin:
    """A plugin that an agent.yaml lists under `features`."""

    name: str
    summary: str
    options: type[BaseModel]
    contribute: Callable[[Any, Context], Contribution]


@dataclass(frozen=True, slots=True)
class RefusedPlugin:
    """A plugin of the reference system that we do not support; its options are checked first."""

    name: str
    options: type[BaseModel]
    why: str
    instead: str


@dataclass(frozen=True, slots=True)
class RuntimePlugin:
    """A plugin that an agent.yaml names as its `runtime`."""

    name: str
    summary: str
    package: str
    """The npm package of its program."""
    pinned: str
    """The version of it that this Companion was tested with."""
    program: Callable[[str | None], RuntimeProgram]
    """Returns the program in a version; None: the one that this Companion was tested with."""
    logins: tuple[ModelLogin, ...] = ()
    """How it logs in to its models' vendors, the usual way first; empty: we know of none."""
    elsewhere: tuple[str, ...] = ()
    """Variables that lead it to a model of another vendor, with a login of its own."""
