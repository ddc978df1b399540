"""The part of `companion login` for accounts, to which the user logs in with the browser."""

from argparse import Namespace

from companion.cli.output import Result, comment
from companion.errors import CompanionError
from companion.oauth import chatgpt, grants
from companion.oauth.authorize import Prompt
from companion.oauth.grants import Grant
from companion.operations import accounts
from companion.operations.accounts import Supplied
from companion.plugins.contribution import Contribution, Provider
from companion.reconcile.validate import Checked
from companion.system.paths import Paths


def required(agent: str, contribution: Contribution) -> Provider:
    """Return the account that a contribution of an agent needs.

    Raises:
        CompanionError: it needs none.
    """
    found = accounts.account_of(contribution)
    if found is None:
        raise CompanionError(f"{agent} uses no account", "give the codex plugin `login: chatgpt`")
    return found


def log_in(home: Paths, checked: Checked, account: Provider, arguments: Namespace) -> Grant:
    """Let the user log in to an account."""
    prompt = Prompt(comment, arguments.print_only, arguments.port)
    return accounts.log_in(home, checked, account, prompt, anew=arguments.new)


def supply(
    home: Paths, checked: Checked, account: Provider, grant: Grant, *, restarts: bool
) -> Result:
    """Give the sandboxes the token of an account, and report which of them have it."""
    supplied = tuple(accounts.supply(home, checked, account, comment, restarts=restarts))
    agents = [{"agent": one.agent, "problem": one.problem} for one in supplied]
    text = "\n".join((_welcome(grant), *map(_sentence, supplied)))
    return Result(text=text, data={**_data(grant), "agents": agents})


def test(home: Paths, checked: Checked, account: Provider) -> Result:
    """Test the login to an account that an agent uses."""
    grant = accounts.test(home, checked, account, comment)
    text = f"OpenAI accepts the login to {grant.provider}{_who(grant)}"
    return Result(text=text, data=_data(grant))


def _data(grant: Grant) -> dict[str, object]:
    return {
        "provider": grant.provider,
        "account": grant.email,
        "until": round(grant.until),
    }


def _who(grant: Grant) -> str:
    return f" as {grant.email}" if grant.email else ""


def _welcome(grant: Grant) -> str:
    return (
        f"logged in to {grant.provider}{_who(grant)} until {grants.clock(grant.until)}; renewed by"
        " `companion watch`, `tray` or `up`\n"
        f"your sandboxes use your {grant.provider} plan; manage its usage at {chatgpt.MANAGE_URL}"
    )


def _sentence(one: Supplied) -> str:
    if not one.problem:
        return f"{one.agent} can use it now"
    return f"{one.agent} can use it after `companion up`: {one.problem}"
