"""Commands that start, replace and remove sandboxes, several at once: up, restart, down."""

import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

from companion.cli import live
from companion.cli.commands import trust
from companion.cli.output import Result, ask, comment, quote, report, tip
from companion.cli.targets import project_of
from companion.desktop import ssh_config, ssh_include
from companion.engine import detection
from companion.engine.model import shown
from companion.engine.shared_lists import SharedLists
from companion.errors import Code, CompanionError, EngineError, Problem
from companion.operations import registry, repository_check, unprotected, way_out
from companion.project import discovery, inventory, store
from companion.project.model import Project
from companion.reconcile import run, teardown
from companion.reconcile.comparison import Restarts
from companion.reconcile.progress import Progress
from companion.reconcile.run import Report
from companion.reconcile.steps import BuildImage, Reload, Start
from companion.system import parallel
from companion.system.paths import Paths

Answer = TypeVar("Answer")
_DONE: dict[type, str] = {BuildImage: "built", Start: "started", Reload: "reloaded"}
"""What the summary of an `up` counts."""
_AT_ONCE = 8
"""Agents that are worked on at a time: they wait for the engine more than they compute."""


def up(arguments: Namespace) -> Result:
    """Start sandboxes or bring them up to date; return when SSH answers."""
    return _bring_up(arguments, fresh=False)


def restart(arguments: Namespace) -> Result:
    """Replace the sandboxes' containers."""
    return _bring_up(arguments, fresh=True)


def down(arguments: Namespace) -> Result:
    """Stop and remove sandboxes."""
    home, project = project_of(arguments)
    known = store.of_project(home, project).names
    for name in arguments.agents:
        if name not in known:
            raise store.unknown_agent(name, project, known)

    def take_down(name: str, progress: Progress) -> bool:
        if arguments.abandon:
            teardown.abandon(home, project, name, progress)
        was_there = teardown.down(home, project, name, progress, volumes=arguments.volumes)
        for danger in repository_check.of_agent(home, project, name):
            progress(f"before you run git, look at this: {danger}")
        return was_there

    names = arguments.agents or _in_order(project, known)
    answers, problems = _each_agent(names, take_down, raw=False)
    removed = [name for name, was_there in answers.items() if was_there]
    text = f"stopped {', '.join(removed)}"
    nothing = "" if problems else "there was nothing to remove"
    return Result(
        text=text if removed else nothing,
        data={"removed": removed},
        code=1 if problems else 0,
        problems=problems,
    )


def offer_include(home: Paths, *, yes: bool) -> None:
    """Add our one line to ~/.ssh/config if the user says so; that it fails is a remark."""
    if ssh_include.is_included(home):
        return
    line = ssh_config.include_line(home)
    if not yes and sys.stdin.isatty():
        comment(
            f"To make `ssh NAME.sandbox` work everywhere, {home.user_ssh_config} needs one line:"
        )
        quote(f"  {line}")
        yes = ask("Add it at the top? [Y/n] ", at_the_end="n").lower() in {"", "y", "yes"}
    if yes:
        try:
            ssh_config.include(home)
        except CompanionError as error:
            what = f"the sandboxes are not in your SSH config: {error.problems[0].what}"
            hint = f"where that file comes from, add at its top: {line}"
            report([Problem(what, hint, code=Code.FILE_ACCESS)], label="warning")
        else:
            comment(f"added one Include line at the top of {home.user_ssh_config}")
    else:
        tip(f"for plain `ssh`, run `companion up --yes`, or add at the top of"
            f" {home.user_ssh_config}:")  # fmt: skip
        quote(f"  {line}")


def _bring_up(arguments: Namespace, *, fresh: bool) -> Result:
    """Bring up all agents of a project, or those that are named."""
    home, project = project_of(arguments)
    chosen = [inventory.find_agent(home, project, name) for name in arguments.agents]
    refs = {ref.folder: ref for ref in chosen or discovery.agent_refs(project)}
    trust.offer(home, project, "Start it", arguments)
    on = None if fresh else arguments.on
    restarts = Restarts.ALL if fresh else Restarts.NEEDED

    lists = SharedLists() if len(refs) > 1 else None

    def bring_up(name: str, progress: Progress) -> Report:
        return run.reconcile_on(home, refs[name], progress, on, restarts, lists)

    answers, problems = _each_agent(tuple(refs), bring_up, raw=arguments.verbose)
    reports = answers.values()
    if not chosen:
        problems += _retire(home, project)
    failed = bool(problems)
    for sentence in _staying(home, project, (one.agent for one in reports)):
        comment(sentence)
    problems += ways_out(home, project, reports)
    for agent in (one.agent for one in reports):
        agent_paths = home.project(project.id).agent(agent)
        if fresh:
            problems += unprotected.at_restart(agent_paths, comment)
        else:
            problems += unprotected.changed(agent, agent_paths).problems
    if any(report.ssh_port for report in reports):
        offer_include(home, yes=arguments.yes)
    is_plain = ssh_include.is_included(home)
    return Result(
        text="\n".join(_sentence(report, is_plain=is_plain) for report in reports),
        data={"agents": [_data(report) for report in reports]},
        code=1 if failed else 0,
        problems=tuple(dict.fromkeys((*problems, *(p for r in reports for p in r.login_problems)))),
    )


