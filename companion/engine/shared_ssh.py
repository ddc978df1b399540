"""Shared SSH: one connection for all calls of Docker's client to an engine behind `ssh://`.

The client starts an `ssh` for each call, which logs in anew (0.3 s and more), and takes no options
for it. So the first `ssh` on its PATH is a script of ours that adds them. The connection ends a
minute after its last use, and soon after the network does.
"""

import os
import shlex
from pathlib import Path

from companion.engine.model import EngineChoice
from companion.system import files, platforms, search
from companion.system.paths import Paths

_LONGEST = 45
"""Characters of the sockets' directory. A socket's path has at most 104 on some systems, of which
ssh takes 40 for the connection's hash, and 17 more while it connects."""
_SECONDS, _EACH, _LOST = 60, 5, 2
"""How long the connection outlives its last use, and when it counts as lost."""


def variables(choice: EngineChoice) -> dict[str, str]:
    """Return the variables by which the client's `ssh`, if it starts one, shares a connection."""
    if choice.name != "docker" or not choice.endpoint.startswith("ssh://"):
        return {}
    program, sockets = search.find("ssh"), _sockets()
    if program is None or sockets is None or platforms.HERE == "win32":
        return {}
    files.make_private_dir(sockets)
    script = Paths.of_user().shared_ssh / "ssh"
    files.make_private_dir(script.parent)
    files.write(script, _script(program, str(sockets)), mode=0o700)
    path = search.environment(ours=True)["PATH"]
    return {"PATH": os.pathsep.join((str(script.parent), path))}


def _sockets() -> Path | None:
    """Return a directory whose path is short enough for sockets, or None."""
    runtime, state = os.environ.get("XDG_RUNTIME_DIR", ""), Paths.of_user().state
    candidates = (Path(runtime, "companion") if runtime.startswith("/") else state, state)
    return next((one for one in candidates if len(str(one)) <= _LONGEST), None)


def _script(program: str, sockets: str) -> str:
    options = (
        "ControlMaster=auto",
        f"ControlPath={sockets.replace('%', '%%')}/%C",
        f"ControlPersist={_SECONDS}",
        f"ServerAliveInterval={_EACH}",
        f"ServerAliveCountMax={_LOST}",
    )
    words = shlex.join((program, *(word for option in options for word in ("-o", option))))
    return f'#!/bin/sh\nexec {words} "$@"\n'
