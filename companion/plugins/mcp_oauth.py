"""MCP servers with OAuth: what an agent.yaml may say of them is known, doing it is not yet."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from companion.config.models import Line, Model, hostname
from companion.plugins.base import Reference, RefusedPlugin


def _server(url: str) -> str:
    parts = urlsplit(url)
    try:
        hostname(parts.hostname or "")
    except ValueError:
        raise ValueError("must be a URL such as https://mcp.example.com/mcp") from None
    if parts.scheme != "https" or parts.username is not None:
        raise ValueError("must begin with https:// and have no user")
    return url


class Provider(Model):
    """One MCP server, and who we are there."""

    mcp_url: Annotated[Line, AfterValidator(_server)]
    client_id: Line = ""
    client_secret: Reference | None = None


class Options(Model):
    """Options of the mcp-oauth plugin."""

    providers: Annotated[dict[str, Provider], Field(min_length=1)]
    token_dir: Line = "/data/oauth-tokens"  # noqa: S105 - a directory


PLUGIN = RefusedPlugin(
    name="mcp-oauth",
    options=Options,
    why="is not supported yet: its tokens would have to lie in the agent",
    instead="name the server under external-services, with a token of yours as its Authorization",
)
