"""Detection: finds the engine that a config names, a record names, or this machine runs."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from companion.engine.client import Engine
from companion.engine.connection import SELECTORS
from companion.engine.dialect import DIALECTS
from companion.engine.model import Choice, ClusterChoice, EngineChoice
from companion.errors import Code, CompanionError, EngineError
from companion.system import packages, process, search

if TYPE_CHECKING:  # importing models takes longer than all that `status` does
    from companion.config.engine_places import EnginePlace

_TIMEOUT = 20.0
_INFO = ("info", "--format", "{{.Host.Security.Rootless}}")
_SELECTING = {
    "docker": ("DOCKER_HOST", "DOCKER_CONTEXT"),
    "podman": ("CONTAINER_HOST", "CONTAINER_CONNECTION"),
}
"""Variables that select an endpoint by its address, and by a name of the client's own."""
NO_PLACES: "Mapping[str, EnginePlace]" = MappingProxyType({})
_RECORDED = ("DOCKER_CONFIG", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF")


def detect(
    wanted: str | None, known: Choice | None, places: "Mapping[str, EnginePlace]" = NO_PLACES
) -> Choice:
    """Return the engine to use: the configured one, else the recorded one, else a running one.

    Args:
        wanted: the configured kind of engine, or a place.
        known: the recorded engine.
        places: the places of the user's settings.

    Raises:
        CompanionError: no engine is running, or the configured one does not answer.
    """
    if known and (wanted is None or _is_wanted(known, wanted, places)):
        return known
    if wanted:
        return _at_place(wanted, places[wanted]) if wanted in places else _required(wanted)
    return running()


def running() -> EngineChoice:
    """Return an engine that runs on this desktop.

    Raises:
        CompanionError: none is running.
    """
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


def _is_wanted(known: Choice, wanted: str, places: "Mapping[str, EnginePlace]") -> bool:
    """Tell whether a recorded engine is the configured one; it keeps the endpoint that it had."""
    if wanted in places:
        return (known.place, known.defined) == (wanted, str(places[wanted]))
    return known.name == wanted and not known.place


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


def selected_elsewhere(choice: Choice) -> str:
    """Return the endpoint that a new sandbox would get, if it is not a sandbox's own; else ""."""
    if choice.place or isinstance(choice, ClusterChoice):
        return ""
    now = pinned(replace(choice, environment=_set(SELECTORS[choice.name])))
    return "" if now.is_same(choice) else now.endpoint


def unasked(name: str, place: "EnginePlace") -> Choice:
    """Return the engine of a place as its settings define it; neither it nor its client is asked.

    Raises:
        CompanionError: its client is not installed.
    """
    if place.kubernetes:
        from companion.kubernetes import detection  # noqa: PLC0415 - few have a cluster

        return detection.unasked(name, place.kubernetes)
    return _unasked(name, place)


def _unasked(name: str, place: "EnginePlace") -> EngineChoice:
    binary = search.find(place.engine)
    if binary is None:
        hint = f"install {place.engine}, whose client reaches it"
        what = f"the place {name} is {place}, but {place.engine} is not installed"
        raise CompanionError(what, hint, code=Code.NO_ENGINE)
    host, own = _SELECTING[place.engine]
    variable = host if place.is_address else own
    keys = ("CONTAINER_SSHKEY",) if place.is_address and place.podman else ()
    selecting = ((variable, place.selector), *_set((*keys, *_RECORDED)))
    return EngineChoice(place.engine, binary, selecting, place=name, defined=str(place))


def _at_place(name: str, place: "EnginePlace") -> Choice:
    """Return the engine of a place, with its endpoint.

    Raises:
        CompanionError: its client is not installed or does not know it, or it does not answer.
    """
    if place.kubernetes:
        from companion.kubernetes import detection  # noqa: PLC0415 - few have a cluster

        return detection.at_place(name, place.kubernetes)
    unpinned = _unasked(name, place)
    choice = pinned(unpinned) if place.docker else _connected(unpinned)
    if not choice.endpoint:
        listing = "docker context ls" if place.docker else "podman system connection list"
        what = f"the place {name} is {place}, which {place.engine} does not know"
        hint = f"`{listing}` shows its names; correct places.{name} in settings.yaml"
        raise CompanionError(what, hint, code=Code.NO_ENGINE)
    engine = Engine(choice)
    engine.require_answer()
    is_rootless = place.podman and engine.call(*_INFO, timeout=engine.patience).strip() == "true"
    return replace(choice, rootless=bool(is_rootless))


def _connected(choice: EngineChoice) -> EngineChoice:
    """Return a podman with the address of its connection; unknown to it, without any."""
    name = dict(choice.environment).get("CONTAINER_CONNECTION")
    if not name:
        return choice
    engine = Engine(replace(choice, environment=_set(_RECORDED)))
    shape = ("--format", "{{.Name}}\t{{.URI}}\t{{.Identity}}")
    listed = engine.call("system", "connection", "list", *shape).splitlines()
    rows = (line.split("\t") for line in listed)
    found = next((row for row in rows if row[0].rstrip("*") == name and len(row) > 1), ("", ""))
    variables = zip(("CONTAINER_HOST", "CONTAINER_SSHKEY"), found[1:], strict=False)
    kept = (pair for pair in choice.environment if pair[0] != "CONTAINER_CONNECTION")
    return replace(choice, environment=(*((k, v) for k, v in variables if v), *kept))


def _required(name: str) -> EngineChoice:
    choice = _choice(name) if name in DIALECTS else None
    if choice is None:
        hint = f"install {name}, or remove container_runtime from agent.yaml"
        raise CompanionError(
            f"container_runtime is {name}, which is not installed", hint, code=Code.NO_ENGINE
        )
    Engine(choice).require_answer()
    return choice


def _set(variables: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return those of the variables that are set, with their values."""
    return tuple((name, os.environ[name]) for name in variables if name in os.environ)


def _choice(name: str) -> EngineChoice | None:
    """Return the engine called `name`, if installed; podman for podman's `docker` shim."""
    binary = search.find(name)
    if binary is None:
        return None
    if name == "docker" and "podman" in process.run((binary, "--version"), timeout=_TIMEOUT).stdout:
        name = "podman"
    recorded = (*SELECTORS[name], *_RECORDED)
    endpoint = _set(recorded)
    if name == "docker":
        return pinned(EngineChoice("docker", binary, endpoint))
    output = process.run((binary, *_INFO), timeout=_TIMEOUT).stdout
    return EngineChoice("podman", binary, endpoint, output.strip() == "true")
