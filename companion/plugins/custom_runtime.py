"""A project's own additions: commands, hooks, ports, volumes, home files, environment."""

import re
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, model_validator

from companion.config.models import Model
from companion.config.values import FileName, Line, PortText, Text, split_port
from companion.plugins.base import Context, FeaturePlugin
from companion.plugins.contribution import Command, Contribution, Mount, Port, ProjectFile, Variable

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\Z")
_MODES = {"": False, "rw": False, "ro": True}
_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER")


def _assignment(text: str) -> str:
    if not _VARIABLE.match(text):
        raise ValueError("must be of the form NAME=value")
    if "$" in text:
        raise ValueError("must not refer to variables: secrets are injected by the gateway")
    return text


def _volume(text: str) -> str:
    source, target, *mode = [*text.split(":"), ""] if text.count(":") == 1 else text.split(":")
    if not source or not target.startswith(("/", "{{")) or len(mode) != 1 or mode[0] not in _MODES:
        raise ValueError("must be name:/path, ./directory:/path or either with :ro")
    if not source.startswith((".", "/", "{{")) and not _VOLUME.match(source):
        raise ValueError("must name a volume (letters, digits, _ . -) or a path beginning with ./")
    return text


def _capability(text: str) -> str:
    name = text.upper().removeprefix("CAP_")
    if name not in _CAPABILITIES:
        raise ValueError(f"must be one of {', '.join(_CAPABILITIES)}: others weaken the sandbox")
    return name


class Options(Model):
    """Options of the custom-runtime plugin."""

    commands: tuple[Line, ...] = ()
    entrypoint_hooks: tuple[Line, ...] = ()
    root_hooks: tuple[Line, ...] = ()
    capabilities: tuple[Annotated[Line, AfterValidator(_capability)], ...] = ()
    ports: tuple[PortText, ...] = ()
    runtime_volumes: tuple[Annotated[Line, AfterValidator(_volume)], ...] = ()
    home_override: FileName | None = None
    env: tuple[Annotated[Text, AfterValidator(_assignment)], ...] = ()

    @model_validator(mode="after")
    def _capabilities_are_for_hooks(self) -> "Options":
        if self.capabilities and not self.root_hooks:
            raise ValueError("gives capabilities but no root_hooks: only those can use them")
        return self


def contribute(options: Options, context: Context) -> Contribution:
    """Translate each option; paths stay as the user wrote them and are not resolved here."""

    def file(path: str, *option: str | int) -> ProjectFile:
        return ProjectFile(context.expand(path), context.origin.at(*option))

    return Contribution(
        commands=tuple(
            Command(context.expand(text), context.origin.at("commands", i))
            for i, text in enumerate(options.commands)
        ),
        hooks=tuple(file(p, "entrypoint_hooks", i) for i, p in enumerate(options.entrypoint_hooks)),
        root_hooks=tuple(file(p, "root_hooks", i) for i, p in enumerate(options.root_hooks)),
        capabilities=options.capabilities,
        ports=tuple(
            Port(*split_port(p), context.origin.at("ports", i)) for i, p in enumerate(options.ports)
        ),
        overlays=(file(options.home_override, "home_override"),) if options.home_override else (),
        mounts=tuple(_mount(v, i, context) for i, v in enumerate(options.runtime_volumes)),
        variables=tuple(_variable(text, i, context) for i, text in enumerate(options.env)),
    )


def _mount(text: str, index: int, context: Context) -> Mount:
    source, target, mode = (*context.expand(text).split(":"), "")[:3]
    return Mount(source, _plain(target), _MODES[mode], context.origin.at("runtime_volumes", index))


def _plain(target: str) -> str:
    """Return a target in the spelling that engines report: `/x/` and `//x` are `/x`."""
    return str(PurePosixPath("/" + target.lstrip("/"))) if target.startswith("/") else target


def _variable(text: str, index: int, context: Context) -> Variable:
    name, _, value = text.partition("=")
    return Variable(name, context.expand(value), context.origin.at("env", index))


PLUGIN = FeaturePlugin(
    name="custom-runtime",
    summary="Image commands, start hooks, ports, volumes, home files and environment of your own",
    options=Options,
    contribute=contribute,
)
