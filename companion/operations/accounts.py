"""Accounts: log in to a vendor once, and give the token to every sandbox that uses it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from companion.errors import CompanionError, ConfigError
from companion.oauth import chatgpt, grant_store, grants
from companion.oauth.authorize import Prompt
from companion.oauth.client_secret import ClientSecret
from companion.oauth.grants import Grant
from companion.oauth.renew import renew
from companion.oauth.web import Web
from companion.plugins.contribution import Contribution, Provider
from companion.project import discovery, inventory, store
from companion.project.model import AgentRef
from companion.reconcile import run, trust
from companion.reconcile.progress import Progress
from companion.reconcile.validate import Checked
from companion.system.paths import Paths


@dataclass(frozen=True, slots=True)
class Supplied:
    """A sandbox that uses an account; `problem` says why it does not have the token yet."""

    agent: str
    problem: str = ""


def account_of(contribution: Contribution) -> Provider | None:
    """Return the account that an agent needs the user to log in to, None if it needs none."""
    return next((one for one in contribution.providers if one.is_account), None)


def users_of(home: Paths, checked: Checked, variable: str) -> tuple[str, ...]:
    """Return the names of the user's other agents that use a variable."""
    own, directories = (checked.project.id, checked.config.name), store.directories(home)
    return tuple(
        who[1]
        for who, record in store.all_records(home)
        if variable in record.config.uses and who != own and who[0] in directories
    )


def log_in(
    home: Paths, checked: Checked, account: Provider, prompt: Prompt, *, anew: bool = False
) -> Grant:
    """Let the user log in to the account of an agent, and store the grant.

    Args:
        home: the user's directories.
        checked: the agent; its config may lack the account yet.
        account: its account, from account_of().
        prompt: asks the user.
        anew: register as a new client, for another account.

    Raises:
        UntrustedError: the agent's config asks for more than the user agreed to.
        CompanionError: the user or the vendor refused.
    """
    trust.require(home, checked)
    return chatgpt.log_in(home, account, Web(checked.host.trusted_certificates), prompt, anew=anew)


def test(home: Paths, checked: Checked, account: Provider, progress: Progress) -> Grant:
    """Ask the vendor whether an agent may use its account; renew the token if it is due.

    Raises:
        CompanionError: there is no login, or the vendor does not accept it.
    """
    trust.require(home, checked)
    trusted, project_id = checked.host.trusted_certificates, checked.project.id
    renew(home, project_id, (account,), lambda _: ClientSecret(), trusted, progress)
    key = grants.key_of(account)
    grant, now = grant_store.usable(home, project_id, (key,)).get(key), time.time()
    if problem := grants.problem(account, grant, now, checked.config.name):
        raise ConfigError([problem])
    if grant is None:
        raise AssertionError("problem() reports a missing one")
    chatgpt.require_plan(account, grant.access_token, Web(trusted))
    return grant


def load(home: Paths, ref: AgentRef, progress: Progress, *, restarts: bool) -> None:
    """Let a sandbox that is wanted up load a new credential.

    Raises:
        StoppedError: it is not wanted up.
        CompanionError: it cannot be applied, or it would restart the agent and must not.
    """
    if restarts:
        run.reconcile(home, ref, progress, unasked=True)
    else:
        run.reload(home, ref, progress)


def supply(
    home: Paths, checked: Checked, account: Provider, progress: Progress, *, restarts: bool
) -> Iterator[Supplied]:
    """Let the agent and every other sandbox of the user that uses an account load its token.

    A problem with one of them is reported with it, and does not affect the others. `restarts`: the
    agent may be restarted for it; others never are.
    """
    key, own = grants.key_of(account), (checked.project.id, checked.config.name)
    directories = store.directories(home) | {own[0]: checked.project.directory}
    others = (
        who
        for who, record in store.all_records(home)
        if key in record.config.grants and who[0] in directories
    )
    for project_id, agent in dict.fromkeys((own, *others)):
        try:
            project = discovery.project(directories[project_id])
            ref = inventory.find_agent(home, project, agent)
            load(home, ref, progress, restarts=restarts and (project_id, agent) == own)
        except CompanionError as error:
            yield Supplied(agent, str(error.problems[0]))
        else:
            yield Supplied(agent)
