"""Agent programs by the words that `companion run` takes, and what logs each of them in."""

from collections.abc import Collection
from dataclasses import dataclass

from companion import plugins
from companion.plugins.base import RuntimePlugin
from companion.plugins.login import ModelLogin

_WORDS = {"claude-code": "claude", "gemini-cli": "gemini"}
"""Runtime → its command, where that is called otherwise."""
ACCOUNT = ""
"""Stands for the login to an account among the variables that have a value."""


@dataclass(frozen=True, slots=True)
class Cli:
    """An agent program."""

    word: str
    """What `companion run` calls it, which is also its command in the sandbox."""
    plugin: RuntimePlugin

    @property
    def runtime(self) -> str:
        """What agent.yaml calls it."""
        return self.plugin.name

    @property
    def is_of_one_vendor(self) -> bool:
        """Whether it works with one vendor's models only."""
        return len({one.credential.host for one in self.plugin.logins if one.credential}) == 1

    def login(self, known: Collection[str]) -> ModelLogin | None:
        """Return the first login that has a value."""
        return next((one for one in self.plugin.logins if variable_of(one) in known), None)


CLIS = tuple(Cli(_WORDS.get(one.name, one.name), one) for one in plugins.RUNTIMES)
WORDS = ", ".join(cli.word for cli in CLIS)


def variable_of(login: ModelLogin) -> str:
    """Return the variable that a login needs; ACCOUNT for an account."""
    return login.credential.variable if login.credential else ACCOUNT


def by_word(word: str) -> Cli | None:
    """Return the agent program of a word, or of the name of its runtime."""
    return next((cli for cli in CLIS if word in {cli.word, cli.runtime}), None)


def with_login(known: Collection[str]) -> tuple[Cli, ...]:
    """Return the agent programs that something known logs in.

    A key of a vendor fits programs that take any vendor's, too: the vendor's own come first.
    """
    found = tuple(cli for cli in CLIS if cli.login(known))
    return tuple(cli for cli in found if cli.is_of_one_vendor) or found
