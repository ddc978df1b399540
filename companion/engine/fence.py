"""Fence: the network of a build, as long as the build runs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from uuid import uuid4

from companion.engine import failures
from companion.engine.builds import Fence, inside_argv, joining, router_argv
from companion.engine.dialect import Dialect
from companion.errors import CompanionError, EngineError
from companion.spec.build_network import BuildNetwork
from companion.system import children, process
from companion.system.assets import assets_directory

_SECONDS = 60.0
"""How long the fence may take to be ready; a moment, unless the machine is overloaded."""
_WITHOUT = (
    "`build: {network: open}` in settings.yaml builds without a fence, which SECURITY.md describes"
)


@dataclass(frozen=True, slots=True)
class Client:
    """The engine's client: how to call it."""

    dialect: Dialect
    argv: Callable[..., tuple[str, ...]]
    environment: process.Environment
    call: Callable[..., str]
    sweep: Callable[[str], None]
    """Removes what killed builds of the agent left behind, but for containers so called."""


@contextmanager
def fenced(
    client: Client, project: str, agent: str, network: BuildNetwork
) -> Iterator[tuple[str, ...]]:
    """Fence a build in while the context lasts; yield the options that make its steps use it.

    Raises:
        EngineError: the fence could not be set up.
    """
    if not network.router:
        yield ()
        return
    if client.dialect.builds_here and not client.dialect.shares_files:
        # Its client looks for the fence's network namespace below /proc of this desktop.
        what = f"{client.dialect.name} cannot fence in a build on another machine"
        raise EngineError(what, f"{_WITHOUT}, or use docker there")
    labels = (("project", project), ("agent", agent), ("build", "1"))
    name = f"{project}-{agent}-build-{uuid4().hex[:8]}"
    fence = Fence(network.router, name, labels, str(assets_directory() / "seccomp.json"))
    sweeping = threading.Thread(target=client.sweep, args=(fence.name,))
    sweeping.start()
    inside = children.Held(client.argv(*inside_argv(client.dialect, fence)), client.environment)
    try:
        _wait(client, fence, inside, "waiting")
        client.call(*router_argv(client.dialect, fence, network))
        _wait(client, fence, inside, "ready")
        shape = ("--format", "{{.State.Pid}}")
        found = client.dialect.builds_here and client.call("inspect", *shape, fence.name)
        yield joining(client.dialect, fence, str(found).strip())
    finally:
        sweeping.join()
        # It takes a second, which nobody needs to wait for: the names are never used again.
        threading.Thread(target=_end, args=(client, fence, inside)).start()


def _wait(client: Client, fence: Fence, inside: children.Held, word: str) -> None:
    said = inside.expect(word, _SECONDS)
    if said is None:
        return
    failure = failures.of_call(client.dialect.name, ("run",), said)
    if word == "waiting":
        raise failure
    reason = ""
    with suppress(CompanionError):
        reason = client.call("logs", fence.router).strip()
    raise EngineError(
        f"the network of the build could not be closed: {reason or failure}",
        f"correct `build.allow` in settings.yaml if it is about that; {_WITHOUT}",
    )


def _end(client: Client, fence: Fence, inside: children.Held) -> None:
    """End both containers: the router ends with the other one, but podman waits long for that."""
    with suppress(CompanionError, KeyboardInterrupt):
        client.call(*client.dialect.remove, fence.router)
    inside.release(_SECONDS)
