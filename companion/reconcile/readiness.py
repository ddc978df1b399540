"""Readiness: checks that a sandbox is closed to the network and accepts its user's key."""

import re
import time
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from socket import socket

from companion.engine.driver import Driver
from companion.engine.model import AgentLogin, Command
from companion.errors import Code, CompanionError, EngineError
from companion.reconcile.gateway_services import NOBODY, ROOT
from companion.spec.containers import Login, Target
from companion.spec.identity import LIB, Role
from companion.system import children, files
from companion.system.paths import Paths
from companion.system.project_paths import AgentPaths
from ssh import banner, probe
from ssh.connection import Connect, by_tcp

_SEE_OUTPUT = "see its last output above"
_LAST_LINES = 8
_SLICE = 2.0
"""Seconds of login attempts between checks that the agent still runs, at least."""
_SLICE_OF_COMMAND = 15.0
"""The same where a command of the engine's connects, which starts slowly: see way_in()."""
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
    connect = way_in(engine, agent_login(target), login.port)
    key, pin = home.client_key(login.alias), public_host_key(agent_paths)
    pace = patience(engine)
    first = probe.PATIENCE if engine.choice.shares_files else pace
    while True:
        try:
            now = time.monotonic()
            each = max(first, now - begin)  # a busy machine may need long for a login
            until = min(now + max(pace, each), begin + LOGIN_PATIENCE)
            probe.wait_for_login(connect, login.user, key, pin, until, patience=each)
        except probe.WrongHostKey as error:
            raise CompanionError(
                f"another server answers: {error}", _SEE_OUTPUT, code=Code.LOGIN_FAILED
            ) from None
        except probe.ProbeError as error:
            _require_running(engine, target)
            if time.monotonic() > begin + LOGIN_PATIENCE:
                _require_commands(engine, target)
                raise CompanionError(
                    f"SSH does not answer: {error}", _SEE_OUTPUT, code=Code.LOGIN_FAILED
                ) from None
        else:
            return time.monotonic() - begin


def way_in(engine: Driver, login: AgentLogin, port: int) -> Connect:
    """Return how the desktop connects to an agent's SSH server.

    An engine elsewhere publishes no port: a command of its client connects.
    """
    if engine.choice.shares_files:
        return by_tcp("127.0.0.1", port)
    return partial(_by_command, engine.ssh_server(login))


def _by_command(command: Command, _seconds: float) -> AbstractContextManager[socket]:
    return children.connection(command.argv, env=command.environment)


def agent_login(target: Target) -> AgentLogin:
    """Return the agent's user in its container; a number if it accepts no logins."""
    user = target.service(Role.AGENT).user
    return AgentLogin(target.login.user if target.login else user, started_as_root=user == ROOT)


def answers(engine: Driver, target: Target) -> bool:
    """Tell whether the SSH server of a running sandbox answers; True if it has none.

    On an engine elsewhere, each connection has a server of its own: there is nothing to find out.
    """
    if target.login is None or not engine.choice.shares_files:
        return True
    connect = way_in(engine, agent_login(target), target.login.port)
    return answers_by(connect, patience(engine))


def patience(engine: Driver) -> float:
    """Return the seconds for one try to reach an agent's SSH server."""
    return _SLICE if engine.choice.shares_files else _SLICE_OF_COMMAND


def answers_by(connect: Connect, patience: float = _SLICE) -> bool:
    """Tell whether an SSH server answers, without a login; `patience` in seconds for a try."""
    for _ in range(_BANNER_TRIES):
        begin = time.monotonic()
        if banner.read(connect, patience):
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


def _require_running(engine: Driver, target: Target) -> None:
    name = target.service(Role.AGENT).name
    for container in engine.containers():
        if container.service == name and not container.running:
            what = f"the agent exited at startup with exit code {container.exit_code}"
            raise EngineError(what, _SEE_OUTPUT, code=Code.AGENT_ENDED)


def _require_commands(engine: Driver, target: Target) -> None:
    """Check that an engine elsewhere runs a command in the agent's container, as SSH needs one.

    Raises:
        EngineError: it refuses, and tells why.
    """
    if not engine.choice.shares_files:
        engine.run_as_agent(agent_login(target), "true", stdin="")


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
