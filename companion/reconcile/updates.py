"""Updates of Companion: what an agent works in stays as it was started until its user restarts it.

A new version may define the same sandbox in another way, with other scripts in its images, say. To
apply that ends the agent's work, so it waits while nothing is known to differ by a save.
"""

from contextlib import suppress
from dataclasses import replace

from companion import __version__
from companion.errors import Code, CompanionError
from companion.project.model import AgentRef
from companion.project.record import AgentRecord, Applied, update_sentence
from companion.reconcile import snapshot
from companion.reconcile.comparison import Comparison
from companion.reconcile.desire import desired_of
from companion.reconcile.plan import is_started, plan
from companion.reconcile.snapshot import Snapshot
from companion.reconcile.steps import Start
from companion.reconcile.validate import check
from companion.spec.containers import Target
from companion.spec.identity import Role, digest
from companion.system.paths import Paths


def without_update(home: Paths, seen: Comparison, record: AgentRecord) -> Comparison:
    """Leave out what only an update of Companion changes, while the agent runs as it was started.

    What is lost beside the agent is started again as it was.

    Raises:
        CompanionError: it is not known how it was started, or an image for that is gone.
    """
    new, applied = seen.desired.target, record.applied
    if not is_cause(applied, new):
        return seen
    last = snapshot.read(seen.checked.agent_paths(home))
    if last is None:
        agent = seen.observed.container(new.service(Role.AGENT).name)
        if applied.version and agent and agent.running:
            raise unknown(new.agent)
        return seen
    last = replace(last, parts=last.parts or applied.parts)
    target, observed = running(last, new), last.recognised(seen.observed)
    todo = plan(target, observed, record)
    if Role.AGENT in todo.starts:
        return seen
    starts = {s.service.name: s.service.image for s in todo.steps if isinstance(s, Start)}
    if starts and not seen.engine.held(starts.values()) >= set(starts.values()):
        raise unknown(new.agent)
    kept = {name: parts for name, parts in last.parts.items() if name not in starts}
    desired, waits_for = replace(seen.desired, target=target), definition(new)
    saved = applied.saved
    if applied.update_waits(__version__) is None:
        saved = seen.checked.summary.saved_since(record.config)
    return replace(
        seen,
        desired=desired,
        observed=observed,
        plan=todo,
        waits_for=waits_for,
        saved=saved,
        kept=kept,
    )


def update_waits(home: Paths, ref: AgentRef, record: AgentRecord) -> str:
    """Return in words what an update of Companion changes at the next restart of a sandbox.

    Empty if nothing does, or its files are invalid: then nobody can tell, and none can restart it.
    No engine is asked, and none of the user's own secrets.
    """
    known = record.applied.update_waits(__version__)
    if known is not None:
        return known
    with suppress(CompanionError):
        checked = check(home, ref)
        if not is_started(desired_of(home, checked, record).target, record.applied):
            return update_sentence(checked.summary.saved_since(record.config))
    return ""


def definition(target: Target) -> str:
    """Return this version and a digest of all definitions of a sandbox, as it makes them."""
    return f"{__version__} {digest([dict(service.parts) for service in target.services])}"


def is_cause(applied: Applied, target: Target) -> bool:
    """Tell whether an update may be all that makes a sandbox differ from what was last applied.

    A save is known to differ only after this version defined the sandbox as it was before.

    Args:
        applied: what was, by whatever version.
        target: the sandbox as this version defines it.
    """
    if applied.version == __version__:
        return False
    is_unknown = applied.update_waits(__version__) is None
    return is_unknown or applied.waits_for == definition(target)


def running(last: Snapshot, target: Target) -> Target:
    """Return the sandbox as it was started, with what it should have loaded by now."""
    loads = {service.name: service.reloads for service in target.services}
    services = (replace(s, reloads=loads.get(s.name, ())) for s in last.target.services)
    return replace(last.target, services=tuple(services))


def unknown(agent: str) -> CompanionError:
    """Return why nothing can be applied to a sandbox if it is not known how it was started."""
    what = f"{agent} was started by another version of Companion: nothing was applied"
    hint = f"`companion restart {agent}` applies all of it, and ends its terminal"
    return CompanionError(what, hint, code=Code.RESTART_NEEDED)
