"""Logins of an agent: the credentials that it has for its model, and what it lacks. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from companion import plugins
from companion.config.decode import Loaded
from companion.config.models import AgentConfig
from companion.config.origin import Origin
from companion.errors import Code, Problem
from companion.plugins.base import RuntimePlugin
from companion.plugins.contribution import Contribution, EnvVar, Header, Upstream
from companion.plugins.login import ModelLogin


@dataclass(frozen=True, slots=True)
class Choice:
    """A way in which an agent logs in, or could."""

    login: ModelLogin
    origin: Origin | None = None
    """Where the config has it; None: it does not yet."""
    named: str = ""
    """The variable that the config names, if it has a credential."""

    @property
    def variable(self) -> str:
        """The variable of its credential; empty for an account."""
        return self.named or (self.login.credential.variable if self.login.credential else "")


def runtime(config: AgentConfig) -> RuntimePlugin | None:
    """Return the built-in runtime of a config; None if it defines one inline."""
    named = config.runtime.name
    return next((plugin for plugin in plugins.RUNTIMES if plugin.name == named), None)


def present(contribution: Contribution) -> tuple[Choice, ...]:
    """Return the logins that a config has."""
    credentials = (
        Choice(login, upstream.origin, header.secret.name)
        for upstream in contribution.upstreams
        for header in upstream.headers
        if isinstance(header.secret, EnvVar) and (login := login_by(upstream, header))
    )
    accounts = (
        Choice(login, provider.origin)
        for provider in contribution.providers
        if provider.is_account
        for login in _known()
        if login.credential is None
    )
    return (*credentials, *accounts)


def choices(config: AgentConfig, contribution: Contribution) -> tuple[Choice, ...]:
    """Return the logins that a config has or, if it has none, those that its runtime takes."""
    found = runtime(config)
    own = found.logins if found else ()
    return tuple(_as_own(one, own) for one in present(contribution)) or tuple(map(Choice, own))


def _as_own(choice: Choice, own: tuple[ModelLogin, ...]) -> Choice:
    """Return a choice under the name that the agent's own runtime has for it."""
    sent = _sent(choice.login)
    return next((replace(choice, login=one) for one in own if sent and _sent(one) == sent), choice)


def _sent(login: ModelLogin) -> tuple[str, str, str] | None:
    """Return where a login's credential is sent, and how; None for an account."""
    one = login.credential
    return (f"{one.host}:443", one.header.lower(), one.prefix) if one else None


def problems(
    loaded: Loaded, contribution: Contribution, has_value: Callable[[str], bool]
) -> Iterator[Problem]:
    """Yield why an agent cannot log in to its model, each with the command that helps.

    Args:
        loaded: agent.yaml, joined with what its fleet shares.
        contribution: the merged contributions of its features.
        has_value: tells whether a variable has a value.
    """
    hint = f"run `companion login {loaded.config.name}`"
    for one in present(contribution):
        credential, origin = one.login.credential, one.origin
        if credential and origin and not has_value(one.variable):
            what = f"{one.variable} has no value; it is needed to log in to {credential.host}"
            yield Problem(what, hint, origin.place(loaded.document), Code.NO_CREDENTIAL)
    found = runtime(loaded.config)
    if found and _lacks_login(found, loaded, contribution):
        what = f"{found.name} has no credential for its model"
        place = loaded.document.place(("runtime",))
        yield Problem(what, hint, place, Code.NO_CREDENTIAL)


def _known() -> Iterator[ModelLogin]:
    return (login for plugin in plugins.RUNTIMES for login in plugin.logins)


def login_by(upstream: Upstream, header: Header) -> ModelLogin | None:
    """Return the login by which a service's header goes to a model."""
    sent = upstream.endpoint, header.name.lower(), header.prefix
    return next((login for login in _known() if _sent(login) == sent), None)


def _lacks_login(found: RuntimePlugin, loaded: Loaded, contribution: Contribution) -> bool:
    """Tell whether a runtime has no login to any of its models; its own feature is one.

    A model's host that the config names, without a credential, is one where the agent is to log in
    by itself.
    """
    if any(feature.plugin == found.name for _, feature in loaded.features):
        return False
    hosts = {login.credential.host for login in found.logins if login.credential}
    named = {upstream.host for upstream in contribution.upstreams}
    named |= {host for host in hosts if _allows(loaded.config.egress.allow, host)}
    leads_elsewhere = {v.name for v in contribution.variables} & {*found.elsewhere}
    # A home of the user's own may name a model of another vendor, with a credential for that.
    injected = any(upstream.headers for upstream in contribution.upstreams)
    if leads_elsewhere or (contribution.overlays and injected):
        return False
    return bool(hosts and loaded.config.gateway and not hosts & named)


def _allows(allowed: tuple[str, ...], host: str) -> bool:
    return any(host == one or (one[:1] == "*" and host.endswith(one[1:])) for one in allowed)
