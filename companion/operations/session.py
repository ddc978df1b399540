"""Sessions: an agent program in a terminal of its sandbox that outlives every connection to it."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from companion.errors import CompanionError
from companion.project.record import AgentRecord
from companion.spec.identity import ATTENTION
from companion.system import process
from companion.system.paths import Paths

NAME = "agent"
"""The tmux session that an agent's terminal is."""
LOST = 255
"""What ssh exits with if its connection ends."""
TAKEN = 73
"""What attach() returns if a new session was wanted and there is one already."""
_SECONDS = 60.0
_KNOWN_TERMINAL = "infocmp >/dev/null 2>&1 || export TERM=xterm-256color"
"""A sandbox knows few terminals; of the others, most understand this one's codes."""
_UNLESS_TAKEN = f"tmux has-session -t {NAME} 2>/dev/null && exit {TAKEN}; {{}}"
_STAYS = (
    f"{{}}; code=$?; {ATTENTION} ended 2>/dev/null;"
    ' [ "$code" = 0 ] || {{ echo "it ended with $code"{}; exec bash -l; }}'
)
"""A program that fails leaves its last words on the screen, and a shell."""


@dataclass(frozen=True, slots=True)
class Session:
    """The terminal session of one sandbox, and the program that begins it."""

    record: AgentRecord
    program: Sequence[str]
    missing: str = ""
    """What the program lacks, which is told if it fails."""

    def attach(self, home: Paths, *, is_new: bool) -> int:
        """Attach our own terminal; return ssh's exit code, or TAKEN.

        Args:
            home: the user's places.
            is_new: attach to a new session only; else to the one that there is, if any.
        """
        begun = f"exec {self._tmux('-A')}"
        remote = _UNLESS_TAKEN.format(begun) if is_new else begun
        return process.attach(self._ssh(home, remote, "-t"))

    def begin(self, home: Paths) -> bool:
        """Begin a session that nobody is attached to; return False if there is one already.

        Raises:
            CompanionError: it cannot be begun.
        """
        remote = _UNLESS_TAKEN.format(self._tmux("-d"))
        done = process.run(self._ssh(home, remote, "-n"), timeout=_SECONDS)
        if done.code not in {0, TAKEN}:
            reason = done.stderr.strip() or f"exit code {done.code}"
            raise CompanionError(f"no session could be begun: {reason}", "see `companion logs`")
        return done.code == 0

    def _tmux(self, how: str) -> str:
        workdir = self.record.config.workdir or "/"
        missing = f"; echo {shlex.quote(f'companion: {self.missing}')}" if self.missing else ""
        program = _STAYS.format(shlex.join(self.program), missing)
        words = ("tmux", "-u", "new-session", how, "-s", NAME, "-c", workdir, program)
        return f"{shlex.join(words)} \\; set-option -s escape-time 10"

    def _ssh(self, home: Paths, remote: str, *options: str) -> tuple[str, ...]:
        alias = self.record.allocation.alias
        remote = f"{_KNOWN_TERMINAL}; {remote}"
        return ("ssh", *options, "-F", str(home.ssh_config), alias, remote)
