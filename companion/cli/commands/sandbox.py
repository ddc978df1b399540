"""Commands about running sandboxes: exec, ssh, proxy, compose."""

import re
import sys
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass

from companion.cli import live
from companion.cli.output import Result, quote, show
from companion.cli.targets import agent_of, project_of
from companion.desktop import ssh_config
from companion.engine.detection import detect
from companion.engine.driver import Driver, driver
from companion.engine.model import ClusterChoice, Health
from companion.errors import Code, CompanionError, UsageError, named
from companion.operations import started
from companion.project import store
from companion.project.record import AgentRecord
from companion.spec.identity import Role
from companion.system import process
from companion.system.paths import Paths


def execute(arguments: Namespace) -> Result:
    """Run a command in the agent's container, as the agent's user; a stopped one is started."""
    target, command = _target(arguments, start_unless=started.INSIDE), arguments.rest
    if not command:
        command = ["bash", "-l"]
    return Result(code=target.attach(command))


def proxy(arguments: Namespace) -> Result:
    """Serve SSH on stdin and stdout: an sshd of its own, as the agent's user in its container.

    Our SSH config names the agent by its project's ID: no file of the project is read.
    """
    target = _recorded(arguments) if "/" in (arguments.agent or "") else _target(arguments)
    _require_logins(target.record, arguments.agent)
    command = target.engine.ssh_server(target.record.config.login)
    code = process.attach(command.argv, env=command.environment, unsaid=command.unsaid)
    if code and not target.runs():
        raise CompanionError(
            f"{arguments.agent} is not running", "run `companion up`", code=Code.NOT_STARTED
        )
    return Result(code=code)


def ssh(arguments: Namespace) -> Result:
    """Log in with our own key and the pinned host key; a stopped sandbox is started."""
    target, home = _target(arguments, start_unless=started.WHOLE), Paths.of_user()
    _require_logins(target.record, arguments.agent)
    ssh_config.sync(home)
    alias = target.record.allocation.alias
    argv = ("ssh", "-F", str(home.ssh_config), alias, *arguments.rest)
    return Result(code=process.attach(argv))


def compose(arguments: Namespace) -> Result:
    """Run compose with our project and files; refuse what could change containers."""
    from companion.operations import compose_cli as front  # noqa: PLC0415 - start-up time is a budget

    words = arguments.rest
    verb = words[0] if words else ""
    if verb in front.INSTEAD:
        what = f"`compose {verb}` would bypass Companion"
        raise CompanionError(what, f"use `{front.INSTEAD[verb]}`")
    if verb not in front.SHOWS:
        shows = f"choose one of {', '.join(front.SHOWS)}"
        if not verb:
            raise UsageError("no compose command given", shows)
        raise UsageError(f"unsupported compose command {named(verb)}", shows)
    if arguments.as_json and front.never_ends(words):
        raise UsageError("--json answers once, and this never ends", "use one of them")
    home, project = project_of(arguments)
    known = store.of_project(home, project).agents
    engines = {record.engine for record in known.values() if record.engine}
    if len(engines) != 1:
        what = "its agents are on several engines" if engines else "nothing has been started yet"
        raise CompanionError(
            f"{project.directory}: {what}", "see `companion status`", code=Code.NOT_STARTED
        )
    (choice,) = engines
    if isinstance(choice, ClusterChoice):
        what = f"{choice.label} is no engine, so it knows no compose"
        raise CompanionError(what, "use `companion` itself, or kubectl", code=Code.USAGE)
    program = front.front_end(choice)
    front.require(program, verb)
    argv = (*program, *front.arguments(home, project, tuple(known)), *words)
    env = dict(choice.environment)
    if verb in front.INTERACTIVE:
        return Result(code=process.attach(argv, env=env))
    if arguments.as_json:
        lines: list[str] = []
        code = process.relay(argv, lines.append, quote, env=env)
        return Result(code=code, data={"lines": lines})
    return Result(code=process.relay(argv, show, quote, env=env))


@dataclass(frozen=True, slots=True)
class _Target:
    """A started agent: its engine and its record."""

    engine: Driver
    record: AgentRecord

    def attach(self, command: Iterable[str]) -> int:
        """Run a command in the agent's container, as the agent, on our own streams."""
        config, has_terminal = self.record.config, sys.stdin.isatty() and sys.stdout.isatty()
        begin = self.engine.inside(config.login, terminal=has_terminal, workdir=config.workdir)
        argv = (*begin.argv, *command)
        return process.attach(argv, env=begin.environment, unsaid=begin.unsaid)

    def runs(self) -> bool:
        """Tell whether the agent's container runs."""
        return any(c.role is Role.AGENT and c.running for c in self.engine.containers())


def _require_logins(record: AgentRecord, agent: str) -> None:
    if not record.allocation.ssh_port:
        raise CompanionError(
            f"{agent} accepts no SSH logins",
            "add the ssh plugin to agent.yaml",
            code=Code.NO_LOGINS,
        )


def _recorded(arguments: Namespace) -> _Target:
    """Return the agent that PROJECT/AGENT means; PROJECT is the ID of a project."""
    project_id, _, name = arguments.agent.partition("/")
    home, record = Paths.of_user(), None
    if all(re.fullmatch(r"\w[\w.-]*", part) for part in (project_id, name)):
        record = store.read(home.project(project_id).agent(name))
    if record is None or record.engine is None:
        what = f"there is no agent {named(arguments.agent)}"
        raise CompanionError(what, "see `companion list`", code=Code.AGENT_UNKNOWN)
    return _Target(driver(record.engine, project_id, name), record)


def _target(arguments: Namespace, *, start_unless: frozenset[Health] = frozenset()) -> _Target:
    """Return the agent that a command names; start it unless its health is one of these."""
    home, project, arguments.agent = agent_of(arguments)
    written = store.of_project(home, project)
    record = written.agent(arguments.agent)
    if record is None:
        raise store.unknown_agent(arguments.agent, project, written.names)
    if start_unless:
        with live.of_one(arguments.agent) as progress:
            record = started.ensure(home, project, arguments.agent, progress, enough=start_unless)
    choice = detect(None, record.engine)
    return _Target(driver(choice, project.id, arguments.agent), record)
