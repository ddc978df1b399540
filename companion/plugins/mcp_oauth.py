"""MCP servers that the user authorizes by OAuth, with tokens that the agent never sees."""

import re
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from companion.config.models import Model
from companion.config.values import Line, hostname, is_address, service_port, tls_name
from companion.plugins.base import Context, FeaturePlugin, Reference
from companion.plugins.contribution import Contribution, EnvVar, Header, Provider, Upstream

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}\Z")
_TLS = 443


def _name(text: str) -> str:
    if not _NAME.match(text):
        raise ValueError("must be 1 to 40 of letters, digits, - and _")
    return text


def _server(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        if not is_address(host):
            hostname(host)
    except ValueError:
        raise ValueError("must be a URL such as https://mcp.example.com/mcp") from None
    tls_name(host)
    service_port(port)
    if parts.scheme != "https" or parts.username is not None:
        raise ValueError("must begin with https:// and have no user")
    if "#" in url:
        raise ValueError("must have no fragment")
    return _printable(url)


def _printable(text: str) -> str:
    if not all("!" <= char <= "~" for char in text):
        raise ValueError("must be printable ASCII without spaces")
    return text


class ServerOptions(Model):
    """One MCP server and our client there; without client_id, the server assigns one."""

    mcp_url: Annotated[Line, AfterValidator(_server)]
    client_id: Annotated[Line, AfterValidator(_printable)] = ""
    client_secret: Reference | None = None

    @model_validator(mode="after")
    def _has_client_id(self) -> "ServerOptions":
        if self.client_secret and not self.client_id:
            raise ValueError("gives a client_secret, but no client_id")
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.mcp_url)
        return hostname(parts.hostname or ""), parts.port or _TLS


class Options(Model):
    """Options of the mcp-oauth plugin."""

    providers: Annotated[
        Mapping[Annotated[str, AfterValidator(_name)], ServerOptions], Field(min_length=1)
    ]
    token_dir: Line = ""
    """Accepted but unused: the reference system keeps its tokens there, in the agent."""

    @model_validator(mode="after")
    def _one_token_each(self) -> "Options":
        if len({server.address for server in self.providers.values()}) != len(self.providers):
            raise ValueError("has two providers on one host and port, which can have only one")
        return self


def contribute(options: Options, context: Context) -> Contribution:
    """Let the agent reach each server; the gateway adds the token from `companion oauth`."""
    providers = tuple(
        Provider(
            name,
            s.mcp_url,
            s.client_id,
            EnvVar(s.client_secret) if s.client_secret else None,
            context.origin.at("providers", name),
        )
        for name, s in sorted(options.providers.items())
    )
    return Contribution(
        providers=providers,
        upstreams=tuple(_upstream(p, *options.providers[p.name].address) for p in providers),
    )


def _upstream(provider: Provider, host: str, port: int) -> Upstream:
    bearer = Header("Authorization", "Bearer ", provider.token, "")
    return Upstream("https", host, port, (bearer,), provider.origin)


PLUGIN = FeaturePlugin(
    name="mcp-oauth",
    summary="MCP servers that `companion oauth` authorizes, the token injected by the gateway",
    options=Options,
    contribute=contribute,
)
