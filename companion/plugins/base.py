"""What is a plugin? A name, typed options, and a pure function from options to a contribution."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from companion.contribution import Contribution, RuntimeProgram

_TEMPLATES = ("{{ .AGENT_HOME }}", "{{ .AGENT_USER }}")


@dataclass(frozen=True, slots=True)
class Context:
    """What a plugin may know of the agent that it contributes to."""

    agent: str
    user: str
    home: str
    origin: str

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
class RuntimePlugin:
    """A plugin that an agent.yaml names as its `runtime`."""

    name: str
    summary: str
    program: RuntimeProgram
