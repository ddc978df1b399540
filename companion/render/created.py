"""The start hook that runs the commands of a devcontainer.json, once they are the sandbox's own."""

import shlex

from companion.config.devcontainer import Command
from companion.spec.identity import digest

LOG, DONE = ".companion-created.log", ".companion-created"
"""Files in the agent's home: the output, and a digest of what succeeded last."""

_HOOK = """\
#!/bin/bash
# Written by `companion run`, from {source} of the repository.
# Runs once, beside the agent and as its user, so that nothing waits for it; after a failure again
# at the next start. Its output is in ~/{log}; remove ~/{done} to run it again.
[ "$(cat ~/{done} 2>/dev/null)" != {digest} ] || exit 0
created() (
  set -e
  cd {workdir}
{commands}\
  echo {digest} >~/{done}
)
created >~/{log} 2>&1 </dev/null &
"""


def render(source: str, workdir: str, commands: tuple[Command, ...]) -> str:
    """Return the text of the hook.

    Args:
        source: where the commands come from, for the comment; plain characters.
        workdir: where they run.
        commands: one after another; none runs after one that failed.
    """
    lines = "".join(
        f"  echo {shlex.quote(f'== {c.key}')}\n  sh -c {shlex.quote(c.text)}\n" for c in commands
    )
    seal = digest([workdir, *(c.text for c in commands)])
    return _HOOK.format(
        source=source,
        workdir=shlex.quote(workdir),
        commands=lines,
        digest=seal,
        log=LOG,
        done=DONE,
    )
