"""Actions of the dashboard: what a key does to a sandbox, by the operations of the commands."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from companion.errors import CompanionError
from companion.operations import allow
from companion.operations.overview import AgentOverview
from companion.reconcile import run, teardown
from companion.reconcile.comparison import Restarts
from companion.system import programs
from companion.system.paths import Paths

Progress = Callable[[str], None]


class Verb(StrEnum):
    """What can be done without leaving the screen."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    ONCE = "allow once"
    ALWAYS = "allow always"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Action:
    """One key press: what to do with which sandbox, and with which host."""

    verb: Verb
    on: AgentOverview
    host: str = ""

    @property
    def question(self) -> str:
        """What the user is asked first; empty if nothing is."""
        match self.verb:
            case Verb.STOP:
                return f"Stop {self.on.agent}? Its containers are removed, its volumes remain."
            case Verb.RESTART:
                return f"Restart {self.on.agent}? What runs in it ends."
            case Verb.ALWAYS:
                return f"Always let {self.on.agent} reach {self.host}? Adds a line to agent.yaml."
            case Verb.START | Verb.ONCE | Verb.DENY:
                return ""


def carry_out(home: Paths, action: Action, progress: Progress) -> str:
    """Carry out an action, and return a sentence about what came of it.

    Raises:
        CompanionError: it failed; what ran before still runs.
    """
    one, host = action.on, action.host
    ref, name = one.ref, one.agent
    already = f"{name} reaches {host} already"
    match action.verb:
        case Verb.START | Verb.RESTART:
            restarts = Restarts.ALL if action.verb is Verb.RESTART else Restarts.NEEDED
            report = run.reconcile(home, ref, progress, restarts=restarts)
            return f"{report.agent} is running ({report.seconds:.1f} s)"
        case Verb.STOP:
            was_there = teardown.down(home, ref.project, name, progress)
            return f"stopped {name}" if was_there else f"{name} was stopped already"
        case Verb.ONCE:
            changed = allow.once(home, ref, name, allow.parsed(host), progress)
            allow.apply(home, ref, name, progress)
            return f"{name} may reach {host} until it is taken down" if changed else already
        case Verb.ALWAYS:
            file = allow.always(home, ref, name, allow.parsed(host))
            allow.apply(home, ref, name, progress)
            return f"{name} may reach {host}: a new line in {file}" if file else already
        case Verb.DENY:
            changed = allow.deny(home, ref, name, allow.parsed(host), progress)
            allow.apply(home, ref, name, progress)
            return f"{name} {'no longer reaches' if changed else 'does not reach'} {host}"


def editor(one: AgentOverview) -> tuple[str, ...]:
    """Return the argv that opens an agent's workdir in an editor."""
    return programs.companion("-C", str(one.ref.project.directory), "open", one.agent)


def terminal(one: AgentOverview) -> tuple[str, ...]:
    """Return the argv of a terminal: the agent's own if `companion run` made it, else a shell."""
    if one.run:
        return programs.companion("run", "--name", one.run.name, one.run.directory)
    return programs.companion("-C", str(one.ref.project.directory), "ssh", one.agent)


def failure(error: CompanionError) -> str:
    """Return what to say of an action that failed, with its tip."""
    first = error.problems[0]
    return f"{first.located}\n{first.hint}" if first.hint else first.located
