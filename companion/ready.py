"""Is a sandbox what it claims to be: closed to the world, and open to its owner's key?"""

import time
from pathlib import Path

from companion.desired import Desired
from companion.engine import Engine, container_name
from companion.errors import CompanionError, EngineError
from companion.paths import AgentPaths, Paths
from companion.services import Role
from ssh import probe

LOGIN_PATIENCE = 30.0
"""Seconds that a new container gets until its sshd lets us in."""


def check_closed(engine: Engine, desired: Desired) -> None:
    """Try to get out of the agent's namespace from inside, before the agent lives there.

    Raises:
        EngineError: something got out, or the gate did not open.
    """
    holder = container_name(engine.project, desired.service(Role.NET).name)
    bridge = desired.sandbox.internal_network.address(1)
    try:
        engine.call(
            *("exec", "--user", "65534:65534", holder),
            *("/bin/bash", "/usr/local/lib/companion/closed.sh", bridge),
        )
    except EngineError as error:
        what = f"the sandbox's network is not closed ({error.log or 'no answer'})"
        raise EngineError(what, "the sandbox was not started", error.log) from None


def wait_for_login(desired: Desired, home: Paths, places: AgentPaths) -> float:
    """Log in with our own key and the pinned host key; return the seconds it took.

    Raises:
        CompanionError: nobody lets us in within 30 s, or somebody else answers.
    """
    allocation = desired.sandbox.allocation
    begin = time.monotonic()
    try:
        probe.wait_for_login(
            "127.0.0.1",
            allocation.ssh_port or 0,
            desired.sandbox.program.user,
            home.client_key(allocation.alias),
            public_host_key(places),
            deadline=begin + LOGIN_PATIENCE,
        )
    except probe.ProbeError as error:
        raise CompanionError(f"SSH does not answer: {error}", "see `companion logs`") from None
    return time.monotonic() - begin


def public_host_key(places: AgentPaths) -> str:
    """Return the public half of an agent's host key."""
    return Path(f"{places.host_key}.pub").read_text(encoding="ascii").strip()
