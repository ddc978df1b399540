"""The powers of a configuration: what it opens, computed from the checked values. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from companion.config.decode import Loaded
from companion.config.models import AgentConfig
from companion.config.origin import Origin
from companion.config.ports import SSHD_PORT
from companion.config.presets import PRESETS
from companion.config.strict_yaml import Document
from companion.plugins import external_services, git, github_pat
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
from companion.sandbox.powers import Agreed, Kind, Power
from companion.sandbox.powers_inside import powers_inside

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
        *powers_inside(loaded, program, contribution, found, fences_builds=fences_builds),
    )
    distinct = {power.agreed: power for power in reversed(every)}
    return tuple(_placed(power, loaded.document) for power in reversed(distinct.values()))


def _placed(power: Power, document: Document) -> Power:
    return replace(power, place=power.origin.place(document)) if power.origin else power


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
