"""Readiness: checks that a sandbox is closed to the network and accepts its user's key."""

import re
import time
from contextlib import suppress
from pathlib import Path

from companion.engine.driver import Driver
from companion.errors import Code, CompanionError, EngineError
from companion.reconcile.gateway_services import NOBODY
from companion.spec.containers import Login, Target
from companion.spec.identity import LIB, Role
from companion.system import files
from companion.system.paths import AgentPaths, Paths
from ssh import banner, probe

_SEE_OUTPUT = "see its last output above"
_LAST_LINES = 8
_SLICE = 2.0
"""Seconds of login attempts between checks that the agent still runs."""
_BANNER_TRIES, _PAUSE = 3, 0.5
"""Attempts until an SSH server counts as silent, and seconds from one to the next at least."""
LOGIN_PATIENCE = 30.0
"""Seconds until the sshd of a new container must accept our login."""


def check_closed(engine: Driver, target: Target) -> None:
    """Try to connect out of the agent's namespace, before the agent runs there.

    Raises:
        EngineError: a connection got out, or the gateway did not respond.
    """
    holder, bridge = target.service(Role.NET).name, target.internal.address(1)
    try:
        engine.run(holder, "/bin/bash", f"{LIB}/closed.sh", bridge, user=NOBODY)
    except EngineError as error:
        if end := _end_of_gateway(engine):
            raise EngineError(f"the gateway keeps exiting: {end}", _SEE_OUTPUT, error.log) from None
        what = f"the check of the sandbox's network failed ({error.log or 'no answer'})"
        raise EngineError(what, _network_hint(engine, target), error.log) from None


def _end_of_gateway(engine: Driver) -> str:
    """Return the gateway's output at its last exit, "" if none; the engine restarts it."""
    with suppress(EngineError):  # the failed check is what to report
        gateways = (c.name for c in engine.containers() if c.role is Role.GATEWAY)
        for lines in (engine.last_lines(name, _LAST_LINES) for name in gateways):
            for number in reversed(range(len(lines))):
                if re.match("gateway: .* ended with exit code", lines[number]):
                    return "; ".join(map(str.strip, lines[max(0, number - 1) : number + 1]))
    return ""


def wait_for_login(
    engine: Driver, target: Target, login: Login, home: Paths, agent_paths: AgentPaths
) -> float:
    """Log in with our own key and the pinned host key; return the seconds it took.

    Raises:
        CompanionError: the agent exited, no login within 30 s, or the host key is another one.
    """
    begin = time.monotonic()
    while True:
        try:
            _login(login, home, agent_paths, time.monotonic() + _SLICE)
        except probe.WrongHostKey as error:
            raise CompanionError(
                f"another server answers: {error}", _SEE_OUTPUT, code=Code.LOGIN_FAILED
            ) from None
        except probe.ProbeError as error:
            _require_running(engine, target)
            if time.monotonic() > begin + LOGIN_PATIENCE:
                raise CompanionError(
                    f"SSH does not answer: {error}", _SEE_OUTPUT, code=Code.LOGIN_FAILED
                ) from None
        else:
            return time.monotonic() - begin


def answers(port: int) -> bool:
    """Tell whether an SSH server answers on a running sandbox's port, without a login."""
    for _ in range(_BANNER_TRIES):
        begin = time.monotonic()
        if banner.read("127.0.0.1", port, _SLICE):
            return True
        time.sleep(max(0.0, _PAUSE - (time.monotonic() - begin)))
    return False


def check_running(engine: Driver, target: Target) -> None:
    """Check that an agent without SSH stays up for half a second.

    Raises:
        EngineError: it exited.
    """
    time.sleep(0.5)
    _require_running(engine, target)


def _login(login: Login, home: Paths, agent_paths: AgentPaths, deadline: float) -> None:
    key = home.client_key(login.alias)
    pin = public_host_key(agent_paths)
    probe.wait_for_login("127.0.0.1", login.port, login.user, key, pin, deadline=deadline)


def _require_running(engine: Driver, target: Target) -> None:
    name = target.service(Role.AGENT).name
    for container in engine.containers():
        if container.service == name and not container.running:
            what = f"the agent exited at startup with exit code {container.exit_code}"
            raise EngineError(what, _SEE_OUTPUT, code=Code.AGENT_ENDED)


def _network_hint(engine: Driver, target: Target) -> str:
    """Return the hint; a docker daemon on the same host may drop podman's internal traffic."""
    subnet = target.internal.subnet
    filtered = files.read_text(Path("/proc/sys/net/bridge/bridge-nf-call-iptables")) or ""
    if engine.choice.name == "podman" and filtered.strip() == "1":
        rule = f"iptables -I FORWARD -s {subnet} -d {subnet} -j ACCEPT"
        return f"docker's firewall rules drop it: run `{rule}`, or use container_runtime: docker"
    return "the agent was not started"


def public_host_key(agent_paths: AgentPaths) -> str:
    """Return the public half of an agent's host key."""
    return Path(f"{agent_paths.host_key}.pub").read_text(encoding="ascii").strip()
