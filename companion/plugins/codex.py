"""Codex: a runtime with its ACP adapter, and a feature that adds the CLI and an API key."""

from companion.config.models import Model
from companion.plugins import npm
from companion.plugins.base import Context, FeaturePlugin, Reference, Version
from companion.plugins.contribution import Command, Contribution, EnvVar, Header, Upstream

_PACKAGE, _PINNED = "@openai/codex", "0.136.0"
_HOST = "api.openai.com"
# The container is the sandbox: Codex's own would fail, and every command with it, on engines that
# allow no nested sandbox.
_ALWAYS = (
    'sandbox_mode = "danger-full-access"',
    "[features]",
    "plugins = false",
    "[analytics]",
    "enabled = false",
)
# A provider entry without login: neither the CLI nor an editor asks for an account.
_PROVIDER = (
    'model_provider = "gateway"',
    *_ALWAYS,
    "[model_providers.gateway]",
    'name = "OpenAI"',
    f'base_url = "https://{_HOST}/v1"',
    'wire_api = "responses"',
)


def _defaults(lines: tuple[str, ...]) -> str:
    """Return the command that writes the system-wide defaults, which the home's own override."""
    words = " ".join(f"'{line}'" for line in lines)
    return f"mkdir -p /etc/codex && printf '%s\\n' {words} >/etc/codex/config.toml"


RUNTIME = npm.runtime(
    name="codex",
    summary="OpenAI Codex CLI with the codex-acp adapter",
    packages=(f"{_PACKAGE}@{_PINNED}", "@zed-industries/codex-acp@0.15.0"),
    adapter="codex-acp",
    commands=(_defaults(_ALWAYS),),
)


class Options(Model):
    """Options of the codex plugin."""

    api_key: Reference
    version: Version | None = None


def contribute(options: Options, context: Context) -> Contribution:
    """Install the CLI unless the image has it; the gateway adds the key."""
    header = Header("Authorization", "Bearer ", EnvVar(options.api_key), "")
    added = npm.added("codex", _PACKAGE, _PINNED, options.version)
    return Contribution(
        commands=(*added, Command(_defaults(_PROVIDER))),
        upstreams=(Upstream("https", _HOST, 443, (header,), context.origin),),
    )


PLUGIN = FeaturePlugin(
    name="codex",
    summary="OpenAI Codex CLI, its key injected by the gateway",
    options=Options,
    contribute=contribute,
)
