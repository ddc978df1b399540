"""Build network: what the steps of an image build can reach, as a value and in plain words."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BuildNetwork:
    """How the RUN steps of a build reach the network; not part of an image's identity."""

    proxy: str = ""
    """URL of the proxy that they use, without a password: a step could store it in the image."""
    allowed: tuple[str, ...] = ()
    """HOST:PORT of private services that they may use, such as a registry's mirror."""
    refused: tuple[str, ...] = ()
    """Networks (CIDR) that they must not reach."""
    is_fenced: bool = True
    """They reach nothing but public addresses and what is allowed."""
    router: str = ""
    """Tag of the image whose containers fence the build in; without one, it is not fenced."""


def reach(*, is_fenced: bool) -> str:
    """Say what the commands of an image build have access to.

    They are fenced in unless the user's settings say otherwise, or the sandbox has no gateway: its
    agent then reaches everything, too.
    """
    if is_fenced:
        return "the internet, but not to this desktop's services and network"
    return "everything that this desktop reaches, its own services and network included"
