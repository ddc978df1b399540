"""The command that authorizes an MCP server in the user's browser: oauth."""

from argparse import Namespace
from collections.abc import Iterator, Sequence

from companion.cli.commands import trust
from companion.cli.output import Result, comment
from companion.cli.targets import project_of
from companion.config import decode
from companion.errors import CompanionError, ConfigError, Problem, StoppedError
from companion.oauth import grant_store, grants
from companion.oauth.authorize import Prompt, authorize
from companion.oauth.client_secret import ClientSecret
from companion.oauth.grants import Grant
from companion.oauth.web import Web
from companion.plugins.contribution import Provider
from companion.project import discovery, store
from companion.project.model import Project
from companion.reconcile import run, secret_values
from companion.reconcile import trust as judging
from companion.reconcile.validate import Checked, check
from companion.system.paths import Paths


def oauth(arguments: Namespace) -> Result:
    """Let the user authorize a provider, and give the token to the gateways that need it."""
    home, project = project_of(arguments)
    trust.offer(home, project, "Go on", arguments)
    found, problems = _checked(home, project)
    wanted = _wanted(found, problems, arguments.provider)
    prompt = Prompt(comment, arguments.print_only, arguments.port)
    granted = []
    for key, (checked, provider) in wanted.items():
        secret = _secret(home, checked, provider)
        judging.require(home, checked)  # it was read again after the question
        grant = authorize(provider, secret, Web(checked.host.trusted_certificates), prompt)
        with grant_store.held(home, project.id):
            grant_store.keep(home, project.id, key, grant)
        store.register(home.project(project.id), project.directory)
        granted.append(grant)
    told = _bring_it_in(home, found, arguments.provider)
    return Result(text="\n".join((*map(_sentence, granted), *told)), data=[*map(_data, granted)])


def _checked(home: Paths, project: Project) -> tuple[list[Checked], list[Problem]]:
    """Return the agents of a project whose files are good, and what is wrong with the others'."""
    found: list[Checked] = []
    problems: list[Problem] = []
    for ref in discovery.agent_refs(project):
        try:
            found.append(check(home, ref))
        except CompanionError as error:
            problems += error.problems
    return found, problems


def _wanted(
    found: Sequence[Checked], problems: Sequence[Problem], name: str
) -> dict[str, tuple[Checked, Provider]]:
    """Return what must be authorized, each server once, by the keys of the grants.

    Raises:
        CompanionError: no agent has such a provider, or one that has cannot be read.
    """
    known = [(c, p) for c in found for p in c.contribution.providers if not p.is_account]
    wanted = {grants.key_of(p): (checked, p) for checked, p in known if p.name == name}
    if not wanted and problems:
        raise ConfigError(problems)
    if not wanted:
        names = {p.name for _, p in known}
        hint = decode.suggest(name, names) if names else "name its server under mcp-oauth"
        raise CompanionError(f"no agent here has a provider '{name}'", hint)
    return wanted


def _secret(home: Paths, checked: Checked, provider: Provider) -> ClientSecret:
    """Return the client's secret, which is empty if agent.yaml names none.

    Raises:
        ConfigError: it names one that has no value.
    """
    secret = secret_values.client_secret(home, checked.ref, provider)
    if provider.client_secret and not secret.value:
        raise ConfigError(checked.missing)
    return secret


def _bring_it_in(home: Paths, found: Sequence[Checked], name: str) -> Iterator[str]:
    """Let the agents that run and name the provider load its token; yield a sentence on each."""
    for checked in found:
        if name in {provider.name for provider in checked.contribution.providers}:
            try:
                run.reconcile(home, checked.ref, comment, unasked=True)
                yield f"{checked.config.name} can use it now"
            except StoppedError:
                yield f"{checked.config.name} can use it after `companion up`"


def _sentence(grant: Grant) -> str:
    after = "authorize it again then"
    if grant.renewable:
        after = "renewed by `companion watch`, `tray` or `up`"
    return f"{grant.provider} is authorized until {grants.clock(grant.until)}; {after}"


def _data(grant: Grant) -> dict[str, object]:
    return {
        "provider": grant.provider,
        "server": grant.url,
        "issuer": grant.issuer,
        "until": round(grant.until),
        "renewable": grant.renewable,
    }
