"""The powers of a configuration: what it opens, computed from the checked values. Pure."""

import hashlib
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from companion.config.decode import Loaded
from companion.config.models import AgentConfig, Limits
from companion.config.origin import Origin
from companion.config.ports import SSHD_PORT
from companion.config.presets import PRESETS
from companion.config.strict_yaml import Document
from companion.plugins import custom_runtime, external_services, git, github_pat
from companion.plugins.contribution import (
    Contribution,
    EnvVar,
    Mount,
    OAuthToken,
    ProjectFile,
    RuntimeProgram,
    Upstream,
)
from companion.sandbox.model import PathFacts, mount_file
from companion.sandbox.powers import FENCED, PACKAGE, Agreed, Kind, Power
from companion.spec.build_network import reach
from companion.spec.containers import File

_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_HERE = "127."
"""Prefix of the addresses that only this machine reaches."""


def powers_of(
    loaded: Loaded,
    program: RuntimeProgram,
    contribution: Contribution,
    found: Mapping[ProjectFile, PathFacts],
    *,
    fences_builds: bool,
    origins: Mapping[str, str],
) -> tuple[Power, ...]:
    """Return everything that a checked configuration opens, without duplicates.

    Args:
        loaded: agent.yaml, joined with what its fleet shares.
        program: the runtime that it names or defines.
        contribution: the merged contributions of its features.
        found: what the paths that it names are on disk.
        fences_builds: the user's settings do not open the network of builds.
        origins: name → where the value of a secret of the user's own comes from, in words.
    """
    every = (
        *_reach(loaded.config, loaded.egress),
        *_services(contribution, origins),
        *_mounts(contribution, found),
        *_ports(contribution),
        *_builds(loaded.config, contribution, is_fenced=fences_builds and loaded.config.gateway),
        *_files(contribution, found),
        *_programs(loaded.config, program),
        *_versions(loaded),
        *_variables(contribution),
        *_committers(contribution),
        *_limits(loaded.config.limits),
    )
    distinct = {power.agreed: power for power in reversed(every)}
    return tuple(_placed(power, loaded.document) for power in reversed(distinct.values()))


def _placed(power: Power, document: Document) -> Power:
    return replace(power, place=power.origin.place(document)) if power.origin else power


def content_of(files: Iterable[File]) -> str:
    """Return a digest of files for which nobody finds two contents with the same one."""
    rows = sorted((f.path, f.mode, hashlib.sha256(f.content).hexdigest()) for f in files)
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _reach(config: AgentConfig, origin: Origin) -> Iterator[Power]:
    """Yield which hosts the agent reaches without a credential."""
    if not config.gateway:
        text = "has no gateway: reaches all that containers on this machine reach"
        yield Power(Agreed(Kind.NO_GATEWAY, ""), text, Origin(("gateway",)))
    elif config.egress.mode == "open":
        text = "reaches every public host on ports 443 and 80"
        yield Power(Agreed(Kind.OPEN_EGRESS, ""), text, origin)
    for number, host in enumerate(config.egress.allow):
        yield _host(host, origin.at("allow", number))
    for number, preset in enumerate(config.egress.presets):
        for host in PRESETS[preset]:
            yield _host(host, origin.at("presets", number), f" (preset {preset})", Kind.HOST)


def _host(host: str, origin: Origin, why: str = "", kind: Kind | None = None) -> Power:
    is_wide = host.startswith("*.")
    named = f"every host below {host[2:]}" if is_wide else host
    kind = kind or (Kind.WILDCARD if is_wide else Kind.HOST)
    return Power(Agreed(kind, host), f"reaches {named}{why}", origin)


