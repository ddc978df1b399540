"""Connection: how to call the client of one engine, and what to say if it fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeVar

from companion.engine import podman_settings, shared_ssh
from companion.engine.dialect import DIALECTS, Dialect
from companion.engine.model import EngineChoice, shown
from companion.errors import Code, EngineError
from companion.system import process

T = TypeVar("T")
_FAST, SLOW = 20.0, 120.0
_REMOTE = 8.0
"""Seconds instead of `_FAST` over a network: an unreachable endpoint is named within 10 s."""
SELECTORS = {
    "docker": ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY",
               "DOCKER_CERT_PATH"),
    "podman": ("CONTAINER_HOST", "CONTAINER_CONNECTION", "CONTAINER_SSHKEY"),
}  # fmt: skip
"""Variables by which each engine's own client selects an endpoint."""
_LIST_TRIES = 3


@dataclass(frozen=True, slots=True)
class Connection:
    """One engine, by its own client."""

    choice: EngineChoice

    @property
    def dialect(self) -> Dialect:
        """The command-line differences of this engine."""
        known = DIALECTS[self.choice.name]
        return replace(
            known,
            rootless=self.choice.rootless,
            shares_files=self.choice.shares_files,
            create_clean_here=() if self.choice.endpoint else known.create_clean_here,
        )

    @property
    def environment(self) -> dict[str, str | None]:
        """The client's variables: the recorded endpoint, and nothing that changes our commands.

        What the desktop's variables select today is no matter of a sandbox that exists.
        """
        ignored = dict.fromkeys(chain(self.dialect.ignores, *SELECTORS.values()))
        return {
            **ignored,
            **podman_settings.override(self.choice),
            **(shared_ssh.variables(self.choice) if self.choice.is_remote else {}),
            **dict(self.choice.environment),
        }

    @property
    def patience(self) -> float:
        """Seconds for an answer to a short question."""
        return _REMOTE if self.choice.is_remote else _FAST

    @property
    def where(self) -> str:
        """The endpoint to name where an engine over a network does not answer."""
        return shown(self.choice.endpoint) if self.choice.is_remote else ""

    def argv(self, *arguments: str) -> tuple[str, ...]:
        """Return the command line for `arguments`."""
        return (self.choice.binary, *arguments)

    def call(self, *arguments: str, timeout: float = SLOW, stdin: str | bytes | None = None) -> str:
        """Run the engine and return its output.

        Raises:
            EngineError: it failed or did not answer in time (seconds).
        """
        argv = self.argv(*arguments)
        done = process.run(argv, env=self.environment, timeout=timeout, stdin=stdin)
        if done.code:
            raise self.failure(arguments, done)
        return done.stdout

    def failure(self, arguments: Sequence[str], done: process.Completed) -> EngineError:
        """Return the error for a failed call."""
        from companion.engine import failures  # noqa: PLC0415 - start-up time is a budget

        return failures.of_call(self.choice.name, arguments, done, self.where)

    def require_answer(self) -> None:
        """Check that the engine responds.

        Raises:
            EngineError: it does not run, or refuses our user; the message repeats its client.
        """
        argv = self.argv(*self.dialect.probe)
        done = process.run(argv, env=self.environment, timeout=self.patience)
        if done.code:
            from companion.engine import failures  # noqa: PLC0415 - start-up time is a budget

            raise failures.of_probe(self.choice.name, done, self.where)

    def require_user_ids(self) -> None:
        """Check that user IDs in containers are the desktop's.

        Raises:
            EngineError: the engine maps them to others.
        """
        from companion.engine import user_ids  # noqa: PLC0415 - start-up time is a budget

        asked = self.dialect.security_options
        if asked and (error := user_ids.refusal(self.call(*asked, timeout=self.patience))):
            raise error

    def answers(self) -> bool:
        """Tell whether the engine is installed and responds."""
        try:
            self.require_answer()
        except EngineError:
            return False
        return True

    def retried(self, query: Callable[[], T]) -> T:
        """Call `query` again if an object vanishes between list and inspect."""
        for _ in range(_LIST_TRIES - 1):
            try:
                return query()
            except EngineError as error:
                if self.is_cut_off(error) or not self.answers():
                    raise
        return query()

    def is_cut_off(self, error: EngineError) -> bool:
        """Tell whether to ask again would only wait for the network once more."""
        return self.choice.is_remote and error.problems[0].code is Code.ENGINE_SILENT
