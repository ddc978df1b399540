"""Updates of Companion: what an agent works in stays as it was started until its user restarts it.

A new version may define the same sandbox in another way, with other scripts in its images, say. To
apply that ends the agent's work, so it waits while nothing differs that the user can write.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

from companion import __version__
from companion.engine.model import Observed
from companion.errors import Code, CompanionError
from companion.project.record import AgentRecord, Applied
from companion.reconcile import snapshot
from companion.reconcile.validate import Checked
from companion.sandbox.model import PathFacts
from companion.spec.containers import Target
from companion.spec.identity import Role, digest
from companion.system.project_paths import AgentPaths


def inputs(checked: Checked, record: AgentRecord) -> str:
    """Return a digest of what a sandbox's definition is made of, apart from the program.

    It is the same in every version that reads the same files. What a running sandbox can reload is
    left out as far as that is certain: hosts, keys, secrets and brought files.
    """
    config = checked.config.model_dump(mode="json", exclude_unset=True)
    for name in ("egress", "features"):
        config.pop(name, None)
    host = checked.host
    keys = {server.authorized_keys for server in checked.contribution.ssh}
    build = host.build_network
    return digest([
        config,
        [feature.model_dump(mode="json", exclude_unset=True) for feature in checked.features],
        sorted(_contents(facts for file, facts in checked.found.items() if file not in keys)),
        [host.uid, host.ca_certificate, build.proxy, build.is_fenced],
        [host.images, build.allowed],
        [record.allocation.subnets, record.allocation.ssh_port],
    ])  # fmt: skip


def _contents(found: Iterable[PathFacts]) -> Iterator[str]:
    for facts in found:
        files = (*facts.files, *(facts.git.files if facts.git else ()))
        held = sorted((f.path, f.mode, hashlib.sha256(f.content).hexdigest()) for f in files)
        yield digest([facts.real, facts.git.directory if facts.git else "", held])


def definition(target: Target) -> str:
    """Return a digest of all definitions of a sandbox, as this version makes them."""
    return digest([__version__, [dict(service.parts) for service in target.services]])


def is_cause(applied: Applied, target: Target, made_of: str) -> bool:
    """Tell whether only an update makes a sandbox differ from what was last applied.

    Args:
        applied: what was, by whatever version.
        target: the sandbox as this version defines it.
        made_of: its inputs().
    """
    if applied.version == __version__:
        return False
    return applied.waits_for == definition(target) or applied.inputs in {"", made_of}


def runs_as_started(observed: Observed, applied: Applied) -> bool:
    """Tell whether everything of a sandbox runs, as it was last started, in a network of its own.

    Otherwise its agent does not work, or must not go on as it does.
    """
    found = {name: observed.container(name) for name in applied.parts}
    for name, parts in applied.parts.items():
        container = found[name]
        if container is None or not container.running or container.spec != digest(dict(parts)):
            return False
    by_role = {container.role: container for container in found.values() if container}
    agent, holder = by_role.get(Role.AGENT), by_role.get(Role.NET)
    if agent is None or holder is None:
        return agent is not None
    return agent.network_mode == f"container:{holder.id}" and holder.started <= agent.started


def running(agent_paths: AgentPaths, target: Target) -> Target:
    """Return the sandbox as it was started, with what it should have loaded by now.

    Raises:
        CompanionError: it is not known how it was started.
    """
    last = snapshot.read(agent_paths)
    if last is None:
        what = f"{target.agent} was started by another version of Companion: nothing was applied"
        hint = f"`companion restart {target.agent}` applies all of it, and ends its terminal"
        raise CompanionError(what, hint, code=Code.RESTART_NEEDED)
    loads = {service.name: service.reloads for service in target.services}
    services = (replace(s, reloads=loads.get(s.name, ())) for s in last.target.services)
    return replace(last.target, services=tuple(services))