def ways_out(home: Paths, project: Project, reports: Iterable[Report]) -> tuple[Problem, ...]:
    """Return why nothing that a sandbox sends leaves this machine; one sandbox per engine tells."""
    problems = []
    for agent in {one.engine: one.agent for one in reports}.values():
        way = way_out.of_agent(home, project.id, agent)
        if way and way.is_blocked():
            with suppress(EngineError):  # the problem is reported either way
                way.repair()
            if way.is_blocked():
                problems.append(way.problem())
            else:
                comment(f"restored the network rules of {way.gateway}, which reached nothing")
    return tuple(problems)


def _each_agent(
    names: Iterable[str], work: Callable[[str, Progress], Answer], *, raw: bool
) -> tuple[dict[str, Answer], tuple[Problem, ...]]:
    """Do something with several agents at once; one that fails does not keep the others.

    Returns what came of those that succeeded, in the order of `names`, and the others' problems.

    Raises:
        CompanionError: there is only one agent, and it failed.
    """
    distinct = tuple(dict.fromkeys(names))
    with live.shown(distinct, raw=raw) as displays:
        if len(distinct) <= 1:
            return {name: work(name, displays[name]) for name in distinct}, ()

        def attempt(name: str) -> "Answer | CompanionError":
            display = displays[name]
            try:
                return work(name, display)
            except CompanionError as error:
                display("failed")
                return error
            finally:
                display.end()

        answers = parallel.each(distinct, attempt, at_once=_AT_ONCE, on_interrupt=_say_interrupted)
    outcomes = dict(zip(distinct, answers, strict=True))
    failed = {name: one for name, one in outcomes.items() if isinstance(one, CompanionError)}
    done = {name: one for name, one in outcomes.items() if not isinstance(one, CompanionError)}
    return done, _problems(failed)


def _say_interrupted() -> None:
    comment("interrupted; waiting for the steps under way")


def _problems(failed: "dict[str, CompanionError]") -> tuple[Problem, ...]:
    """Return all problems; one without a place in a file says whose it is."""
    found = (
        p if p.place else p._replace(what=f"{name}: {p.what}")
        for name, error in failed.items()
        for p in error.problems
    )
    return tuple(dict.fromkeys(found))


def _staying(home: Paths, project: Project, agents: Iterable[str]) -> Iterator[str]:
    """Yield which agents stay on their engine, where the desktop now selects another endpoint."""
    records = store.of_project(home, project).agents
    engines = {name: one.engine for name in agents if (one := records.get(name)) and one.engine}
    for engine in dict.fromkeys(engines.values()):
        if other := detection.selected_elsewhere(engine):
            names = ", ".join(name for name, its in engines.items() if its == engine)
            where = f"at {shown(engine.endpoint)}" if engine.endpoint else "on this machine"
            new = f"new sandboxes go to {shown(other)}"
            yield f"{names}: still on {engine.name} {where}, where it was first started; {new}"


def _in_order(project: Project, agents: Iterable[str]) -> Sequence[str]:
    """Return agents in the order of fleet.yaml, if that can be read."""
    try:
        order = [ref.folder for ref in discovery.agent_refs(project)]
    except CompanionError:
        return tuple(agents)
    return sorted(agents, key=lambda name: order.index(name) if name in order else len(order))


def _retire(home: Paths, project: Project) -> tuple[Problem, ...]:
    """Take down agents that are no longer configured; return the problems of those that remain."""
    here = discovery.agent_refs(project)
    failed: dict[str, CompanionError] = {}
    for ref in inventory.agents_of(home, project):
        if ref not in here:
            comment(f"{ref.folder} is no longer configured")
            try:
                registry.retire(home, ref, comment)
            except CompanionError as error:
                failed[ref.folder] = error
    return _problems(failed)


def _sentence(report: Report, *, is_plain: bool) -> str:
    """Return what was done in one line, with the command that leads inside."""
    counts = [_counted(report, kind, word) for kind, word in _DONE.items()]
    facts = (*filter(None, counts), live.duration(report.seconds))
    changed = "is running" if report.plan.steps else "is up to date"
    way = ""
    if report.ssh_port:
        way = f"; ssh {report.alias}" if is_plain else f"; companion ssh {report.agent}"
    return f"{report.agent} {changed}: {', '.join(facts)}{way}"


def _counted(report: Report, kind: type, word: str) -> str:
    count = sum(isinstance(step, kind) for step in report.plan.steps)
    return f"{count} {word}" if count else ""


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
