"""On a cluster: what keeps a sandbox from it, each with its place in the user's files."""

from collections.abc import Iterator

from companion.config import decode
from companion.errors import Problem
from companion.kubernetes.limitations import limitations
from companion.project import discovery
from companion.reconcile.validate import Checked
from companion.sandbox import assemble


def problems(checked: Checked) -> Iterator[Problem]:
    """Yield what keeps a sandbox from a cluster."""
    config, document = decode.agent(
        discovery.config_text(checked.ref), checked.ref.named(checked.ref.config)
    )
    document = decode.loaded(config, document, discovery.fleet(checked.project)).document
    found = limitations(config.name, checked.contribution, gateway=config.gateway)
    yield from (assemble.at(origin, problem, document) for problem, origin in found)
