"""Failures: maps an engine's exit code and output to one of our errors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

from companion.engine import access
from companion.engine.dialect import DIALECTS
from companion.errors import (
    AddressHeldError,
    Code,
    EngineError,
    ImageGoneError,
    NameTakenError,
    PortTakenError,
    SubnetTakenError,
)
from companion.system.process import TIMED_OUT, Completed

if TYPE_CHECKING:  # slow to load, and most commands build no image
    from companion.spec.containers import Image

_ID = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")
"""An object's ID, which engines show in full in some messages only."""
_REASON = 300
"""The maximum number of characters of the engine's own reason in a message."""
_TAIL_LINES = 8
"""The number of lines of a build's output in a message."""
_STEP = re.compile(r"step \d+/\d+ ?: *", re.IGNORECASE)
_NO_BASE = re.compile(
    r"ERROR \[internal\] load metadata|failed to (resolve source metadata|create LLB definition)"
)
"""BuildKit's output for a base image that it cannot pull; it has no steps before that."""
_UNREACHED = re.compile(
    r"(?:Temporary failure resolving|Could not resolve(?: host)?:?) '?([a-z0-9.-]+)"
    r"|getaddrinfo (?:EAI_AGAIN|ENOTFOUND) ([a-z0-9.-]+)"
    r"|Temporary failure in name resolution|Failed to establish a new connection"
)
"""The output of apt, curl, npm and pip if there is no network."""
_FULL = re.compile(r"(?i:no space left on device)")
_SILENT = re.compile(r"^(cannot|failed to) connect to the docker", re.IGNORECASE)
"""The client's output if no daemon listens, before and since Docker 29."""
_UNREACHABLE = re.compile(
    r"^(error during connect|(cannot|failed to|unable to) connect to (the docker|podman))",
    re.IGNORECASE,
)
"""The same for an endpoint over a network."""
_NO_ANSWER = " in time"
_VANISHED = re.compile(r"(?i:no such (network|object)|network (\S+ )?not found)")
_RULES: tuple[tuple[str, type[EngineError], str], ...] = (
    (
        r"requested ip address .* already allocated|: Address already in use",
        AddressHeldError,
        "run `companion down` and `companion up`",
    ),
    (
        r"name .* is already in use|volume with name .* already exists",
        NameTakenError,
        "run `companion down` and `companion up`",
    ),
    (
        (
            r"port is already allocated|bind: address already in use"
            r"|(?i:bind for .* failed|failed to bind (host )?port|ports are not available)"
        ),
        PortTakenError,
        "choose another port in agent.yaml",
    ),
    (r"(?i:image not known|no such image)", ImageGoneError, "run `companion up`"),
    (
        r"cannot clone: |cannot set up namespace|uid_map: operation not permitted",
        EngineError,
        "run `companion doctor`: it says what keeps podman from user namespaces",
    ),
    (
        r"No chain/target/match by that name",
        EngineError,
        "restart the docker daemon, which then restores its firewall rules",
    ),
    (r"(?i:overlaps|already (used|being used)|subnet .* is already)", SubnetTakenError, ""),
)
"""Pattern of the output, the error that it means, and the hint; the first match wins."""


def of_call(name: str, arguments: Sequence[str], done: Completed, where: str = "") -> EngineError:
    """Return the error for a failed call of the engine `name`.

    `where` is its endpoint if that is reached over a network.
    """
    log, reason = _output(done)
    # What runs in a container must not send the user to a socket of its choice.
    if arguments[:1] != ("exec",) and (denied := _denied(name, log, reason)):
        return denied
    words = takewhile(lambda word: not word.startswith("-"), arguments[:2])
    what = f"{name} {' '.join(words)} failed: {reason}"
    for pattern, kind, hint in _RULES:
        if re.search(pattern, log):
            return kind(what, hint, log)
    if done.code == TIMED_OUT and where:
        return _silent(name, _NO_ANSWER, log, where)
    if done.code == TIMED_OUT or _SILENT.search(reason):
        return _silent(name, "", log)
    if where and _UNREACHABLE.search(reason):
        return _silent(name, f": {_over_network(log, reason)}", log, where)
    return EngineError(what, "", log)


