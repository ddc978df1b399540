"""Commands about running sandboxes: up, down, restart, status, logs, exec, ssh."""

import sys
from argparse import Namespace
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from companion.cli.output import Result, ask, comment, show, table
from companion.desktop import ssh_config
from companion.engine.client import Engine
from companion.engine.detection import detect
from companion.errors import Code, CompanionError, Problem
from companion.operations import container_logs, registry
from companion.operations.status import Status, status_of
from companion.project import discovery, inventory, store
from companion.project.model import Project
from companion.project.record import AgentRecord
from companion.reconcile import run, teardown
from companion.reconcile.run import Report
from companion.render import sshd
from companion.spec.containers import Role
from companion.system import process
from companion.system.paths import Paths


def up(arguments: Namespace) -> Result:
    """Start sandboxes or bring them up to date; return when SSH answers."""
    return _bring_up(arguments, fresh=False)


def restart(arguments: Namespace) -> Result:
    """Replace the sandboxes' containers."""
    return _bring_up(arguments, fresh=True)


def down(arguments: Namespace) -> Result:
    """Stop and remove sandboxes."""
    home, project = Paths.of_user(), discovery.project(arguments.directory_option)
    known = store.of_project(home, project).agents
    for name in arguments.agents:
        if name not in known:
            raise _unknown(name, project, known)
    names = arguments.agents or known
    removed = []
    for name in names:
        tell = _telling(name, alone=len(names) == 1)
        if arguments.abandon:
            teardown.abandon(home, project, name, tell)
        if teardown.down(home, project, name, tell, volumes=arguments.volumes):
            removed.append(name)
    text = f"{' and '.join(removed)} {'is' if len(removed) == 1 else 'are'} down"
    return Result(
        text=text if removed else "there was nothing to remove", data={"removed": removed}
    )


def status(arguments: Namespace) -> Result:
    """Say how each sandbox is."""
    home, project = Paths.of_user(), discovery.project(arguments.directory_option)
    found = [status_of(home, ref) for ref in discovery.agent_refs(project)]
    rows = [("AGENT", "STATE", "SSH", "ENGINE", "EGRESS"), *map(_row, found)]
    words = "".join(
        f"\n  {one.agent} | {line}" for one in found for line in one.condition.last_output
    )
    return Result(
        text=table(rows) + words,
        data={"agents": [_facts(one) for one in found]},
        problems=tuple(dict.fromkeys(problem for one in found for problem in one.problems)),
    )


def logs(arguments: Namespace) -> Result:
    """Show what agent and gateway said, each line with its origin."""
    target = _target(arguments)
    containers = target.engine.containers()
    if not containers:
        raise CompanionError(
            f"{arguments.agent} has no containers", "run `companion up`", code=Code.NOT_STARTED
        )
    width = max(len(container.service) for container in containers)
    with container_logs.lines(target.engine, containers, follow=arguments.follow) as lines:
        for service, line in lines:
            show(f"{service.ljust(width)} | {line.rstrip()}")
    return Result()


def execute(arguments: Namespace) -> Result:
    """Run a command in the agent's container, as the agent's user."""
    target, command = _target(arguments), arguments.rest
    if not command:
        command = ["bash", "-l"]
    terminal = ("--tty",) if sys.stdin.isatty() and sys.stdout.isatty() else ()
    workdir = ("--workdir", target.record.config.workdir) if target.record.config.workdir else ()
    return Result(code=target.attach((*terminal, *workdir), command))


def proxy(arguments: Namespace) -> Result:
    """Be the connection of an ssh: an sshd of its own, run in the agent's container as its user."""
    target = _target(arguments)
    _require_logins(target.record, arguments.agent)
    code = target.attach((), ("/usr/sbin/sshd", "-i", "-f", f"{sshd.KEYS}/sshd_config"))
    if code and not target.runs():
        raise CompanionError(
            f"{arguments.agent} does not run", "run `companion up`", code=Code.NOT_STARTED
        )
    return Result(code=code)


def ssh(arguments: Namespace) -> Result:
    """Log in with our own key and the pinned host key."""
    target, home = _target(arguments), Paths.of_user()
    _require_logins(target.record, arguments.agent)
    ssh_config.sync(home)
    alias = target.record.allocation.alias
    argv = ("ssh", "-F", str(home.ssh_config), alias, *arguments.rest)
    return Result(code=process.attach(argv))


def compose(arguments: Namespace) -> Result:
    """Run compose with our project and files; what could change containers is refused."""
    from companion.operations import compose_cli as front  # noqa: PLC0415 - start-up time is a budget

    words = arguments.rest
    verb = words[0] if words else ""
    if verb in front.INSTEAD:
        what = f"`compose {verb}` would go past companion"
        raise CompanionError(what, f"use `{front.INSTEAD[verb]}`")
    if verb not in front.SHOWS:
        what = f"compose is not asked to '{verb}'"
        raise CompanionError(what, f"it may {', '.join(front.SHOWS)}")
    home, project = Paths.of_user(), discovery.project(arguments.directory_option)
    known = store.of_project(home, project).agents
    engines = {record.engine for record in known.values() if record.engine}
    if len(engines) != 1:
        what = "its agents are on several engines" if engines else "nothing was started here yet"
        raise CompanionError(
            f"{project.directory}: {what}", "see `companion status`", code=Code.NOT_STARTED
        )
    (choice,) = engines
    argv = (*front.front_end(choice), *front.arguments(project, tuple(known)), *words)
    return Result(code=process.attach(argv, env=dict(choice.environment)))


