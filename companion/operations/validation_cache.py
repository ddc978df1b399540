"""Validation cache: the outcome of a validation without problems, reused while its inputs stay.

Reading agent.yaml takes several times as long as everything else that `status` does. A seal covers
all that validate.check() reads, so a kept outcome is what check() would return now. Outcomes with
problems are not kept. Sockets that programs open in mounted directories are not sealed: they come
and go, and `up` looks for them.
"""

import hashlib
import hmac
import json
import os
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from companion import __version__
from companion.engine import endpoints
from companion.errors import CompanionError
from companion.project import store
from companion.project.model import AgentRef, Project
from companion.reconcile.locate import Locator
from companion.sandbox.places import DevicePath, Place, lies_in
from companion.system import files, links
from companion.system.json_store import Broken, Store
from companion.system.paths import Paths

if TYPE_CHECKING:
    from companion.reconcile.validate import Checked

_DESKTOP = ("PATH", "TMPDIR", "XDG_RUNTIME_DIR", *endpoints.STEERING)
"""Variables by which a validation finds places of this desktop."""


@dataclass(frozen=True, slots=True)
class ValidAgent:
    """What the config of an agent says that `status` shows."""

    folder: str
    name: str
    egress: str
    container_runtime: str | None


@dataclass(frozen=True, slots=True)
class Sources:
    """What the configs of a project name: with their own texts, all that a validation reads."""

    files: tuple[str, ...] = ()
    """Files, which are read, and directories to mount, which are not; absolute paths."""
    trees: tuple[str, ...] = ()
    """Directories whose files become part of an image."""
    places: tuple[str, ...] = ()
    """Paths whose place on the desktop was looked up."""
    variables: tuple[str, ...] = ()
    """Variables of the environment or .env."""
    grants: tuple[str, ...] = ()
    """Keys of OAuth grants."""


@dataclass(frozen=True, slots=True)
class Validation:
    """A validation of all agents of a project, which found no problem."""

    agents: tuple[ValidAgent, ...]
    sources: Sources
    salt: str
    """The key of the seal, so that it tells nothing of the secrets in .env."""
    seal: str = ""
    """A keyed digest of the state of all sources; empty while one has to be confirmed."""


_VALIDATIONS = Store(Validation, "remove it: it is made again")


@dataclass(frozen=True, slots=True)
class Found:
    """The kept validation of a project, if there is one, and the state of its sources now."""

    kept: Validation | None = None
    seal: str = ""

    @property
    def agents(self) -> tuple[ValidAgent, ...] | None:
        """The agents of the project; None if their configs have to be read."""
        return self.kept.agents if self.kept and self.kept.seal == self.seal != "" else None


def find(home: Paths, project: Project) -> Found:
    """Return the kept validation of a project, to be used only if nothing changed since."""
    kept = _VALIDATIONS.look(home.project(project.id).validation)
    if kept is None or isinstance(kept, Broken):
        return Found()
    return Found(kept, _seal(home, project, kept))


def keep(home: Paths, project: Project, before: Found, valid: Iterable["Checked"]) -> None:
    """Keep a validation without problems for the next call.

    Its seal is kept once the sources were the same before and after: `before` is what find()
    returned before they were read. So the first call only learns what the sources are.
    """
    project_paths = home.project(project.id)
    if not project_paths.state.exists():
        return
    checked = tuple(valid)
    agents = tuple(
        ValidAgent(c.ref.folder, c.config.name, c.egress, c.config.container_runtime)
        for c in checked
    )
    salt = before.kept.salt if before.kept else os.urandom(16).hex()
    validation = Validation(agents, _sources(home, checked), salt)
    seal = _seal(home, project, validation)
    if before.kept and before.kept.sources == validation.sources and seal == before.seal:
        validation = replace(validation, seal=seal)
    if validation != before.kept:
        _VALIDATIONS.write(project_paths.validation, validation)


def _sources(home: Paths, checked: Iterable["Checked"]) -> Sources:
    from companion.reconcile import (  # noqa: PLC0415 - start-up time
        git_facts,
        project_files,
        user_settings,
    )

    certificates = user_settings.read(home).trusted_certificates
    named = [str(files.expanded(Path(name))) for name in certificates]
    trees: list[str] = []
    variables: list[str] = []
    grants: list[str] = []
    places: list[str] = []
    for one in checked:
        overlays = one.contribution.overlays
        for file, found in one.found.items():
            path = project_files.path_of(one.ref, file)
            (trees if file in overlays else named).append(str(path))
            if found.kind == "directory":
                named += map(str, git_facts.sources(path, found.git))
        variables += one.uses
        grants += one.summary.grants
        places += map(str, one.looked_up)
    return Sources(
        tuple(named), tuple(trees), tuple(dict.fromkeys(places)), tuple(variables), tuple(grants)
    )


