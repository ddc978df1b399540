"""Types of agent.yaml and fleet.yaml.

Decoding, messages and schema all derive from them. Lists arrive as tuples.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from companion.config.values import (
    Cpus,
    EngineName,
    HostPattern,
    Image,
    Line,
    Memory,
    Package,
    PortText,
    ShortName,
    User,
    Version,
    Workdir,
)

Preset = Literal[
    "cargo", "copilot", "github", "go", "maven", "npm", "pypi", "rubygems", "vscode", "zed"
]
LogLevel = Literal["info", "debug"]


class Model(BaseModel):
    """Base of all models: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Runtime(Model):
    """The agent program: the name of a built-in one, or a definition given inline."""

    name: Line | None = None
    version: Version | None = None
    """Of the program, for a named runtime."""
    base_image: Image | None = None
    install: tuple[Line, ...] = ()
    cmd: tuple[Line, ...] = ("sleep", "infinity")
    acp_cmd: tuple[Line, ...] = ()
    ports: tuple[PortText, ...] = ()
    user: User = "agent"

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, given: Any) -> Any:  # noqa: ANN401 - whatever the user wrote
        return {"name": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _one_kind(self) -> "Runtime":
        if (self.name is None) == (self.base_image is None):
            raise ValueError("must be the name of a runtime, or a mapping with base_image")
        if self.name is not None and not self.model_fields_set <= {"name", "version"}:
            raise ValueError("a named runtime takes no other key than version")
        if self.name is None and self.version is not None:
            raise ValueError("takes a version only with the name of a runtime")
        return self


class Egress(Model):
    """Which hosts the agent may reach besides the configured services."""

    mode: Literal["open", "listed"] = "listed"
    allow: tuple[HostPattern, ...] = ()
    presets: tuple[Preset, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _from_mode(cls, given: Any) -> Any:  # noqa: ANN401 - whatever the user wrote
        return {"mode": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _list_only_when_listed(self) -> "Egress":
        if self.mode == "open" and (self.allow or self.presets):
            raise ValueError("mode open allows every public host: remove allow and presets")
        return self


class Limits(Model):
    """How much of the machine's resources the agent may use."""

    memory: Memory = "8g"
    pids: Annotated[int, Field(ge=16, le=100_000)] = 4096
    cpus: Cpus | None = None


class Feature(Model):
    """One plugin to enable; all other keys are options of that plugin."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    plugin: Line
    name: Line | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        """The plugin's own keys, not yet decoded."""
        return self.model_extra or {}


class Shared(Model):
    """Defaults for all agents of a fleet; an agent's own values override them."""

    container_runtime: EngineName | None = None
    egress: Egress | None = None
    features: tuple[Feature, ...] = ()


class Fleet(Model):
    """One fleet.yaml: the directories of its agents, and what they share."""

    agents: Annotated[tuple[ShortName, ...], Field(min_length=1)]
    shared: Shared = Shared()


class AgentConfig(Model):
    """One agent.yaml."""

    name: ShortName
    runtime: Runtime
    container_runtime: EngineName | None = None
    log_level: LogLevel = "info"
    gateway: bool = True
    workdir: Workdir = "{{ .AGENT_HOME }}"
    egress: Egress = Egress(mode="open")
    limits: Limits = Limits()
    packages: tuple[Package, ...] = ()
    features: tuple[Feature, ...] = ()
