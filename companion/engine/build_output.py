"""Build output: parses the steps of an image build from Podman, Docker and BuildKit."""

import json
import re
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

PLAIN = {"BUILDKIT_PROGRESS": "plain"}
"""Environment of a build: Docker without buildx does not support the flag `--progress`."""
STEPS = 500
"""The most steps that are reported: what runs in a build can say that it is one."""
_BEGIN, _END = 1 << 20, 3 << 20
"""Characters of a build's output that are kept."""
_CUT = "[…]"
_FORMS = (
    # "STEP 3/5: RUN x" of podman, "Step 3/5 : RUN x" of docker's old builder
    re.compile(r"step (?P<number>\d+)/(?P<count>\d+) ?: (?P<command>.+)", re.IGNORECASE),
    # "#7 [ 3/12] RUN x" of BuildKit, "#7 [stage-1 3/12] RUN x" where there are several stages
    re.compile(r"#\d+ \[(?:\S+ )? *(?P<number>\d+)/(?P<count>\d+)\] (?P<command>.+)"),
)


class Log:
    """What a build said: its beginning and its end, if it said very much."""

    def __init__(self) -> None:
        self._begin: list[str] = []
        self._end: deque[str] = deque()
        self._sizes = [0, 0]
        self._is_cut = False

    def add(self, line: str) -> None:
        """Append a line."""
        if self._sizes[0] < _BEGIN:
            self._begin.append(line)
            self._sizes[0] += len(line) + 1
            return
        self._end.append(line)
        self._sizes[1] += len(line) + 1
        while self._sizes[1] > _END:
            self._sizes[1] -= len(self._end.popleft()) + 1
            self._is_cut = True

    @property
    def lines(self) -> list[str]:
        """Its lines."""
        return [*self._begin, *((_CUT,) if self._is_cut else ()), *self._end]


def step(line: str) -> str | None:
    """Return the step that a line announces, as "step 3/5: RUN x"; None for any other line.

    BuildKit repeats a step's line whenever its output follows that of another step.
    """
    for form in _FORMS:
        if found := form.match(line):
            return "step {number}/{count}: {command}".format_map(found.groupdict())
    return None


class Failure(NamedTuple):
    """The step at which a build failed."""

    step: str
    """The instruction as the engine repeats it; "" if it named none."""
    said: tuple[str, ...]
    """What the step printed, without what the engine says around it."""

    @property
    def command(self) -> str:
        """The shell command of our RUN instructions, which are in exec form; "" for others."""
        try:
            words = json.loads(self.step.partition("RUN ")[2])
        except (ValueError, RecursionError):  # what runs in a build can say that it is one
            return ""
        is_ours = isinstance(words, list) and words[:2] == ["/bin/sh", "-ec"]
        return str(words[2]) if is_ours and len(words) == 3 else ""  # noqa: PLR2004 - sh, -ec, text

    @property
    def cause(self) -> str:
        """The line that tells most of why it failed: the first that looks like an error."""
        for form in _CAUSES:
            if found := next(filter(form.search, self.said), ""):
                return found.strip()
        return next((line.strip() for line in reversed(self.said) if line.strip()), "")


_AROUND = re.compile(
    r" *--->|-->|Removing intermediate container |The command '/bin/sh |time=\""
    r"|Error: building at STEP |subprocess exited with status |ERRO\[|Error: exit status "
)
"""What podman and docker's old builder say around the output of a step."""
_OF_STEP = re.compile(r"#(\d+) (?:\d+\.\d+ )?(.*)")
"""A line of BuildKit: the step's number, the seconds, and what it said."""
_CAUSES = tuple(
    re.compile(form)
    for form in (
        r"No space left on device|no space left on device",
        r"^E: ",  # apt
        r"^npm (error|ERR!) (?!code\b|errno\b|syscall\b|path\b|A complete log)",
        r"^(ERROR|error(\[\w+\])?|fatal|curl): |^curl: \(",  # pip, cargo, uv, git
        r"^(/bin/)?(ba)?sh: .*(not found|denied|No such)",
        r"(?i)\b(error|fatal|cannot|could not|not found|no such|denied|unable)\b",
    )
)
"""What tools begin the line with that says why they failed, the surest first."""


def failure(lines: Sequence[str]) -> Failure:
    """Return the step at which a build failed, from its output without colors."""
    for line in lines:
        if found := re.match(r"#(\d+) ERROR: ", line):
            return _of_buildkit(lines, found[1])
    step, begin = "", 0
    for number, line in enumerate(lines):
        if found := _FORMS[0].match(line):
            step, begin = found["command"], number + 1
    said = (line for line in lines[begin:] if line.strip() and not _AROUND.match(line))
    return Failure(step, tuple(said))


def _of_buildkit(lines: Sequence[str], number: str) -> Failure:
    step, said = "", []
    for line in lines:
        found = _OF_STEP.match(line)
        if not found or found[1] != number or line.startswith(f"#{number} ERROR: "):
            continue
        if announced := _FORMS[1].match(line):
            step = announced["command"]
        elif found[2].strip():
            said.append(found[2])
    return Failure(step, tuple(said))
