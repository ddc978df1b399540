"""What an engine's failure means: its exit code and output, as one of our errors."""

import re
from collections.abc import Sequence
from itertools import takewhile

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
from companion.spec.containers import Image
from companion.system.process import TIMED_OUT, Completed

_REASON = 300
"""Characters of the engine's own reason that a message repeats."""
_TAIL = 8
"""Lines of a build's output that a message repeats."""
_STEP = re.compile(r"step \d+/\d+ ?: *", re.IGNORECASE)
_NO_BASE = re.compile(
    r"ERROR \[internal\] load metadata|failed to (resolve source metadata|create LLB definition)"
)
"""What BuildKit, which counts steps in another way, says of a base image that it cannot get."""
_VANISHED = re.compile(r"(?i:no such (network|object)|network (\S+ )?not found)")
_RULES: tuple[tuple[str, type[EngineError], str], ...] = (
    (
        r"requested ip address .* already allocated|: Address already in use",
        AddressHeldError,
        "run `companion down` and `companion up`",
    ),
    (r"name .* is already in use", NameTakenError, "run `companion down` and `companion up`"),
    (
        r"port is already allocated|bind: address already in use|Bind for .* failed",
        PortTakenError,
        "choose another port in agent.yaml",
    ),
    (r"(?i:image not known|no such image)", ImageGoneError, "run `companion up`"),
    (r"(?i:overlaps|already (used|being used)|subnet .* is already)", SubnetTakenError, ""),
)
"""What the output matches, the error that it means, and the next step; the first match counts."""


def of_call(name: str, arguments: Sequence[str], done: Completed) -> EngineError:
    """Return the error that a failed call of the engine called `name` means."""
    log = (done.stderr or done.stdout).strip()
    lines = log.splitlines() or [f"exit code {done.code}"]
    reason = _reason(lines)
    words = takewhile(lambda word: not word.startswith("-"), arguments[:2])
    what = f"{name} {' '.join(words)} failed: {reason}"
    for pattern, kind, hint in _RULES:
        if re.search(pattern, log):
            return kind(what, hint, log)
    if done.code == TIMED_OUT or re.search(r"^Cannot connect to", reason):
        return EngineError(
            f"{name} does not answer", DIALECTS[name].silent, log, code=Code.ENGINE_SILENT
        )
    return EngineError(what, "", log)


def only_vanished(done: Completed) -> bool:
    """Tell whether an `inspect` failed only because objects vanished since they were listed.

    Then its standard output has all others.
    """
    told = [line for line in done.stderr.splitlines() if "error" in line.lower()]
    return bool(told) and all(map(_VANISHED.search, told))


def of_build(image: Image, lines: Sequence[str], log: str, settings: str) -> EngineError:
    """Return the error that a failed build means.

    Args:
        image: what was built.
        lines: all that the engine said.
        log: the file that has those lines.
        settings: the user's settings.yaml, where `images:` names mirrors.
    """
    text = "\n".join(lines) + "\n"
    if _ended_at_base(lines):
        what = f"cannot pull {image.base}, the base of the {image.role} image: {_reason(lines)}"
        hint = f"connect to its registry, or map it to an image you have: images: in {settings}"
        return EngineError(what, hint, text, code=Code.PULL_FAILED)
    tail = "\n".join(f"  {line}" for line in lines[-_TAIL:])
    what = f"the {image.role} image could not be built:\n{tail}"
    return EngineError(what, f"the whole log is {log}", text, code=Code.BUILD_FAILED)


def _ended_at_base(lines: Sequence[str]) -> bool:
    """Tell whether a build got no further than its base image."""
    steps = [_STEP.sub("", line, count=1) for line in lines if _STEP.match(line)]
    if steps:
        return steps[-1].upper().startswith("FROM ")
    return any(map(_NO_BASE.search, lines))


def _reason(lines: Sequence[str]) -> str:
    """Return the engine's own reason: from its first line of an error on, as one line."""
    first = next((n for n, line in enumerate(lines) if line.startswith("Error")), len(lines) - 1)
    told = " ".join(" ".join(lines[first:]).split())[:_REASON]
    return re.sub(r"^Error( response from daemon)?: ", "", told)
