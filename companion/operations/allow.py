"""Allowing an agent a host: once, outside agent.yaml, or always, by one line in it. And denying."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from companion.config import decode, egress_list
from companion.config.models import Egress
from companion.config.strict_yaml import Location
from companion.config.values import host_pattern
from companion.errors import Code, CompanionError
from companion.project import discovery, once_store, store
from companion.project.agent_lock import agent_lock
from companion.project.model import AgentRef, Project
from companion.reconcile import run, trust
from companion.reconcile.progress import Progress
from companion.render.egress import allowed_hosts
from companion.sandbox.powers import Kind
from companion.system import links, user_files
from companion.system.paths import Paths

_OWN: Location = ("egress",)
_SHARED: Location = ("shared", "egress")


def parsed(text: str) -> str:
    """Return a host name, or `*.` and a host name, as agent.yaml would take it.

    Raises:
        CompanionError: it is neither; addresses are refused, too.
    """
    try:
        return host_pattern(text)
    except ValueError as error:
        what, _, hint = str(error).partition("; ")
        raise CompanionError(f"the host {what}", hint) from None


def once(home: Paths, ref: AgentRef, agent: str, host: str, progress: Progress) -> bool:
    """Let an agent reach a host until it is taken down; return False if it could already.

    agent.yaml stays as it is. The next reconcile() applies it.

    Raises:
        CompanionError: the agent is not started, or its config is invalid.
    """
    agent_paths = home.project(ref.project.id).agent(agent)
    record = store.read(agent_paths)
    if record is None or record.wanted != "up":
        what = f"{agent} is not started, and what is allowed once ends with it"
        raise CompanionError(what, "run `companion up`, or leave out --once", code=Code.NOT_STARTED)
    egress, _ = _rules(ref)
    if _reaches(egress, host):
        return False
    with agent_lock(agent_paths, progress):
        if host in once_store.read(agent_paths):
            return False
        once_store.add(agent_paths, host)
    return True


def always(home: Paths, ref: AgentRef, agent: str, host: str, *, for_fleet: bool = False) -> str:
    """Add a host to the egress list that an agent has, and agree to it.

    Args:
        home: the user's places.
        ref: where the agent is configured.
        agent: its name.
        host: a host name, or `*.` and a host name.
        for_fleet: add it to the list that the fleet shares, if the agent has none of its own.

    Returns the name of the file that has the new line; "" if it could reach the host already.

    Raises:
        CompanionError: the list cannot be edited safely, or is the fleet's.
    """
    egress, is_shared = _rules(ref)
    if _reaches(egress, host):
        return ""
    if is_shared and not for_fleet:
        what = f"the egress list of {agent} is the one that {ref.project.directory} shares"
        hint = "--fleet adds the host for all its agents; or give this one an `egress` of its own"
        raise CompanionError(what, hint)
    file, at = (ref.project.fleet, _SHARED) if is_shared else (ref.config, _OWN)
    before = _was_agreed_to(home, ref.project, agent)
    _edit(ref.project, file, lambda text: egress_list.with_host(text, at, host, file.name))
    if before:
        _agree(home, ref.project, agent, host)
    return ref.named(file)


def deny(home: Paths, ref: AgentRef, agent: str, host: str, progress: Progress) -> bool:
    """Take back what once() and always() allowed; return False if they allowed nothing.

    Raises:
        CompanionError: the host is reached for another reason, which the message names.
    """
    agent_paths = home.project(ref.project.id).agent(agent)
    with agent_lock(agent_paths, progress):
        was_once = once_store.remove(agent_paths, host)
    egress, is_shared = _rules(ref)
    was_listed = host in egress.allow and not is_shared
    if was_listed:
        name = ref.config.name
        _edit(
            ref.project,
            ref.config,
            lambda text: egress_list.without_host(text, _OWN, host, name),
        )
        egress, _ = _rules(ref)
    if _reaches(egress, host):
        raise CompanionError(
            f"{agent} still reaches {host}: {_reason(egress, host, is_shared=is_shared)}"
        )
    return was_once or was_listed


def apply(home: Paths, ref: AgentRef, agent: str, progress: Progress) -> None:
    """Apply a change to a sandbox that is wanted up; to another, its next `up` does.

    Raises:
        CompanionError: it cannot be applied, or something else that changed would restart the
            agent; the previous rules stay in effect.
    """
    record = store.of_project(home, ref.project).agents.get(agent)
    if record and record.wanted == "up":
        run.reload(home, ref, progress)


def _rules(ref: AgentRef) -> tuple[Egress, bool]:
    """Return the egress rules of an agent, and whether they are those that its fleet shares."""
    config, document = decode.agent(discovery.config_text(ref), ref.named(ref.config))
    loaded = decode.loaded(config, document, discovery.fleet(ref.project))
    return loaded.config.egress, loaded.egress.is_shared


def _reaches(egress: Egress, host: str) -> bool:
    """Tell whether the rules let a host through, or all names of a `*.` pattern."""
    if egress.mode == "open":
        return True
    listed = allowed_hosts(egress)
    bare = host.removeprefix("*")
    return host in listed or any(p.startswith("*.") and bare.endswith(p[1:]) for p in listed)


def _reason(egress: Egress, host: str, *, is_shared: bool) -> str:
    if egress.mode == "open":
        return "`egress` is open"
    if is_shared:
        return "the fleet's egress list has it"
    return f"a preset or a wildcard in `egress` covers {host}"


def _edit(project: Project, file: Path, change: Callable[[str], str]) -> None:
    """Change a file of the project; every byte that is not changed stays."""
    links.unlinked(project.directory, file)

    def attempt() -> None:
        text = user_files.read(file)
        user_files.write(file, change(text or ""), text, backup=False)

    user_files.changing(file, attempt)


def _was_agreed_to(home: Paths, project: Project, agent: str) -> bool:
    """Tell whether all that an agent opens now was agreed to."""
    with suppress(CompanionError):
        return trust.review(home, project).of(agent).is_trusted
    return False


def _agree(home: Paths, project: Project, agent: str, host: str) -> None:
    """Agree to a new host, unless the files ask for anything else that is new by now."""
    reviewed = trust.review(home, project).of(agent)
    new = {(p.kind, p.agreed.subject) for verdict in reviewed.verdicts for p in verdict.new}
    if new <= {(Kind.HOST, host), (Kind.WILDCARD, host)}:
        trust.agree(home, reviewed)
