"""Mount guard: checks what an agent mounts once its old container is gone, before it starts.

Mounts are judged when a config is checked. Until the old container is removed, the agent in it can
exchange what lies in its directories: a mount would then open what a link leads to.
"""

import os
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from companion.errors import CompanionError, WorldChangedError
from companion.project import store
from companion.reconcile import git_baseline, git_facts
from companion.reconcile.validate import Checked
from companion.sandbox.model import mount_file
from companion.sandbox.repositories import is_fixed
from companion.spec.containers import Bind, HostPath, Service
from companion.system.paths import Paths


def prepare(home: Paths, checked: Checked, agent: Service) -> None:
    """Create the mount points that protect repositories, and require that all is as checked.

    Raises:
        CompanionError: it is not; a WorldChangedError if another check may find how it is now.
    """
    agent_paths = checked.agent_paths(home)
    if not any(isinstance(bind.source, HostPath) for bind in agent.binds):
        git_baseline.begin(agent_paths, ())
        return  # no directory of the desktop, or an engine elsewhere has a copy
    mounts = checked.contribution.mounts
    for mount in (one for one in mounts if not one.is_volume and not one.read_only):
        facts = checked.found[mount_file(mount)]
        if git_facts.find(Path(facts.real)) != facts.git:
            raise WorldChangedError(f"the repository in {facts.real} changed meanwhile")
        if facts.git:
            git_facts.make_mount_points(facts.git)
        if git_facts.find(Path(facts.real)) != facts.git:
            raise WorldChangedError(f"the repository in {facts.real} changed meanwhile")
    require(home, checked, agent)
    git_baseline.begin(agent_paths, checked.writes)


def prepare_again(home: Paths, checked: Checked, writes: Collection[str], agent: Service) -> None:
    """Require the same for an earlier version, which writes to the directories `writes`.

    Raises:
        CompanionError: it is not so.
    """
    require(home, checked, agent)
    git_baseline.begin(checked.agent_paths(home), writes)


def require(home: Paths, checked: Checked, agent: Service) -> None:
    """Require that no mount of an agent leads elsewhere, and that no other agent can change that.

    Raises:
        CompanionError: one does, or can be changed.
    """
    for path in _places(agent):
        if os.path.realpath(path) != path:
            what = f"{path}, which the agent mounts, leads to {os.path.realpath(path)} now"
            raise CompanionError(what, "find out what created this link, and remove it")
    require_unshared(home, checked, agent)


def require_unshared(home: Paths, checked: Checked, agent: Service) -> None:
    """Require that no other agent can exchange what an agent mounts for a link.

    Raises:
        CompanionError: one can.
    """
    own = checked.project.id, checked.config.name
    sources = [b.source.path for b in agent.binds if isinstance(b.source, HostPath)]
    for owner, record in store.all_records(home):
        if owner == own or record.wanted != "up":
            continue
        for path in sources:
            inside = any(Path(tree) in Path(path).parents for tree in record.config.writes)
            if inside and not is_fixed(path, record.config.holds):
                what = f"{owner[1]}, another running agent, could replace {path}"
                hint = f"once it has started, try again; else stop {owner[1]} and start this first"
                raise CompanionError(what, hint)


def guards(agent: Service) -> dict[str, str]:
    """Return each target of a read-only mount in a mounted directory, and the path it covers."""
    outer = sorted((b for b in agent.binds if isinstance(b.source, HostPath)), key=_depth)
    return {
        bind.target: str(Path(one.source.path, PurePosixPath(bind.target).relative_to(one.target)))
        for bind in agent.binds
        for one in outer
        if isinstance(one.source, HostPath) and not one.read_only and _covers(bind, one.target)
    }


def _depth(bind: Bind) -> int:
    return len(PurePosixPath(bind.target).parts)


def _places(agent: Service) -> Iterator[str]:
    """Yield the paths of the desktop that are mounted, and those that read-only mounts cover."""
    outer = [(bind.target, bind.source) for bind in agent.binds]
    for bind in agent.binds:
        if isinstance(bind.source, HostPath):
            yield bind.source.path
        for target, source in outer:
            if isinstance(source, HostPath) and _covers(bind, target):
                yield str(Path(source.path, PurePosixPath(bind.target).relative_to(target)))


def _covers(bind: Bind, target: str) -> bool:
    return bind.read_only and PurePosixPath(target) in PurePosixPath(bind.target).parents
