"""Build output: parses the steps of an image build from Podman, Docker and BuildKit."""

import re

PLAIN = {"BUILDKIT_PROGRESS": "plain"}
"""Environment of a build: Docker without buildx does not support the flag `--progress`."""
_FORMS = (
    # "STEP 3/5: RUN x" of podman, "Step 3/5 : RUN x" of docker's old builder
    re.compile(r"step (?P<number>\d+)/(?P<count>\d+) ?: (?P<command>.+)", re.IGNORECASE),
    # "#7 [ 3/12] RUN x" of BuildKit, "#7 [stage-1 3/12] RUN x" where there are several stages
    re.compile(r"#\d+ \[(?:\S+ )? *(?P<number>\d+)/(?P<count>\d+)\] (?P<command>.+)"),
)


def step(line: str) -> str | None:
    """Return the step that a line announces, as "step 3/5: RUN x"; None for any other line.

    BuildKit repeats a step's line whenever its output follows that of another step.
    """
    for form in _FORMS:
        if found := form.match(line):
            return "step {number}/{count}: {command}".format_map(found.groupdict())
    return None
