"""GitHub over HTTPS, for git and the API, with a token that the agent never sees."""

from typing import Annotated

from pydantic import AfterValidator

from companion.config.request_rules import Ruled
from companion.config.values import Line, tls_name
from companion.plugins.base import Context, FeaturePlugin, Reference
from companion.plugins.contribution import Contribution, EnvVar, Header, Upstream, Variable

DOMAINS = ("api.github.com", "github.com")
"""Where the token is sent if the config does not say."""
_USER = "x-access-token"


class Options(Ruled):
    """Options of the github-pat plugin."""

    token: Reference
    domains: tuple[Annotated[Line, AfterValidator(tls_name)], ...] = DOMAINS


def contribute(options: Options, context: Context) -> Contribution:
    """Add HTTP Basic authentication, which git and the API both accept.

    Source: GitHub's documentation of HTTP-based git access by an installation.
    """
    header = Header("Authorization", "Basic ", EnvVar(options.token), "", basic_user=_USER)
    hosts = dict.fromkeys(options.domains)
    return Contribution(
        upstreams=tuple(
            Upstream("https", h, 443, (header,), context.origin, rules=options.rules) for h in hosts
        ),
        variables=tuple(Variable(n, "dummy", context.origin) for n in ("GH_TOKEN", "GITHUB_TOKEN")),
    )


PLUGIN = FeaturePlugin(
    name="github-pat",
    summary="git and GitHub's API over HTTPS, the token injected by the gateway",
    options=Options,
    contribute=contribute,
)