def of_probe(name: str, done: Completed, where: str = "") -> EngineError:
    """Return the error if the engine `name` did not answer at all, with its client's own words."""
    log, reason = _output(done)
    said = "" if done.code == TIMED_OUT else f": {reason}"
    if where:
        said = _NO_ANSWER if done.code == TIMED_OUT else f": {_over_network(log, reason)}"
    return _denied(name, log, reason) or _silent(name, said, log, where)


def _silent(name: str, said: str, log: str, where: str = "") -> EngineError:
    hint = DIALECTS[name].silent
    if where:
        machine = where.removeprefix("ssh://").partition("/")[0]
        hint = "check that its machine runs and that this address is right"
        if where.startswith("ssh://"):
            hint = f"check that `ssh ssh://{machine}` logs in without a question"
    what = f"{name} at {where} does not answer{said}" if where else f"{name} does not answer{said}"
    return EngineError(what, hint, log, code=Code.ENGINE_SILENT)


def _over_network(log: str, reason: str) -> str:
    """Return why an endpoint is not reached: ssh's own words, if the client repeats them."""
    _, repeated, words = " ".join(log.split()).rpartition("stderr=")
    return words[:_REASON] if repeated else reason


def _denied(name: str, log: str, reason: str) -> EngineError | None:
    """Return the error if the engine's socket refuses our user."""
    socket = access.denied_socket(log)
    if not socket:
        return None
    what = f"{name} refuses your user: {reason}"
    return EngineError(what, access.hint(socket), log, code=Code.ENGINE_DENIED)


def _output(done: Completed) -> tuple[str, str]:
    """Return a failed call's output, and the reason in it as one line."""
    log = (done.stderr or done.stdout).strip()
    return log, _reason(log.splitlines() or [f"exit code {done.code}"])


def only_vanished(done: Completed) -> bool:
    """Tell whether an `inspect` failed only because objects vanished since they were listed.

    In that case, its standard output holds all other objects.
    """
    errors = [line for line in done.stderr.splitlines() if "error" in line.lower()]
    return bool(errors) and all(map(_VANISHED.search, errors))


def of_build(image: Image, lines: Sequence[str], agent: str, settings: str) -> EngineError:
    """Return the error for a failed build.

    Args:
        image: the image that was being built.
        lines: the engine's entire output, without colors.
        agent: the agent, whose log it is.
        settings: the path of the user's settings.yaml, whose `images:` names mirrors.
    """
    text = "\n".join(lines) + "\n"
    log = f"`companion logs {agent} --build` shows all that was printed"
    if _FULL.search(text):
        what = f"the {image.role} image could not be built: no space is left on the engine's disk"
        hint = "make room, for example with `companion doctor --fix`, which removes unused images"
        return EngineError(what, hint, text, code=Code.BUILD_FAILED)
    if _ended_at_base(lines):
        what = f"cannot pull {image.base}, the base of the {image.role} image: {_reason(lines)}"
        hint = f"connect to its registry, or map it to an image you have: images: in {settings}"
        return EngineError(what, hint, text, code=Code.PULL_FAILED)
    from companion.engine import build_output  # noqa: PLC0415 - start-up time is a budget

    told = build_output.failure(lines).cause[:_REASON]
    cause = "\n".join(f"  {line}" for line in ([told] if told else lines[-_TAIL_LINES:]))
    if reached := _UNREACHED.search(text):
        host = next(filter(None, reached.groups()), "a host")
        what = f"the {image.role} image could not be built, because {host} was not found:\n{cause}"
        hint = f"connect to a network, or name your proxy: build.proxy in {settings}; {log}"
        return EngineError(what, hint, text, code=Code.BUILD_FAILED)
    what = f"the {image.role} image could not be built:\n{cause}"
    return EngineError(what, log, text, code=Code.BUILD_FAILED)


def _ended_at_base(lines: Sequence[str]) -> bool:
    """Tell whether a build failed at its base image."""
    steps = [_STEP.sub("", line, count=1) for line in lines if _STEP.match(line)]
    if steps:
        return steps[-1].upper().startswith("FROM ")
    return any(map(_NO_BASE.search, lines))


def _reason(lines: Sequence[str]) -> str:
    """Return the engine's own reason as one line, from its first error line on."""
    first = next((n for n, line in enumerate(lines) if line.startswith("Error")), len(lines) - 1)
    errors = _ID.sub(r"\1", " ".join(" ".join(lines[first:]).split()))[:_REASON]
    return re.sub(r"^Error( response from daemon)?: ", "", errors)
