"""The command `upgrade`: newer versions of agents' programs, with the way back if they fail."""

from argparse import Namespace
from collections.abc import Mapping

from companion.cli.commands import lifecycle
from companion.cli.output import Result, comment, report
from companion.cli.targets import project_of
from companion.errors import CompanionError, UsageError
from companion.operations import upgrade as upgrading
from companion.operations.upgrade import Upgrade
from companion.project import discovery, inventory, store
from companion.project.model import AgentRef
from companion.reconcile import user_settings

Due = Mapping[str, tuple[AgentRef, tuple[Upgrade, ...]]]
"""Agent → where it is configured, and the programs that get another version."""
_DIFFERENCES = 4


def upgrade(arguments: Namespace) -> Result:
    """Write the newest versions into agent.yaml, and rebuild the sandboxes that are up."""
    home, project = project_of(arguments)
    if arguments.to and len(arguments.agents) != 1:
        raise UsageError("--to needs the name of one agent", "companion upgrade AGENT --to VERSION")
    chosen = [inventory.find_agent(home, project, name) for name in arguments.agents]
    registry = upgrading.registry_of(user_settings.read(home))
    due: dict[str, tuple[AgentRef, tuple[Upgrade, ...]]] = {}
    for ref in chosen or discovery.agent_refs(project):
        found = upgrading.find(ref, registry, arguments.to or "")
        if wanted := tuple(filter(_announced, found)):
            due[wanted[0].agent] = (ref, wanted)
    facts = {"upgrades": [_facts(one) for _, wanted in due.values() for one in wanted]}
    if not due:
        return Result("everything is current", facts)
    if arguments.check:
        return Result("", facts, _DIFFERENCES)
    written = store.of_project(home, project).agents
    running = [n for n in due if (record := written.get(n)) and record.wanted == "up"]
    done = _apply(arguments, due, running)
    return done._replace(data={**done.data, **facts})


def _apply(arguments: Namespace, due: Due, running: list[str]) -> Result:
    """Write the versions and bring the running sandboxes up; restore the files of those that fail.

    A sandbox whose new image does not build, start or answer keeps running, or comes back.
    """
    texts: dict[str, tuple[str, str]] = {}
    good: set[str] = set()
    try:
        for name, (ref, wanted) in due.items():
            texts[name] = upgrading.write(ref, wanted)
        good |= due.keys() - {*running}
        if not running:
            return Result("written into agent.yaml; `companion up` builds it", {})
        done = lifecycle.up(Namespace(**{**vars(arguments), "agents": running}))
        good |= {one["agent"] for one in done.data["agents"]}
    finally:
        for name in sorted(texts.keys() - good):
            _restore(name, due[name][0], texts[name])
    return done


def _restore(name: str, ref: AgentRef, texts: tuple[str, str]) -> None:
    """Restore an agent.yaml; that it fails is reported, and keeps no other from being restored."""
    try:
        is_restored = upgrading.take_back(ref, *texts)
    except CompanionError as error:
        report(error.problems, label="warning")
        is_restored = False
    said = "restored" if is_restored else "did not restore"
    comment(f"{name}: {said} {ref.named(ref.config)}")


def _announced(one: Upgrade) -> bool:
    """Report what becomes of a program; tell whether its version changes."""
    change = f"{one.before} → {one.after}" if one.is_due else f"{one.before} is current"
    comment(f"{one.agent}: {one.package} {change}")
    return one.is_due


def _facts(one: Upgrade) -> dict[str, str]:
    return {
        "agent": one.agent,
        "package": one.package,
        "before": one.before,
        "after": one.after,
    }
