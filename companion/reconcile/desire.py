"""Desire: reads what the desired state of an agent depends on, and computes it."""

from dataclasses import replace

from companion.engine.model import Choice, ClusterChoice
from companion.errors import CompanionError
from companion.project import once_store
from companion.project.record import AgentRecord
from companion.reconcile import (
    authority,
    bring,
    gateway_services,
    host_facts,
    secret_values,
    ssh_keys,
    user_settings,
)
from companion.reconcile.comparison import Comparison
from companion.reconcile.desired import Desired, desire
from companion.reconcile.validate import Checked, check
from companion.sandbox.addressing import BEHIND_POLICIES, IN_POD
from companion.sandbox.model import HostFacts, Sandbox
from companion.spec.containers import Image
from companion.system.network import is_public_address
from companion.system.paths import Paths


def desired_of(home: Paths, checked: Checked, record: AgentRecord) -> Desired:
    """Return the desired state, with the record's allocation and salt.

    A certificate that is due for renewal is new at each call, as is a host key before the first
    write.
    """
    agent_paths = checked.agent_paths(home)
    own = bring.read(home, user_settings.read(home).bring)
    sandbox = replace(
        sandbox_of(checked, record), once=once_store.read(agent_paths), brought=own.files
    )
    values = secret_values.resolve(home, checked.ref, checked.contribution, sandbox.secrets)
    seals = secret_values.seals(values, record.salt, gateway_services.last_seals(sandbox, record))
    leaves = authority.leaf_certificates(sandbox, home, agent_paths)
    host_key = ssh_keys.host_key(sandbox, agent_paths)
    return desire(sandbox, host_facts.assets(), seals, leaves, host_key)


def sandbox_of(checked: Checked, record: AgentRecord) -> Sandbox:
    """Return the sandbox of a checked config, with the record's allocation."""
    config, engine = checked.config, record.engine
    return Sandbox(
        project=checked.project.id,
        agent=config.name,
        program=checked.program,
        contribution=checked.contribution,
        egress=config.egress,
        limits=config.limits,
        gateway=config.gateway,
        log_level=config.log_level,
        workdir=checked.workdir,
        allocation=record.allocation,
        host=host_of(checked.host, engine),
        found=checked.found,
    )


def host_of(here: HostFacts, engine: Choice | None) -> HostFacts:
    """Return the facts of this desktop, or of the engine's machine where that is another one."""
    if isinstance(engine, ClusterChoice):
        at = BEHIND_POLICIES if engine.fence == "policy" else IN_POD
        return replace(here, rootless=False, shares_files=False, addresses=(), addressing=at)
    if engine is None or engine.shares_files:
        return replace(here, rootless=bool(engine and engine.rootless))
    addresses = tuple(n.removesuffix("/32") for n in engine.networks if is_public_address(n))
    return replace(here, rootless=engine.rootless, shares_files=False, addresses=addresses)


def is_needed(home: Paths, comparison: Comparison, image: Image) -> bool:
    """Tell whether the user's current files still need an image; True if they are invalid."""
    try:
        desired = desired_of(home, check(home, comparison.checked.ref), comparison.record)
    except CompanionError:
        return True
    return image in desired.target.images