def _services(contribution: Contribution, origins: Mapping[str, str]) -> Iterator[Power]:
    """Yield the endpoints that are reached by name, wherever they are, and what is sent there."""
    for upstream in contribution.upstreams:
        for header in upstream.headers:
            yield _sent(upstream, header.secret, header.name, origins)
        if _is_chosen(upstream):
            text = f"reaches {upstream.place}, even in your own network{_limited(upstream)}"
            agreed = Agreed(Kind.SERVICE, upstream.place, upstream.rules.text)
            yield Power(agreed, text, upstream.origin)
    for provider in contribution.providers:
        text = f"asks you to authorize it at {provider.url}"
        subject = f"{provider.url} {provider.client_id}".strip()
        if provider.is_account:
            text, subject = f"uses your {provider.name} plan", provider.token.name
        yield Power(Agreed(Kind.LOGIN, subject), text, provider.origin)
        if provider.client_secret:
            name = provider.client_secret.name
            sent = f"sends {_named(name, origins)} to {provider.url} (client secret)"
            yield Power(Agreed(Kind.SECRET, f"{name} {provider.url}"), sent, provider.origin)
    for network in contribution.networks:
        text = f"is connected to all of the engine's network {network} through its gateway"
        yield Power(Agreed(Kind.ENGINE_NETWORK, network), text)


def _is_chosen(upstream: Upstream) -> bool:
    """Tell whether the project chose the host: it may be one of the user's own network.

    A plugin's own host is a vendor's, and an MCP server's is in the question to authorize it.
    """
    match upstream.origin.plugin:
        case external_services.PLUGIN.name:
            return True
        case github_pat.PLUGIN.name:
            return upstream.host not in github_pat.DOMAINS
        case git.PLUGIN.name:
            return upstream.host not in git.FORGES
        case _:
            return not upstream.headers


def _limited(upstream: Upstream) -> str:
    return f" ({upstream.rules.sentence})" if upstream.rules else ""


def _named(name: str, origins: Mapping[str, str]) -> str:
    return f"{name} {origins[name]}" if name in origins else name


def _sent(
    upstream: Upstream, secret: EnvVar | OAuthToken, header: str, origins: Mapping[str, str]
) -> Power:
    name = _named(secret.name, origins)
    if isinstance(secret, OAuthToken):
        name = (
            f"your {secret.provider} token" if secret.is_account else f"the token for {secret.url}"
        )
    clear = ", unencrypted" if upstream.scheme == "http" else ""
    text = f"sends {name} to {upstream.endpoint} (header {header}{clear}){_limited(upstream)}"
    agreed = Agreed(Kind.SECRET, f"{secret.name} {upstream.place}", upstream.rules.text)
    return Power(agreed, text, upstream.origin)


def _mounts(contribution: Contribution, found: Mapping[ProjectFile, PathFacts]) -> Iterator[Power]:
    for mount in contribution.mounts:
        if not mount.is_volume:
            yield _mounted(mount, found[mount_file(mount)])


def _mounted(mount: Mount, facts: PathFacts) -> Power:
    kinds = {
        (True, True): Kind.PROJECT_READ,
        (True, False): Kind.PROJECT_WRITE,
        (False, True): Kind.FOREIGN_READ,
        (False, False): Kind.FOREIGN_WRITE,
    }
    verb = "reads" if mount.read_only else "reads and changes"
    known = ["of the project"] * facts.inside
    known += [f"at {mount.target}"] * (mount.target != str(facts.real))
    where = f" ({', '.join(known)})" if known else ""
    but = ", except git's configuration and hooks" if facts.git and not mount.read_only else ""
    text = f"{verb} all files in {facts.real}{where}{but}"
    subject = f"{facts.real}:{mount.target}"  # no target has a colon
    return Power(Agreed(kinds[facts.inside, mount.read_only], subject), text, mount.origin)


def _ports(contribution: Contribution) -> Iterator[Power]:
    for server in contribution.ssh:
        if server.port:
            here = f"127.0.0.1:{server.port}"
            text = f"answers SSH on {here} (open to this machine)"
            yield Power(Agreed(Kind.PORT, f"{here}:{SSHD_PORT}"), text, server.origin.at("port"))
    for port in contribution.ports:
        is_here = port.address.startswith(_HERE)
        who = "this machine" if is_here else "other machines, too"
        text = f"answers on {port.address}:{port.host} (open to {who})"
        kind = Kind.PORT if is_here else Kind.PUBLIC_PORT
        yield Power(Agreed(kind, f"{port.address}:{port.host}:{port.container}"), text, port.origin)


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
