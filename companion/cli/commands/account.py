"""The command that logs in to the account that an agent uses: login."""

from argparse import Namespace

from companion.cli.commands import trust
from companion.cli.output import Result, comment
from companion.cli.targets import agent_of
from companion.errors import CompanionError
from companion.oauth import chatgpt, grants
from companion.oauth.authorize import Prompt
from companion.oauth.grants import Grant
from companion.operations import accounts
from companion.operations.accounts import Supplied
from companion.plugins.contribution import Provider
from companion.project import inventory
from companion.reconcile.validate import Checked, check
from companion.system.paths import Paths


def login(arguments: Namespace) -> Result:
    """Let the user log in to the account that an agent uses."""
    home, project, agent = agent_of(arguments)
    ref = inventory.find_agent(home, project, agent)
    trust.offer(home, project, "Go on", arguments)
    checked = check(home, ref)
    account = accounts.account_of(checked)
    if account is None:
        what = f"{agent} uses no account"
        raise CompanionError(what, "give the codex plugin `login: chatgpt`")
    return log_in(home, checked, account, arguments)


def log_in(home: Paths, checked: Checked, account: Provider, arguments: Namespace) -> Result:
    """Log in to an account of an agent, and report which sandboxes have the token."""
    prompt = Prompt(comment, arguments.print_only, arguments.port)
    grant = accounts.log_in(home, checked, account, prompt, anew=arguments.new)
    supplied = tuple(accounts.supply(home, checked, account, comment))
    return Result(
        text="\n".join((_welcome(grant), *map(_sentence, supplied))),
        data={
            "provider": grant.provider,
            "account": grant.email,
            "until": round(grant.until),
            "agents": [{"agent": one.agent, "problem": one.problem} for one in supplied],
        },
    )


def _welcome(grant: Grant) -> str:
    who = f" as {grant.email}" if grant.email else ""
    return (
        f"logged in to {grant.provider}{who} until {grants.clock(grant.until)}; renewed by"
        " `companion watch`, `tray` or `up`\n"
        f"your sandboxes use your {grant.provider} plan; manage its usage at {chatgpt.MANAGE_URL}"
    )


def _sentence(one: Supplied) -> str:
    if not one.problem:
        return f"{one.agent} can use it now"
    return f"{one.agent} can use it after `companion up`: {one.problem}"
