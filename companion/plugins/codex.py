"""Codex: a runtime with its ACP adapter, and a feature that adds the CLI and its credential."""

from dataclasses import replace
from typing import Literal

from pydantic import model_validator

from companion.config.request_rules import Ruled
from companion.config.values import Version
from companion.plugins import hooks, instructions, npm
from companion.plugins.base import Context, FeaturePlugin, Reference
from companion.plugins.contribution import (
    Command,
    Contribution,
    EnvVar,
    Header,
    Provider,
    SecretRef,
    Upstream,
)
from companion.plugins.login import Credential, ModelLogin
from companion.spec.identity import LIB
from companion.traffic.attention import Word

_CLI = npm.Cli("codex", "@openai/codex", "0.171.0")
_HOST = "api.openai.com"
# The container is the sandbox: Codex's own would fail, and every command with it, on engines that
# allow no nested sandbox.
_ALWAYS = (
    'default_permissions = ":danger-full-access"',
    f'developer_instructions = "{instructions.TEXT}"',
    "[features]",
    "plugins = false",
    "[analytics]",
    "enabled = false",
)
# The adapter starts an editor's chat in a mode of its own, whatever the defaults say. All others
# run each command in a sandbox of Codex.
_MODE = ("INITIAL_AGENT_MODE", "agent-full-access")
_URL = f"https://{_HOST}/v1"


def _provider(name: str) -> tuple[str, ...]:
    """Return a provider entry without login: neither the CLI nor an editor asks for an account.

    Codex uses more of the API for the name OpenAI than a ChatGPT plan includes.
    """
    return (
        'model_provider = "gateway"',
        *_ALWAYS,
        "[model_providers.gateway]",
        f'name = "{name}"',
        f'base_url = "{_URL}"',
        'wire_api = "responses"',
    )


def _defaults(lines: tuple[str, ...]) -> str:
    """Return the command that writes the system-wide defaults, which the home's own override."""
    words = " ".join(f"'{line}'" for line in lines)
    return f"mkdir -p /etc/codex && printf '%s\\n' {words} >/etc/codex/config.toml"


# `codex exec` prints a line for each call, so only what changes the word is called for.
_EVENTS = {
    Word.BUSY: ("UserPromptSubmit", "PostToolUse"),
    Word.WAITING: ("PermissionRequest",),
    Word.DONE: ("Stop", "Interrupt"),
    Word.ENDED: ("SessionEnd",),
}


def _hooks() -> str:
    """Return the command that writes the hooks among the managed requirements."""
    lines = ["[hooks]", f'managed_dir = "{LIB}"']
    for word, events in _EVENTS.items():
        run = f'type = "command"\ncommand = "{hooks.command(word)}"\ntimeout = {hooks.SECONDS}'
        lines += (f"[[hooks.{event}]]\n[[hooks.{event}.hooks]]\n{run}" for event in events)
    return hooks.written("/etc/codex/requirements.toml", "\n".join(lines) + "\n")


_LOGINS = (
    ModelLogin(
        mode="api-key",
        title="an API key of the OpenAI platform",
        source="https://platform.openai.com/api-keys creates one; usage is billed to it",
        options={"plugin": "codex", "api_key": "${OPENAI_API_KEY}"},
        credential=Credential(
            variable="OPENAI_API_KEY",
            host=_HOST,
            header="Authorization",
            prefix="Bearer ",
            path="/v1/models",
            begins="sk-",
        ),
    ),
    ModelLogin(
        mode="chatgpt",
        title="your ChatGPT plan",
        source="Companion opens ChatGPT in your browser; Plus and Pro plans have it",
        options={"plugin": "codex", "login": "chatgpt"},
    ),
)

_PROGRAM = npm.runtime(
    name="codex",
    summary="OpenAI Codex CLI with the codex-acp adapter",
    cli=_CLI,
    acp=npm.Acp(("codex-acp",), "@agentclientprotocol/codex-acp@2.6.0", (_MODE,)),
    commands=(_defaults(_ALWAYS), _hooks()),
)
RUNTIME = replace(_PROGRAM, logins=_LOGINS, elsewhere=("OPENAI_BASE_URL",))


class Options(Ruled):
    """Options of the codex plugin."""

    api_key: Reference | None = None
    login: Literal["chatgpt"] | None = None
    """Use the user's ChatGPT plan; `companion login` obtains the token."""
    version: Version | None = None

    @model_validator(mode="after")
    def _has_one_credential(self) -> "Options":
        if bool(self.api_key) == bool(self.login):
            raise ValueError("needs either api_key or `login: chatgpt`")
        return self


def contribute(options: Options, context: Context) -> Contribution:
    """Install the CLI unless the image has it; the gateway adds the key, or the plan's token."""
    added = (*npm.added(_CLI, options.version), Command(_hooks()))
    if options.api_key:
        return Contribution(
            commands=(*added, Command(_defaults(_provider("OpenAI")))),
            upstreams=(_upstream(EnvVar(options.api_key), options, context),),
        )
    origin = context.origin.at("login")
    plan = Provider("ChatGPT", _URL, "", None, origin, is_account=True)
    return Contribution(
        commands=(*added, Command(_defaults(_provider("ChatGPT plan")))),
        providers=(plan,),
        upstreams=(_upstream(plan.token, options, context),),
    )


def _upstream(secret: SecretRef, options: Options, context: Context) -> Upstream:
    header = Header("Authorization", "Bearer ", secret, "")
    return Upstream("https", _HOST, 443, (header,), context.origin, rules=options.rules)


PLUGIN = FeaturePlugin(
    name="codex",
    summary="OpenAI Codex CLI, its key or ChatGPT login injected by the gateway",
    options=Options,
    contribute=contribute,
)
