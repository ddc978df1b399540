"""Powers inside: what a configuration runs, sets and may use in its sandbox. Pure."""

import hashlib
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping

from companion.config.decode import Loaded
from companion.config.models import AgentConfig, Limits
from companion.config.origin import Origin
from companion.plugins import custom_runtime
from companion.plugins.contribution import Contribution, ProjectFile, RuntimeProgram
from companion.sandbox.model import PathFacts
from companion.sandbox.powers import FENCED, PACKAGE, Agreed, Kind, Power
from companion.spec.build_network import reach
from companion.spec.containers import File

_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def powers_inside(
    loaded: Loaded,
    program: RuntimeProgram,
    contribution: Contribution,
    found: Mapping[ProjectFile, PathFacts],
    *,
    fences_builds: bool,
) -> Iterator[Power]:
    """Yield what a checked configuration runs, sets and may use; arguments as of powers_of()."""
    is_fenced = fences_builds and loaded.config.gateway
    yield from _builds(loaded.config, contribution, is_fenced=is_fenced)
    yield from _files(contribution, found)
    yield from _programs(loaded.config, program)
    yield from _versions(loaded)
    yield from _variables(contribution)
    yield from _committers(contribution)
    yield from _limits(loaded.config.limits)


def content_of(files: Iterable[File]) -> str:
    """Return a digest of files for which nobody finds two contents with the same one."""
    rows = sorted((f.path, f.mode, hashlib.sha256(f.content).hexdigest()) for f in files)
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _builds(config: AgentConfig, contribution: Contribution, *, is_fenced: bool) -> Iterator[Power]:
    """Yield what runs while the image is built: as root of a container, with a network."""
    runtime, origin = config.runtime, Origin(("runtime",))
    if runtime.base_image:
        text = f"starts from the image {runtime.base_image}"
        yield Power(Agreed(Kind.IMAGE, runtime.base_image), text, origin.at("base_image"))
    is_own = runtime.base_image or any(command.origin for command in contribution.commands)
    if is_own or not is_fenced:
        text = f"is built with access to {reach(is_fenced=is_fenced)}"
        subject = FENCED if is_fenced else ""
        yield Power(Agreed(Kind.BUILD_NETWORK, subject), text, origin)
    for number, name in enumerate(config.packages):
        text = PACKAGE + name
        yield Power(Agreed(Kind.PACKAGE, name), text, Origin(("packages", number)))
    for number, text in enumerate(runtime.install):
        yield Power(Agreed(Kind.BUILD, text), text, origin.at("install", number))
    for command in contribution.commands:
        if command.origin:
            yield Power(Agreed(Kind.BUILD, command.text), command.text, command.origin)


def _files(contribution: Contribution, found: Mapping[ProjectFile, PathFacts]) -> Iterator[Power]:
    """Yield what files of the project do in the sandbox; their contents count."""
    named = (
        (Kind.ROOT_HOOK, "runs {} as root in the container at each start", contribution.root_hooks),
        (Kind.HOOK, "runs {} in the sandbox at each start", contribution.hooks),
        (Kind.HOME, "copies {} into the agent's home", contribution.overlays),
        (Kind.KEYS, "lets the keys in {} log in to the sandbox",
         [s.authorized_keys for s in contribution.ssh if s.authorized_keys]),
        (Kind.HOST_KEY, "uses the SSH host key {}",
         [s.host_key for s in contribution.ssh if s.host_key]),
    )  # fmt: skip
    for kind, text, files in named:
        for file in files:
            content = content_of(found[file].files)
            yield Power(
                Agreed(kind, file.path, content),
                text.format(file.path),
                file.origin,
                path=found[file].real,
                links=tuple(link.path for link in found[file].links),
            )
    for capability in contribution.capabilities:
        text = f"gives its root hooks the capability {capability}"
        yield Power(Agreed(Kind.CAPABILITY, capability), text)


def _programs(config: AgentConfig, program: RuntimeProgram) -> Iterator[Power]:
    """Yield the programs that the project itself chooses; a named runtime's are Companion's."""
    if config.runtime.name is not None:
        return
    given, origin = config.runtime.model_fields_set, Origin(("runtime",))
    if "cmd" in given and program.command:
        command = shlex.join(program.command)
        yield Power(
            Agreed(Kind.COMMAND, command), f"runs in the sandbox: {command}", origin.at("cmd")
        )
    if program.acp_command:
        command = shlex.join(program.acp_command)
        text = f"editors start in the sandbox: {command}"
        yield Power(Agreed(Kind.EDITOR, command), text, origin.at("acp_cmd"))


def _versions(loaded: Loaded) -> Iterator[Power]:
    """Yield the versions of programs that the project chooses; others are Companion's choice."""
    runtime = loaded.config.runtime
    chosen = [(runtime.name or "", runtime.version, Origin(("runtime",)))]
    chosen += [(f.plugin, f.options.get("version"), origin) for origin, f in loaded.features]
    for name, version, origin in chosen:
        if isinstance(version, str):
            text = f"installs {name} in version {version}"
            yield Power(Agreed(Kind.VERSION, f"{name} {version}"), text, origin.at("version"))


def _variables(contribution: Contribution) -> Iterator[Power]:
    """Yield the variables that the project sets; those of other plugins are Companion's."""
    for variable in contribution.variables:
        if variable.origin.plugin == custom_runtime.PLUGIN.name:
            pair = f"{variable.name}={variable.value}"
            text = f"sets {pair} for the agent's programs"
            yield Power(Agreed(Kind.VARIABLE, pair), text, variable.origin)


def _committers(contribution: Contribution) -> Iterator[Power]:
    """Yield who the agent's commits are by; without a choice, there is nothing to agree to."""
    for who in contribution.committers:
        named = f"{who.name} <{who.email}>".removesuffix(" <>").strip()
        if named:
            yield Power(Agreed(Kind.COMMITTER, named), f"commits as {named}", who.origin)
        if who.signs:
            text = "signs its commits with a key of its own, which you may add at your forge"
            yield Power(Agreed(Kind.COMMITTER, "signs"), text, who.origin.at("sign"))


def _limits(limits: Limits) -> Iterator[Power]:
    """Yield the limits that are higher than usual, and the number of cores."""
    origin, usual = Origin(("limits",)), Limits()
    if _bytes(limits.memory) > _bytes(usual.memory):
        text = f"may use {limits.memory} of this machine's memory"
        yield Power(Agreed(Kind.LIMITS, f"memory {limits.memory}"), text, origin.at("memory"))
    if limits.pids > usual.pids:
        text = f"may run {limits.pids} processes at once"
        yield Power(Agreed(Kind.LIMITS, f"pids {limits.pids}"), text, origin.at("pids"))
    if limits.cpus:
        text = f"may use {limits.cpus} of this machine's cores"
        yield Power(Agreed(Kind.LIMITS, f"cpus {limits.cpus}"), text, origin.at("cpus"))


def _bytes(size: str) -> int:
    return int(size[:-1]) * _UNITS[size[-1]]
