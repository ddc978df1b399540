"""Limitations: what agent.yaml may ask for and a cluster cannot give, each with another way."""

import re
from collections.abc import Iterator

from companion.config.origin import Origin
from companion.errors import Problem, quoted
from companion.plugins.contribution import Contribution, Mount, Upstream
from companion.render import dns

_LOOPBACK = "127.0.0.1"
_CLAIM = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?\Z")
_SERVICE = "http://NAME.NAMESPACE.svc.cluster.local:PORT"
Limitation = tuple[Problem, Origin]


def limitations(agent: str, contribution: Contribution, *, gateway: bool) -> Iterator[Limitation]:
    """Yield what Kubernetes cannot do of a sandbox, with where it is configured.

    Args:
        agent: its name.
        contribution: what its config adds.
        gateway: whether it has a gateway.
    """
    if not agent[0].isalpha():
        what = f"a Service in Kubernetes cannot be called {quoted(agent)}"
        yield Problem(what, "begin the name with a letter"), Origin(("name",))
    if not gateway:
        what = "on Kubernetes, no agent runs without a gateway"
        yield Problem(what, "use `egress: {mode: open}`"), Origin(("gateway",))
    for upstream in contribution.upstreams:
        yield from ((problem, upstream.origin) for problem in _service(upstream))
    for mount in contribution.mounts:
        yield from ((problem, mount.origin) for problem in _mount(mount))
    for port in contribution.ports:
        if port.address != _LOOPBACK:
            what = f"a cluster does not publish {port.address}:{port.host}"
            hint = "leave out the address, and forward the port by `ssh -L`"
            yield Problem(what, hint), port.origin


def _service(upstream: Upstream) -> Iterator[Problem]:
    if upstream.network:
        what = f"Kubernetes has no container network {quoted(upstream.network)}"
        yield Problem(what, f"name a service of the cluster: {_SERVICE}")
    elif upstream.host in dns.DESKTOP:
        what = f"a cluster does not reach your desktop, {upstream.host}"
        yield Problem(what, f"name a service of the cluster: {_SERVICE}")


def _mount(mount: Mount) -> Iterator[Problem]:
    if not mount.is_volume:
        what = f"a cluster cannot mount {quoted(mount.source)} of your desktop"
        yield Problem(what, "mount a volume, such as work:/work, and fetch the files by git")
    elif not _CLAIM.match(mount.source):
        what = f"Kubernetes cannot name a volume {quoted(mount.source)}"
        yield Problem(what, "use small letters, digits, . and -")
