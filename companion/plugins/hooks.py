"""Hooks: by which an agent's program tells in one word whether it works, waits or is done.

They lie where programs look for an administrator's settings, so they add to the user's own hooks.
A hook gets a description of its event as input, which it does not read further: only the word,
which is the hook's own, leaves the sandbox.
"""

import shlex

from companion.spec.identity import ATTENTION
from companion.traffic.attention import Word

SECONDS = 3
"""How long an agent's program waits for a hook, which returns after milliseconds."""


def command(word: Word) -> str:
    """Return the shell command that says a word; it never fails."""
    return f"cat >/dev/null; {ATTENTION} {word} || true"


def written(path: str, text: str) -> str:
    """Return the command that writes a system-wide file while an image is built."""
    directory = path.rpartition("/")[0]
    return f"mkdir -p {directory} && printf '%s' {shlex.quote(text)} >{path}"
