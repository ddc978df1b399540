"""The part of `companion login` for accounts, to which the user logs in with the browser."""

from argparse import Namespace

from companion.cli.output import Result, comment
from companion.oauth import chatgpt, grants
from companion.oauth.authorize import Prompt
from companion.oauth.grants import Grant
from companion.operations import accounts
from companion.operations.accounts import Supplied
from companion.plugins.contribution import Provider
from companion.reconcile.validate import Checked
from companion.system.paths import Paths


def log_in(home: Paths, checked: Checked, account: Provider, arguments: Namespace) -> Result:
    """Log in to an account of an agent, and report which sandboxes have the token."""
    prompt = Prompt(comment, arguments.print_only, arguments.port)
    grant = accounts.log_in(home, checked, account, prompt, anew=arguments.new)
    supplied = tuple(accounts.supply(home, checked, account, comment))
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
