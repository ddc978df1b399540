"""Is a sandbox what it claims to be: closed to the world, and open to its owner's key?"""

import time
from pathlib import Path

from companion import files
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
        what = f"the sandbox's network is not as it must be ({error.log or 'no answer'})"
        raise EngineError(what, _network_hint(engine, desired), error.log) from None


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


def check_running(engine: Engine, desired: Desired) -> None:
    """See that an agent that takes no logins stays up for half a second.

    Raises:
        EngineError: it ended.
    """
    time.sleep(0.5)
    for container in engine.containers():
        if container.service == desired.service(Role.AGENT).name and not container.running:
            what = f"the agent ended at once with exit code {container.exit_code}"
            raise EngineError(what, "see `companion logs`")


def _network_hint(engine: Engine, desired: Desired) -> str:
    """Say what to do; a docker daemon on the same host drops podman's internal traffic."""
    subnet = desired.sandbox.internal_network.subnet
    filtered = files.read_text(Path("/proc/sys/net/bridge/bridge-nf-call-iptables")) or ""
    if engine.choice.name == "podman" and filtered.strip() == "1":
        rule = f"iptables -I FORWARD -s {subnet} -d {subnet} -j ACCEPT"
        return f"docker's firewall rules drop it: run `{rule}`, or use container_runtime: docker"
    return "the agent was not started"


def public_host_key(places: AgentPaths) -> str:
    """Return the public half of an agent's host key."""
    return Path(f"{places.host_key}.pub").read_text(encoding="ascii").strip()
