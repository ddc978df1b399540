"""Network probe: tests that an engine can start a container on a new network.

An engine without one of its network tools still responds and registers a network. It needs the
firewall and, when rootless, the tool for outbound traffic only to start a container there.
"""

import re
import secrets
from contextlib import suppress

from companion.engine.client import Engine
from companion.errors import EngineError
from companion.system import packages, process

LABEL = "dev.companion.probe=1"
_EMPTY_TAR = "\0" * 10240
_CREATE = ("create", "--pull", "never")
_PROGRAM = "/probe"
_NO_PROGRAM = re.compile(rf"{_PROGRAM}\b.*(no such file|not found)", re.IGNORECASE | re.DOTALL)
"""The error of starting an empty container after its network was set up."""
_PACKAGES = (
    (r"failed to find plugin", "containernetworking-plugins"),
    (r"\bnft\b|nftables", "nftables"),
    (r"iptables|netavark: No such file", "iptables"),
    (r"find \W*netavark", "netavark"),
    (r"aardvark", "aardvark-dns"),
    (r"slirp4netns", "slirp4netns"),
    (r"\bpasta\b", "passt"),
    (r"\bnew[ug]idmap\b", "uidmap"),
)
"""Pattern of an engine's output for a missing tool, and the Debian package with that tool."""


def probe(engine: Engine) -> None:
    """Start an empty container on a new network, and remove both.

    Raises:
        EngineError: the engine refused; if a tool is missing, the hint names its package.
    """
    _require_plugins(engine)
    name = f"companion-probe-{secrets.token_hex(4)}"
    image = f"localhost/{name}:1"
    try:
        engine.call("network", "create", "--label", LABEL, name)
        engine.call("import", "--change", f"LABEL {LABEL}", "-", image, stdin=_EMPTY_TAR)
        engine.call(*_CREATE, "--name", name, "--network", name, image, _PROGRAM)
        _start(engine, name)
    except EngineError as error:
        (problem,) = error.problems
        step = hint(error.log) or problem.hint
        raise EngineError(problem.what, step, error.log, code=problem.code) from None
    finally:
        for argv in (("rm", "--force", name), ("rmi", image), ("network", "rm", name)):
            with suppress(EngineError):
                engine.call(*argv)


def _require_plugins(engine: Engine) -> None:
    """Check that Podman's CNI backend has its plugins, before a network is created.

    Without them it creates a network that it can then neither find nor remove.
    """
    listed = process.run(engine.argv("network", "ls"), env=engine.environment)
    if "failed to find plugin" in listed.stderr:
        what = f"{engine.choice.name}'s network plugins are missing"
        raise EngineError(what, hint(listed.stderr), listed.stderr)


def hint(log: str) -> str:
    """Return the next step if a tool is missing, from the engine's output; else ""."""
    package = missing(log)
    return packages.advice(package) if package else ""


def missing(log: str) -> str:
    """Return the Debian package of the missing tool that an engine's output names; else ""."""
    return next((package for shape, package in _PACKAGES if re.search(shape, log)), "")


def _start(engine: Engine, container: str) -> None:
    try:
        engine.call("start", container)
    except EngineError as error:
        if not _NO_PROGRAM.search(error.log):
            raise
