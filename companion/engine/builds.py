"""Builds: the command line that builds an image, and how its steps reach the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from companion.engine.dialect import PROXIES, Dialect, each

if TYPE_CHECKING:  # slow to load, and most commands build no image
    from companion.spec.containers import BuildNetwork, Image


def build_argv(
    dialect: Dialect, image: Image, context: str, network: BuildNetwork
) -> tuple[str, ...]:
    """Return the arguments that build an image from a context directory.

    The proxies are predefined build arguments: they are part of no layer, history or cache key.
    """
    proxies = dict.fromkeys(PROXIES, "") if dialect.adds_proxies else {}
    if network.proxy:
        proxies |= dict.fromkeys(("http_proxy", "https_proxy"), network.proxy)
        proxies |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), network.proxy)
    arguments = (*image.arguments, *proxies.items())
    # Without --force-rm, docker keeps the container of a failed step.
    return (
        *("build", "--force-rm", *dialect.build_clean),
        *each("--build-arg", (f"{key}={value}" for key, value in arguments)),
        *("--tag", image.tag, context),
    )
