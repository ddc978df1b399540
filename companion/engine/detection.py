"""Detection: finds the engine that a config names, a record names, or this machine runs."""

import json
import os
from dataclasses import replace
from pathlib import Path

from companion.engine.client import Engine
from companion.engine.connection import SELECTORS
from companion.engine.dialect import DIALECTS
from companion.engine.model import EngineChoice
from companion.errors import Code, CompanionError, EngineError
from companion.system import packages, process, search

_TIMEOUT = 20.0
_INFO = ("info", "--format", "{{.Host.Security.Rootless}}")
_RECORDED = ("DOCKER_CONFIG", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF")


def detect(wanted: str | None, known: EngineChoice | None) -> EngineChoice:
    """Return the engine to use: the configured one, else the recorded one, else a running one.

    Raises:
        CompanionError: no engine is running, or the configured one does not answer.
    """
    if known and wanted in {None, known.name}:
        return known
    if wanted:
        return _required(wanted)
    failure: EngineError | None = None
    for choice in filter(None, map(_choice, DIALECTS)):
        try:
            Engine(choice).require_answer()
        except EngineError as error:
            failure = failure or error
        else:
            return choice
    if failure:
        raise failure
    raise CompanionError(
        "neither docker nor podman is installed",
        f"{packages.advice('podman')}, or install docker",
        code=Code.NO_ENGINE,
    )


def installed() -> tuple[EngineChoice, ...]:
    """Return every engine that is installed here, whether or not it is running."""
    found = {choice.name: choice for name in DIALECTS if (choice := _choice(name))}
    return tuple(found.values())


def pinned(choice: EngineChoice) -> EngineChoice:
    """Return a choice with its endpoint: what `docker context use` selects later is another one.

    A docker whose client cannot tell its endpoint stays as it is.
    """
    if choice.name != "docker" or choice.endpoint:
        return choice
    engine = Engine(choice)
    done = process.run(engine.argv("context", "inspect"), env=engine.environment, timeout=_TIMEOUT)
    try:
        (context,) = json.loads(done.stdout)
        address, keys = context["Endpoints"]["docker"], context["TLSMaterial"].get("docker")
        variables = {"DOCKER_HOST": str(address["Host"])}
        if keys:
            variables["DOCKER_CERT_PATH"] = str(Path(context["Storage"]["TLSPath"], "docker"))
            variables["DOCKER_TLS" if address["SkipTLSVerify"] else "DOCKER_TLS_VERIFY"] = "1"
    except (ValueError, LookupError, TypeError, AttributeError):
        return choice
    kept = {key: value for key, value in choice.environment if key != "DOCKER_CONTEXT"}
    return replace(choice, environment=tuple((variables | kept).items()))


def selected_elsewhere(choice: EngineChoice) -> str:
    """Return the endpoint that a new sandbox would get, if it is not a sandbox's own; else ""."""
    set_now = tuple((key, os.environ[key]) for key in SELECTORS[choice.name] if key in os.environ)
    now = pinned(replace(choice, environment=set_now))
    return "" if now.is_same(choice) else now.endpoint


def _required(name: str) -> EngineChoice:
    choice = _choice(name)
    if choice is None:
        hint = f"install {name}, or remove container_runtime from agent.yaml"
        raise CompanionError(
            f"container_runtime is {name}, which is not installed", hint, code=Code.NO_ENGINE
        )
    Engine(choice).require_answer()
    return choice


def _choice(name: str) -> EngineChoice | None:
    """Return the engine called `name`, if installed; podman for podman's `docker` shim."""
    binary = search.find(name)
    if binary is None:
        return None
    if name == "docker" and "podman" in process.run((binary, "--version"), timeout=_TIMEOUT).stdout:
        name = "podman"
    recorded = (*SELECTORS[name], *_RECORDED)
    endpoint = tuple((key, os.environ[key]) for key in recorded if key in os.environ)
    if name == "docker":
        return pinned(EngineChoice("docker", binary, endpoint))
    output = process.run((binary, *_INFO), timeout=_TIMEOUT).stdout
    return EngineChoice("podman", binary, endpoint, output.strip() == "true")
