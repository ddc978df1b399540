"""Hosts that the agent may call, with headers that the gateway adds and the agent never sees."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, model_validator

from companion.config.models import Line, Model, hostname
from companion.contribution import Contribution, Header, Upstream
from companion.plugins.base import Context, FeaturePlugin

_REFERENCE = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)\}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}\Z")
_FORBIDDEN = {"host", "connection", "content-length", "transfer-encoding", "upgrade"}
_DEFAULT_PORTS = {"http": 80, "https": 443}


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


def _url(url: str) -> str:
    scheme, _, rest = url.partition("://")
    if scheme == "docker":
        raise ValueError("docker:// services are not supported yet: use http:// or https://")
    if scheme not in _DEFAULT_PORTS or not rest:
        raise ValueError("must begin with http:// or https://")
    try:
        parts = urlsplit(url)
        hostname(parts.hostname or "")
        port = parts.port
    except ValueError:
        raise ValueError(
            "must be a URL such as https://api.example.com or http://host:8000"
        ) from None
    if parts.username is not None or parts.query or parts.fragment or port == 0:
        raise ValueError("must have no user, query or fragment: headers carry the secret")
    return url


class Service(Model):
    """One service of the external-services plugin."""

    url: Annotated[Line, AfterValidator(_url)]
    headers: Mapping[
        Annotated[Line, AfterValidator(_header_name)],
        Annotated[Line, AfterValidator(_header_value)],
    ] = {}

    @model_validator(mode="after")
    def _headers_differ(self) -> "Service":
        if len({name.lower() for name in self.headers}) != len(self.headers):
            raise ValueError("gives one header twice")
        return self


class Options(Model):
    """Options of the external-services plugin."""

    services: tuple[Service, ...]

    @model_validator(mode="after")
    def _some(self) -> "Options":
        if not self.services:
            raise ValueError("needs at least one service")
        return self


def contribute(options: Options, context: Context) -> Contribution:
    """Add one upstream per service; its path plays no part in what is reached."""
    return Contribution(upstreams=tuple(_upstream(s, context.origin) for s in options.services))


def _upstream(service: Service, origin: str) -> Upstream:
    parts = urlsplit(service.url)
    scheme = cast("Literal['http', 'https']", parts.scheme)
    return Upstream(
        scheme=scheme,
        host=hostname(parts.hostname or ""),
        port=parts.port or _DEFAULT_PORTS[scheme],
        headers=tuple(_header(*item) for item in sorted(service.headers.items())),
        origin=origin,
    )


def _header(name: str, value: str) -> Header:
    prefix, secret, suffix = _REFERENCE.split(value)
    return Header(name, prefix, secret, suffix)


PLUGIN = FeaturePlugin(
    name="external-services",
    summary="HTTP and HTTPS services with credentials injected by the gateway",
    options=Options,
    contribute=contribute,
)
