"""Forwarding: a port of the desktop is forwarded to a sandbox until it is ended.

OpenSSH listens and forwards, with the pinned host key of our own configuration. Whatever replaces
the sandbox ends its connection, so it is started again until the sandbox answers.
"""

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import count

from companion.desktop import ssh_config
from companion.errors import Code, CompanionError, PortTakenError
from companion.project import forwards, store
from companion.project.forwards import Forward
from companion.project.model import Project
from companion.reconcile import port_holders
from companion.system import files, process, programs
from companion.system.children import Lines
from companion.system.paths import Paths

_READY = "ready"
_COMMAND = f"echo {_READY}; exec cat"
"""What runs inside: it ends when we do, however we end, and its connection with it."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0
_DOUBLINGS = 6
"""How often a pause is doubled at most: a power of any number of attempts has no limit."""
_PATIENCE = 30.0
"""Seconds until a forward in the background must answer, or one that was asked to end must."""
_PULSE = 0.05
_FIRST_UNPRIVILEGED = 1024


def forward_of(home: Paths, project: Project, agent: str, port: int, inside: int) -> Forward:
    """Return the forward of one port of the desktop, which must be free.

    Raises:
        CompanionError: the agent takes no logins, or the port is taken.
    """
    record = store.of_project(home, project).agents[agent]
    if not record.allocation.ssh_port:
        what, hint = f"{agent} accepts no SSH logins", "add the ssh plugin to agent.yaml"
        raise CompanionError(what, hint, code=Code.NO_LOGINS)
    if port < _FIRST_UNPRIVILEGED and files.user_id():
        what = f"port {port} of the desktop is for root only"
        hint = f"choose another one: `companion port {agent} {port + 8000}:{inside}`"
        raise CompanionError(what, hint, code=Code.PORT_TAKEN)
    if not port_holders.is_free(port):
        other = port_holders.next_free(port + 1)
        what = f"port {port} is taken by {port_holders.holder(home, port)}"
        hint = f"choose another one: `companion port {agent} {other}:{inside}`"
        raise PortTakenError(what, hint, port=port)
    return Forward(project.id, agent, record.allocation.alias, port, inside, os.getpid())


def run(
    home: Paths, forward: Forward, on_ready: Callable[[], None], say: Callable[[str], None]
) -> None:
    """Forward until the agent is taken down, across all that replaces its sandbox.

    Raises:
        CompanionError: the first connection failed, or the agent is no longer wanted.
    """
    ssh_config.sync(home)
    with forwards.held(home, forward):
        if problem := _connected(home, forward, on_ready):
            what = f"port {forward.port} cannot be forwarded: {problem}"
            raise CompanionError(what, "see `companion status`", code=Code.LOGIN_FAILED)
        while True:
            say(f"the connection to {forward.agent} ended; reconnecting")
            for attempt in count():
                _require_wanted(home, forward)
                time.sleep(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(attempt, _DOUBLINGS)))
                if not _connected(home, forward, lambda: say(f"connected to {forward.agent}")):
                    break


def begin(home: Paths, project: Project, forward: Forward) -> Forward:
    """Forward in a process of its own, and return once the port answers.

    Raises:
        CompanionError: it does not answer in time.
    """
    pair = f"{forward.port}:{forward.inside}"
    argv = programs.companion("-C", str(project.directory), "port", forward.agent, pair)
    process.launch(argv)
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        for active in forwards.active(home):
            if replace(active, pid=forward.pid) == forward and _answers(forward.port):
                return active
        time.sleep(_PULSE)
    what = f"port {forward.port} does not answer"
    raise CompanionError(what, f"run `companion port {forward.agent} {pair}` to see why")


def end(home: Paths, forward: Forward) -> None:
    """End a forward of any process, and wait until its port is free.

    Raises:
        CompanionError: its process does not end in time.
    """
    process.ask_to_end(forward.pid)
    until = time.monotonic() + _PATIENCE
    while forward in forwards.active(home):
        if time.monotonic() > until:
            what = f"port {forward.port} is still forwarded by process {forward.pid}"
            raise CompanionError(what, "end that process")
        time.sleep(_PULSE)


def _connected(home: Paths, forward: Forward, on_ready: Callable[[], None]) -> str:
    """Forward until the connection ends; return why it failed if there never was one."""
    route = f"127.0.0.1:{forward.port}:127.0.0.1:{forward.inside}"
    options = ("ExitOnForwardFailure=yes", "LogLevel=ERROR", "BatchMode=yes", "ControlPath=none")
    argv = (
        *("ssh", "-F", str(home.ssh_config), "-T"),
        *(word for option in options for word in ("-o", option)),
        *("-L", route, forward.alias, _COMMAND),
    )
    ssh, last, ready = Lines(argv, apart=True, waits=True), "", False
    try:
        for line in ssh:
            if line == _READY and not ready:
                ready = True
                on_ready()
            last = line.strip() or last
    finally:
        ssh.kill()
    return "" if ready else last or f"ssh exited with code {ssh.code}"


def _require_wanted(home: Paths, forward: Forward) -> None:
    record = None
    with suppress(CompanionError):  # being written
        record = store.read(home.project(forward.project).agent(forward.agent))
    if record is None or record.wanted != "up":
        what = f"{forward.agent} was stopped; port {forward.port} is no longer forwarded"
        raise CompanionError(what, "", code=Code.STOPPED)


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
