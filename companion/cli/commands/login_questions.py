"""What `companion login` asks its user: which way, whether to restart, and the credential."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass

from companion.cli.output import ask, ask_unseen, comment, piped
from companion.errors import Code, CompanionError
from companion.keychain import store
from companion.keychain.store import Held
from companion.operations import accounts, started
from companion.plugins.login import Credential
from companion.reconcile.validate import Checked
from companion.sandbox.logins import Choice
from companion.system.paths import Paths

_LONGEST = 1 << 14


@dataclass(frozen=True, slots=True)
class Given:
    """A credential that the user gave."""

    secret: str
    others: tuple[str, ...]
    """Further agents that use the same variable."""
    held: Held | None = None
    """Where it is stored already; None: it is to be stored."""

    def __repr__(self) -> str:
        """Return no secret."""
        return f"Given(others={self.others}, held={self.held})"


def way(agent: str, found: Sequence[Choice]) -> Choice:
    """Return the way to log in that the user chooses.

    Raises:
        CompanionError: the user chooses none.
    """
    comment(f"{agent} can log in with:")
    for number, one in enumerate(found, 1):
        comment(f"  {number}. {one.login.title}\n     {one.login.source}")
    while True:
        answer = ask("Which one? [1] ", at_the_end="q") or "1"
        if answer == "q":
            raise CompanionError("no way to log in was chosen")
        if answer.isdecimal() and 0 < int(answer) <= len(found):
            return found[int(answer) - 1]


def agree_to_restart(home: Paths, checked: Checked, arguments: Namespace) -> bool:
    """Tell whether a first credential, which changes agent.yaml, may restart the agent.

    It is asked before anything changes: `watch` would apply a changed agent.yaml at once.

    Returns:
        True: the user agrees. False: the agent does not run, so nothing ends.

    Raises:
        CompanionError: it runs, and the user does not agree or cannot be asked.
    """
    name = checked.config.name
    if arguments.restart:
        return True
    if not started.has_agent(home, checked.project, name):
        return False
    why = f"{name} is running; its first credential restarts it, and ends its terminal"
    if sys.stdin.isatty():
        comment(why)
        question = f"Restart {name} once you are logged in? [y/N] "
        if ask(question, at_the_end="n").lower() in {"y", "yes"}:
            return True
        hint = f"run `companion login {name}` again when its work may end"
        raise CompanionError("nothing was changed", hint, code=Code.RESTART_NEEDED)
    hint = f"`companion login {name} --restart` permits that"
    raise CompanionError(f"nothing was changed: {why}", hint, code=Code.RESTART_NEEDED)


def secret(home: Paths, checked: Checked, chosen: Choice, credential: Credential) -> Given:
    """Return the secret that the user types or pipes in, or the stored one if they want that.

    Raises:
        CompanionError: it cannot be such a secret.
    """
    login, variable = chosen.login, chosen.variable
    others = accounts.users_of(home, checked, variable)
    if not sys.stdin.isatty():
        return Given(_valid(piped(_LONGEST + 1).strip(), chosen, credential), others)
    held = store.held(home).get(variable)
    if held:
        used = f", and {', '.join(others)} use{'s'[len(others) > 1 :]} it" if others else ""
        comment(f"{variable} is stored already{used}.")
        if chosen.origin is None and ask("Use it? [Y/n] ").lower() in {"", "y", "yes"}:
            return Given(store.get(home, variable) or "", others, held)
        comment("What you type replaces it.")
    comment(f"{variable} is {login.title}.\n  {login.source}")
    typed = ask_unseen(f"{variable} (it is not shown): ").strip()
    return Given(_valid(typed, chosen, credential), others)


def _valid(value: str, chosen: Choice, credential: Credential) -> str:
    login = chosen.login
    if not value:
        raise CompanionError("nothing was stored: no credential was given", login.source)
    if len(value) > _LONGEST or not all("!" <= char <= "~" for char in value):
        what = "nothing was stored: a credential is one word of printable ASCII"
        raise CompanionError(what, login.source)
    if not value.startswith(credential.begins):
        what = f"nothing was stored: {login.title} begins with {credential.begins}"
        raise CompanionError(what, login.source)
    return value
