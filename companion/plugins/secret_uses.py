"""Secret uses: each place where a configuration sends the value of a variable. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from companion.config import bindings
from companion.config.origin import Origin
from companion.plugins.contribution import Contribution, EnvVar, Provider, Upstream


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a variable as a secret."""

    name: str
    what: str
    """What it is sent as, such as `header Authorization`."""
    whom: str
    """Who receives it: an endpoint, or the name of a provider."""
    binding: str
    """What a secret of the user's must be bound to, to be sent there (config/bindings.py)."""
    origin: Origin


def uses(contribution: Contribution) -> Iterator[Use]:
    """Yield every use, in the order of the config."""
    for upstream in contribution.upstreams:
        yield from _in_headers(upstream)
    for provider in contribution.providers:
        if provider.client_secret:
            yield _of_client(provider, provider.client_secret)


def _in_headers(upstream: Upstream) -> Iterator[Use]:
    scheme = "docker" if upstream.network else upstream.scheme
    binding = bindings.of(scheme, upstream.host, upstream.port)
    for header in upstream.headers:
        if isinstance(header.secret, EnvVar):
            what = f"header {header.name}"
            yield Use(header.secret.name, what, upstream.endpoint, binding, upstream.origin)


def _of_client(provider: Provider, secret: EnvVar) -> Use:
    binding = bindings.binding("://".join(urlsplit(provider.url)[:2]))
    return Use(secret.name, "client_secret", provider.name, binding, provider.origin)