def _seal(home: Paths, project: Project, validation: Validation) -> str:
    """Return a keyed digest of everything that a validation depends on; "" if none can be told."""
    sources = validation.sources
    try:
        if not _all_granted(home, project, sources.grants):
            return ""
        state = {
            "version": __version__,
            "own": [_state(path) for path in _own(home, project, validation.agents)],
            "named": [_state(Path(path)) for path in sources.files],
            "trees": [(_state(Path(path)), list(_tree(path))) for path in sources.trees],
            "places": list(_places(Path(path) for path in sources.places)),
            "variables": [os.environ.get(name) for name in sources.variables],
            "others": list(_others(home)),
            "desktop": [os.environ.get(name) for name in _DESKTOP],
            "engines": list(endpoints.sockets(home.home, ())),
            "ignores_case": files.ignores_case(home.home),
        }
    except (CompanionError, OSError):
        return ""
    text = json.dumps(state, default=str).encode()
    return hmac.digest(validation.salt.encode(), text, hashlib.sha256).hex()


def _own(home: Paths, project: Project, agents: Iterable[ValidAgent]) -> Iterator[Path]:
    """Yield the paths that a validation depends on whatever the configs name."""
    yield from (
        home.settings,
        home.secret_names,
        home.editors,
        home.ca_certificate,
        home.home,
        home.home / ".ssh",
    )
    yield from (home.config, home.data, home.state)
    yield from (project.fleet, project.build, project.directory.parent / project.fleet.name)
    for agent in agents:
        ref = AgentRef(project, agent.folder)
        yield from (ref.directory, ref.config, *ref.env_files)


def _places(paths: Iterable[Path]) -> Iterator[tuple[Any, ...]]:
    """Yield where paths lie, by name, inode and device.

    What is mounted below a directory changes with each container on this machine, and matters only
    if it shares something with another of the paths.
    """
    locator = Locator()
    found = (place for path in paths for place in (locator.entry(path), locator.place(path)))
    places = dict.fromkeys(found)
    own = {place.device_path for place in places if place.device_path}
    devices = {device for device, _ in own}
    for place in places:
        mounted = [root for root in place.mounted if root[0] in devices]
        parts = [path for path in own if lies_in(path, mounted)] if mounted else ()
        shared = _shared(place, places) if place.mounted else ()
        where = place.path, place.inode, place.above, place.device_path
        yield *where, tuple(sorted(parts)), tuple(sorted(shared))


def _shared(place: Place, places: Iterable[Place]) -> Iterator[DevicePath]:
    """Yield what is mounted below a place and lies in another one, or in what is mounted there.

    What one has in common with those above and below it follows from their paths.
    """
    devices = {device for device, _ in place.mounted}
    others = {
        root
        for other in places
        for root in other.roots
        if root[0] in devices and not _is_nested(place.path, other.path)
    }
    yield from (root for root in place.mounted if lies_in(root, others))


def _is_nested(one: str, other: str) -> bool:
    some, others = f"{one.rstrip('/')}/", f"{other.rstrip('/')}/"
    return some.startswith(others) or others.startswith(some)


def _state(path: Path) -> tuple[Any, ...]:
    """Return where a path leads and what is there; of a file its names and content, as a digest."""
    real = files.real(path)
    found = files.status(real)
    if found is None:
        kind = "missing"
    elif stat.S_ISREG(found.st_mode):
        kind = f"{found.st_nlink} {hashlib.sha256(files.read_bytes(real)).hexdigest()}"
    else:
        kind = "directory" if stat.S_ISDIR(found.st_mode) else "other"
    return (str(path), *map(str, links.on_path(path)), str(real), kind)


def _tree(root: str) -> Iterator[tuple[Any, ...]]:
    """Yield name, kind, mode, owner, size and links of everything in a directory, in order."""
    for directory, folders, names in os.walk(root):
        folders.sort()
        for name in sorted((*folders, *names)):
            found = Path(directory, name).lstat()
            yield directory, name, found.st_mode, found.st_uid, found.st_size, found.st_nlink


def _others(home: Paths) -> Iterator[tuple[Any, ...]]:
    """Yield what a validation depends on of all recorded agents."""
    for project_id, written in store.all_projects(home).items():
        yield project_id, written.directory
        for name, record in written.agents.items():
            gone = record.wanted == "gone"
            engines = [engine.environment for engine in record.engines]
            own = record.config
            yield project_id, name, gone, own.steered_by, own.writes, own.holds, engines


def _all_granted(home: Paths, project: Project, keys: Iterable[str]) -> bool:
    """Tell whether there is a valid token for each of these grants."""
    wanted = tuple(keys)
    if not wanted:
        return True
    from companion.oauth import grant_store, grants  # noqa: PLC0415 - start-up time is a budget

    held, now = grant_store.usable(home, project.id, wanted), time.time()
    return all(key in held and grants.is_valid(held[key], now) for key in wanted)