@dataclass(frozen=True, slots=True)
class _Target:
    """A started agent: its engine and what is remembered of it."""

    engine: Engine
    record: AgentRecord

    def attach(self, options: Iterable[str], command: Iterable[str]) -> int:
        """Run a command in the agent's container, as the agent, on our own streams."""
        engine, record = self.engine, self.record
        inside = engine.agent_arguments(record.config.login, "--interactive", *options)
        return process.attach(engine.argv(*inside, *command), env=engine.environment)

    def runs(self) -> bool:
        """Tell whether the agent's container runs."""
        return any(c.role is Role.AGENT and c.running for c in self.engine.containers())


def _require_logins(record: AgentRecord, agent: str) -> None:
    if not record.allocation.ssh_port:
        raise CompanionError(
            f"{agent} takes no logins", "add the ssh plugin to agent.yaml", code=Code.NO_LOGINS
        )


def _target(arguments: Namespace) -> _Target:
    home, project = Paths.of_user(), discovery.project(arguments.directory_option)
    known = store.of_project(home, project).agents
    record = known.get(arguments.agent)
    if record is None:
        raise _unknown(arguments.agent, project, known)
    choice = detect(None, record.engine)
    return _Target(Engine(choice, project.id, arguments.agent), record)


def _unknown(name: str, project: Project, known: Iterable[str]) -> CompanionError:
    listed = ", ".join(known) or "none was started here yet"
    what = f"there is no agent '{name}' in {project.directory}"
    return CompanionError(what, f"known: {listed}", code=Code.AGENT_UNKNOWN)


def _bring_up(arguments: Namespace, *, fresh: bool) -> Result:
    """Bring up all agents, or those that are named; one that fails does not keep the others."""
    home, project = Paths.of_user(), discovery.project(arguments.directory_option)
    chosen = [inventory.find_agent(home, project, name) for name in arguments.agents]
    wanted = chosen or discovery.agent_refs(project)
    alone = len(wanted) == 1
    reports: list[Report] = []
    problems: list[Problem] = []
    for ref in wanted:
        try:
            progress = _telling(ref.folder, alone=alone)
            reports.append(run.reconcile(home, ref, progress, fresh=fresh))
        except CompanionError as error:
            if alone:
                raise
            problems += error.problems
    if not chosen:
        _retire(home, project)
    if any(report.ssh_port for report in reports):
        offer_include(home, yes=arguments.yes)
    return Result(
        text="\n".join(_sentence(home, report) for report in reports),
        data={"agents": [_data(report) for report in reports]},
        code=1 if problems else 0,
        problems=tuple(dict.fromkeys((*problems, *(p for r in reports for p in r.lacks)))),
    )


def _retire(home: Paths, project: Project) -> None:
    """Take down what is not configured any more."""
    here = discovery.agent_refs(project)
    for ref in inventory.agents_of(home, project):
        if ref not in here:
            comment(f"{ref.folder} is not configured any more")
            registry.retire(home, ref, comment)


def _telling(name: str, *, alone: bool) -> Callable[[str], None]:
    """Return what tells of progress; with the agent's name where there are several."""
    return comment if alone else lambda text: comment(f"{name}: {text}")


def _row(one: Status) -> tuple[str, ...]:
    way = f"ssh {one.alias} (port {one.ssh_port})" if one.ssh_port else "-"
    return (one.agent or "?", str(one.condition), way, one.engine, one.egress)


def _facts(one: Status) -> dict[str, object]:
    return {
        "agent": one.agent,
        "directory": one.directory,
        "state": one.condition.health,
        "exit_code": one.condition.exit_code,
        "last_lines": list(one.condition.last_output),
        "alias": one.alias,
        "ssh_port": one.ssh_port,
        "host_address": one.host_address,
        "engine": one.engine,
        "egress": one.egress,
        "services": dict(one.services),
    }


def offer_include(home: Paths, *, yes: bool) -> None:
    """Add our one line to ~/.ssh/config if the user says so."""
    if ssh_config.is_included(home):
        return
    line = ssh_config.include_line(home)
    if not yes and sys.stdin.isatty():
        comment(
            f"To make `ssh NAME.sandbox` work everywhere, {home.user_ssh_config} needs one line:"
        )
        comment(f"  {line}")
        yes = ask("Add it at the top? [Y/n] ", at_the_end="n").lower() in {"", "y", "yes"}
    if yes:
        ssh_config.include(home)
        comment(f"added one Include line at the top of {home.user_ssh_config}")
    else:
        comment(f"for plain `ssh`, put this line at the top of {home.user_ssh_config}"
                f" (or run `companion up --yes`): {line}")  # fmt: skip


def _sentence(home: Paths, report: Report) -> str:
    changed = "is running" if report.plan.steps else "is up to date"
    if not report.ssh_port:
        return f"{report.agent} {changed} ({report.engine}, {report.seconds:.1f} s)"
    way = f"ssh {report.alias}" if ssh_config.is_included(home) else f"companion ssh {report.agent}"
    where = f"127.0.0.1:{report.ssh_port}, {report.engine}, {report.seconds:.1f} s"
    return f"{report.agent} {changed}: {way} ({where})"


def _data(report: Report) -> dict[str, object]:
    return {
        "agent": report.agent,
        "alias": report.alias,
        "ssh_port": report.ssh_port,
        "engine": report.engine,
        "change": report.change.name.lower(),
        "seconds": round(report.seconds, 3),
        "steps": [step.describe() for step in report.plan.steps],
    }


def _rest(arguments: Namespace) -> list[str]:
    rest: list[str] = arguments.rest
    return rest[1:] if rest[:1] == ["--"] else rest
