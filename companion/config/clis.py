"""Agent programs by the words that `companion run` takes, and what logs each of them in."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Login:
    """One way to log an agent program in: a variable, and its place in the plugin's options."""

    variable: str
    """"": the user logs in to an account instead."""
    option: str
    """The plugin's options as YAML; `@` stands for the reference to the variable."""

    @property
    def lines(self) -> tuple[str, ...]:
        """The plugin's options as lines of YAML."""
        return tuple(self.option.replace("@", f'"${{{self.variable}}}"').splitlines())


@dataclass(frozen=True, slots=True)
class Cli:
    """An agent program."""

    word: str
    """What `companion run` calls it, which is also its command in the sandbox."""
    runtime: str
    """What agent.yaml calls it, as a runtime and as a plugin."""
    logins: tuple[Login, ...]
    """The first one that has a value is used."""

    def login(self, known: Collection[str]) -> Login | None:
        """Return the first login whose variable has a value."""
        return next((login for login in self.logins if login.variable in known), None)


def _pi(variable: str, provider: str) -> Login:
    return Login(variable, f"providers: [{provider}]\nprovider_keys: {{{provider}: @}}")


CLIS = (
    Cli(
        "claude",
        "claude-code",
        (
            Login("CLAUDE_CODE_OAUTH_TOKEN", "oauth_token: @"),
            Login("ANTHROPIC_API_KEY", "api_key: @"),
        ),
    ),
    Cli("codex", "codex", (Login("OPENAI_API_KEY", "api_key: @"), Login("", "login: chatgpt"))),
    Cli(
        "pi",
        "pi",
        (
            _pi("ANTHROPIC_API_KEY", "anthropic"),
            _pi("OPENAI_API_KEY", "openai"),
            _pi("GEMINI_API_KEY", "google"),
        ),
    ),
)


def by_word(word: str) -> Cli | None:
    """Return the agent program of a word, or of the name of its runtime."""
    return next((cli for cli in CLIS if word in {cli.word, cli.runtime}), None)


def with_login(known: Mapping[str, str]) -> Iterator[Cli]:
    """Yield the agent programs that something known logs in."""
    yield from (cli for cli in CLIS if cli.login(known))
