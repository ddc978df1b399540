"""Commands about a running sandbox: up, down, restart, status, logs, exec, ssh."""

import sys
import threading
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from companion import desktop, observe, process, reconcile, state_file
from companion import status as look
from companion.cli.output import Result, comment, harmless, table
from companion.dialect import container_name
from companion.engine import Engine, detect
from companion.errors import CompanionError
from companion.paths import Paths
from companion.reconcile import Report
from companion.state import AgentRecord


def up(arguments: Namespace) -> Result:
    """Start the sandbox or bring it up to date; return when SSH answers."""
    return _bring_up(arguments, fresh=False)


def restart(arguments: Namespace) -> Result:
    """Replace the sandbox's containers."""
    return _bring_up(arguments, fresh=True)


def down(arguments: Namespace) -> Result:
    """Stop and remove the sandbox."""
    home, project = Paths.of_user(), observe.project(arguments.directory_option)
    was_there = reconcile.down(home, project, comment, volumes=arguments.volumes)
    text = "the sandbox is down" if was_there else "there was nothing to remove"
    return Result(text=text, data={"removed": was_there})


def status(arguments: Namespace) -> Result:
    """Say how the sandbox is."""
    found = look.status(Paths.of_user(), arguments.directory_option)
    rows = [
        ("AGENT", "STATE", "SSH", "ENGINE", "EGRESS"),
        (
            found.agent or "?",
            str(found.condition),
            f"ssh {found.alias} (port {found.ssh_port})" if found.ssh_port else "-",
            found.engine,
            found.egress,
        ),
    ]
    data = {
        "agent": found.agent,
        "directory": found.directory,
        "state": found.condition.health,
        "exit_code": found.condition.exit_code,
        "last_lines": list(found.condition.last_words),
        "alias": found.alias,
        "ssh_port": found.ssh_port,
        "host_address": found.host_address,
        "engine": found.engine,
        "egress": found.egress,
        "services": dict(found.services),
    }
    words = "".join(f"\n  {harmless(line)}" for line in found.condition.last_words)
    return Result(text=table(rows) + words, data=data, problems=found.problems)


def logs(arguments: Namespace) -> Result:
    """Show what agent and gateway said, each line with its origin."""
    target = _target(arguments)
    follow = ("--follow",) if arguments.follow else ()
    services = [(c.service, c.name) for c in target.engine.containers()]
    if not services:
        raise CompanionError(f"{arguments.agent} has no containers", "run `companion up`")
    width = max(len(service) for service, _ in services)

    def show(service: str, name: str) -> None:
        argv = target.engine.argv("logs", *follow, name)
        process.stream(
            argv, lambda line: _line(service, width, line), env=target.engine.environment
        )

    threads = [threading.Thread(target=show, args=pair, daemon=True) for pair in services]
    for thread in threads:
        thread.start()
        if not follow:
            thread.join()
    for thread in threads:
        thread.join()
    return Result()


def execute(arguments: Namespace) -> Result:
    """Run a command in the agent's container, as the agent's user."""
    target, command = _target(arguments), _rest(arguments)
    if not command:
        command = ["bash", "-l"]
    terminal = ("--tty",) if sys.stdin.isatty() and sys.stdout.isatty() else ()
    workdir = ("--workdir", target.record.workdir) if target.record.workdir else ()
    name = container_name(target.engine.project, arguments.agent)
    argv = target.engine.argv("exec", "--interactive", *terminal, *workdir, name, *command)
    return Result(code=process.attach(argv, env=target.engine.environment))


def ssh(arguments: Namespace) -> Result:
    """Log in with our own key and the pinned host key."""
    target, home = _target(arguments), Paths.of_user()
    if not target.record.allocation.ssh_port:
        raise CompanionError(f"{arguments.agent} takes no logins", "add the ssh plugin")
    desktop.sync(home)
    alias = target.record.allocation.alias
    argv = ("ssh", "-F", str(home.ssh_config), alias, *_rest(arguments))
    return Result(code=process.attach(argv))


@dataclass(frozen=True, slots=True)
class _Target:
    """A started agent: its engine and what is remembered of it."""

    engine: Engine
    record: AgentRecord


def _target(arguments: Namespace) -> _Target:
    home = Paths.of_user()
    project = observe.project(arguments.directory_option)
    written = state_file.read(home.project(project.id), project.directory)
    record = written.agents.get(arguments.agent)
    if record is None:
        known = ", ".join(written.agents) or "none was started here yet"
        what = f"there is no agent '{arguments.agent}' in {project.directory}"
        raise CompanionError(what, f"known: {known}")
    return _Target(Engine(detect(None, written.engine), project.id), record)


def _bring_up(arguments: Namespace, *, fresh: bool) -> Result:
    home, directory = Paths.of_user(), arguments.directory_option
    _check_names(directory, arguments.agents)
    report = reconcile.reconcile(home, directory, comment, fresh=fresh)
    if report.ssh_port:
        offer_include(home, yes=arguments.yes)
    return Result(text=_sentence(home, report), data=_data(report))


def _check_names(directory: Path, names: list[str]) -> None:
    from companion.config import load  # noqa: PLC0415 - start-up time is a budget

    if not names:
        return
    config, _ = load.agent(observe.config_text(observe.project(directory)))
    for name in names:
        if name != config.name:
            hint = load.suggest(name, [config.name])
            raise CompanionError(f"there is no agent '{name}' here", hint)


def offer_include(home: Paths, *, yes: bool) -> None:
    """Add our one line to ~/.ssh/config if the user says so."""
    if desktop.is_included(home):
        return
    line = desktop.include_line(home)
    if not yes and sys.stdin.isatty():
        comment(
            f"To make `ssh NAME.sandbox` work everywhere, {home.user_ssh_config} needs one line:"
        )
        comment(f"  {line}")
        yes = input("Add it at the top? [Y/n] ").strip().lower() in {"", "y", "yes"}
    if yes:
        desktop.include(home)
        comment(f"added one Include line at the top of {home.user_ssh_config}")
    else:
        comment(f"for plain `ssh`, put this line at the top of {home.user_ssh_config}"
                f" (or run `companion up --yes`): {line}")  # fmt: skip


def _sentence(home: Paths, report: Report) -> str:
    changed = "is running" if report.plan.steps else "is up to date"
    if not report.ssh_port:
        return f"{report.agent} {changed} ({report.engine}, {report.seconds:.1f} s)"
    way = f"ssh {report.alias}" if desktop.is_included(home) else f"companion ssh {report.agent}"
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


def _line(service: str, width: int, line: str) -> None:
    sys.stdout.write(f"{service.ljust(width)} | {harmless(line.rstrip())}\n")
    sys.stdout.flush()
