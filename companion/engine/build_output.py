"""Build output: parses the steps of an image build from Podman, Docker and BuildKit."""

import re
from collections import deque

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
