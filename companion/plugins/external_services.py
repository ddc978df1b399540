"""Hosts that the agent may call, with headers that the gateway adds and the agent never sees."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, model_validator

from companion.config.models import Model
from companion.config.origin import Origin
from companion.config.request_rules import Ruled
from companion.config.values import NAMELESS, USE_A_NAME, Line, hostname, is_address, service_port
from companion.plugins.base import Context, FeaturePlugin
from companion.plugins.contribution import Contribution, EnvVar, Header, Upstream

_REFERENCE = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)\}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}\Z")
_FORBIDDEN = {"host", "connection", "content-length", "transfer-encoding", "upgrade"}
_DEFAULT_PORTS = {"docker": 80, "http": 80, "https": 443}
_DOTTED = re.compile(r"(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}\Z")
_NETWORK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")
_NO_NETWORKS = {"host", "none"}


def _header_name(name: str) -> str:
    if not _HEADER.match(name):
        raise ValueError("must be a header name such as Authorization")
    if name.lower() in _FORBIDDEN:
        raise ValueError("is a header that the gateway itself must control")
    return name


def _header_value(value: str) -> str:
    if len(_REFERENCE.findall(value)) != 1 or "$" in _REFERENCE.sub("", value):
        raise ValueError(
            'must contain exactly one ${VARIABLE}, such as "Bearer ${API_KEY}":'
            " put the secret itself into .env"
        )
    if not all(" " <= char <= "~" for char in value):
        raise ValueError("must be printable ASCII")
    return value


def _address(scheme: str, host: str) -> None:
    """Refuse an address at which the gateway cannot reach a service."""
    if scheme == "https":
        other = "" if ":" in host else ", or http:// if the service speaks it"
        raise ValueError(f"must have a host name: {NAMELESS}; {USE_A_NAME}{other}")
    if ":" in host:
        raise ValueError("must have a host name or an IPv4 address: the gateway has no IPv6")
    if scheme == "http" and not _DOTTED.match(host):
        raise ValueError("must have its address as four decimal numbers, such as 10.0.0.5")


def _url(url: str) -> str:
    scheme, _, rest = url.partition("://")
    if scheme not in _DEFAULT_PORTS or not rest:
        raise ValueError("must begin with http://, https:// or docker://")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        if not is_address(host):
            hostname(host)
    except ValueError:
        raise ValueError(
            "must be a URL such as https://api.example.com or http://host:8000"
        ) from None
    if is_address(host):
        _address(scheme, host)
    service_port(port)
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("must have no user, query or fragment: headers carry the secret")
    return url


def _network(name: str) -> str:
    if not _NETWORK.match(name) or name in _NO_NETWORKS:
        raise ValueError("must be the name of a network of the container engine")
    return name


class ServiceOptions(Ruled):
    """One service of the external-services plugin."""

    url: Annotated[Line, AfterValidator(_url)]
    network: Annotated[Line, AfterValidator(_network)] | None = None
    headers: Mapping[
        Annotated[Line, AfterValidator(_header_name)],
        Annotated[Line, AfterValidator(_header_value)],
    ] = {}

    @model_validator(mode="after")
    def _headers_differ(self) -> "ServiceOptions":
        if len({name.lower() for name in self.headers}) != len(self.headers):
            raise ValueError("gives one header twice")
        return self

    @model_validator(mode="after")
    def _has_its_network(self) -> "ServiceOptions":
        is_docker = self.url.startswith("docker://")
        if is_docker and self.network is None:
            raise ValueError("needs `network`: the engine network of its container")
        if self.network is not None and not is_docker:
            raise ValueError("takes `network` only with a docker:// url")
        return self


class Options(Model):
    """Options of the external-services plugin."""

    services: tuple[ServiceOptions, ...]

    @model_validator(mode="after")
    def _some(self) -> "Options":
        if not self.services:
            raise ValueError("needs at least one service")
        return self


def contribute(options: Options, context: Context) -> Contribution:
    """Add one upstream per service; the path of its URL is ignored."""
    return Contribution(
        upstreams=tuple(
            _upstream(s, context.origin.at("services", i)) for i, s in enumerate(options.services)
        ),
        networks=tuple(s.network for s in options.services if s.network),
    )


def _upstream(service: ServiceOptions, origin: Origin) -> Upstream:
    parts = urlsplit(service.url)
    scheme = "http" if parts.scheme == "docker" else parts.scheme
    return Upstream(
        scheme=cast("Literal['http', 'https']", scheme),
        host=hostname(parts.hostname or ""),
        port=parts.port or _DEFAULT_PORTS[scheme],
        headers=tuple(_header(*item) for item in sorted(service.headers.items())),
        origin=origin,
        network=service.network or "",
        rules=service.rules,
    )


def _header(name: str, value: str) -> Header:
    prefix, secret, suffix = _REFERENCE.split(value)
    return Header(name, prefix, EnvVar(secret), suffix)


PLUGIN = FeaturePlugin(
    name="external-services",
    summary="HTTP and HTTPS services with credentials injected by the gateway",
    options=Options,
    contribute=contribute,
)
