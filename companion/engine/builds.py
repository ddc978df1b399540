"""Builds: the command lines that build an image and fence the build in.

A fence is two containers of the gateway's image: see assets/gateway/fence.sh.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from companion.engine.arguments import clean, restricted
from companion.engine.dialect import LABEL, Dialect, each
from companion.spec.identity import PROXIES, SECURITY

if TYPE_CHECKING:  # slow to load, and most commands build no image
    from companion.spec.build_network import BuildNetwork
    from companion.spec.containers import Image

ROUTER = "192.0.2.5"
"""The router's address on the link to the steps, where it also resolves names."""
_SCRIPT = "/usr/local/lib/companion/fence.sh"
_PROXIED = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")


@dataclass(frozen=True, slots=True)
class Fence:
    """The two containers of one build's fence."""

    image: str
    name: str
    labels: tuple[tuple[str, str], ...]
    seccomp: str
    """Path of the list of system calls."""

    @property
    def router(self) -> str:
        """The name of the container that decides what the steps reach."""
        return f"{self.name}-router"


def build_argv(
    dialect: Dialect,
    image: Image,
    context: str,
    network: BuildNetwork,
    joining: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """Return the arguments that build an image from a context directory.

    The proxies are predefined build arguments: they are part of no layer, history or cache key.
    `joining` are the options that lead the steps through a fence.
    """
    proxies = dict.fromkeys(PROXIES, "") if dialect.adds_proxies else {}
    if network.proxy:
        direct = ",".join(endpoint.rpartition(":")[0] for endpoint in network.allowed)
        proxies |= dict.fromkeys(_PROXIED, network.proxy)
        proxies |= dict.fromkeys(("no_proxy", "NO_PROXY"), direct)
    arguments = (*image.arguments, *proxies.items())
    # Without --force-rm, docker keeps the container of a failed step.
    return (
        *("build", "--force-rm", *dialect.build_clean, *joining),
        *each("--build-arg", (f"{key}={value}" for key, value in arguments)),
        *("--tag", image.tag, context),
    )


def inside_argv(dialect: Dialect, fence: Fence) -> tuple[str, ...]:
    """Return the arguments that run the container whose network the steps share."""
    names = () if dialect.builds_here else ("--dns", ROUTER)
    network = ("--interactive", "--network", "none", *names)
    return (
        *_run(dialect, fence, fence.name),
        *network,
        *dialect.root_of_engine,
        fence.image,
        _SCRIPT,
        "inside",
    )


def router_argv(dialect: Dialect, fence: Fence, network: BuildNetwork) -> tuple[str, ...]:
    """Return the arguments that run the container that decides what the steps reach."""
    proxy = urlsplit(network.proxy)
    allowed = (*network.allowed, *((proxy.netloc,) if network.proxy else ()))
    return (
        *_run(dialect, fence, fence.router),
        *("--detach", "--network", dialect.way_out, "--pid", f"container:{fence.name}"),
        *("--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "net.ipv4.ip_unprivileged_port_start=0"),
        *(*dialect.root_of_engine, fence.image),
        *(_SCRIPT, "router", " ".join(allowed), " ".join(network.refused)),
    )


def joining(dialect: Dialect, fence: Fence, process_id: str) -> tuple[str, ...]:
    """Return the options of a build whose steps share the network of the fence.

    Args:
        dialect: the engine's.
        fence: the fence, which is ready.
        process_id: the first process of its inner container.
    """
    if dialect.builds_here:
        network = ("--network", f"ns:/proc/{process_id}/ns/net", "--dns", ROUTER)
        return (*network, "--cap-drop", "NET_RAW")
    return ("--network", f"container:{fence.name}")


def _run(dialect: Dialect, fence: Fence, name: str) -> tuple[str, ...]:
    labels = ((f"{LABEL}.{key}", value) for key, value in fence.labels)
    return (
        *("run", "--rm", "--pull", "never", "--name", name),
        *each("--label", (f"{key}={value}" for key, value in labels)),
        *restricted(dialect, (*SECURITY, f"seccomp={fence.seccomp}")),
        *("--cap-add", "NET_ADMIN"),
        *clean(dialect),
        *("--read-only", "--tmpfs", "/run", "--memory", "64m", "--pids-limit", "64"),
        *("--sysctl", "net.ipv6.conf.all.disable_ipv6=1"),
        *("--sysctl", "net.ipv6.conf.default.disable_ipv6=1"),
    )
