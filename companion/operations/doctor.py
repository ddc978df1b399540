"""What is wrong on this machine, and how is it mended?"""

import importlib.util
import shutil
import stat
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path

from companion.config import settings
from companion.desktop import ssh_config
from companion.engine.client import Engine, detect
from companion.engine.dialect import DIALECTS
from companion.engine.model import Health
from companion.errors import CompanionError
from companion.oauth import grant_store, grants
from companion.operations import compose_cli, status
from companion.project import discovery, store
from companion.project.model import AgentRef, Project
from companion.reconcile import authority, certificates, desired, host_facts, observe
from companion.reconcile.apply import remove_all
from companion.system import files
from companion.system.paths import Paths

_WATCHES = 8192
"""Directories that a watcher should be able to follow."""


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `mend` puts it right, where we can."""

    level: Level
    what: str
    hint: str = ""
    mend: Callable[[], None] | None = None


def examine(home: Paths) -> Iterator[Finding]:
    """Yield what each check finds; one that itself fails is a finding, too."""
    for check in _CHECKS:
        try:
            yield from check(home)
        except CompanionError as error:
            yield Finding(Level.FAILED, str(error))
        except Exception as error:  # noqa: BLE001 - the others are still worth knowing
            yield Finding(Level.FAILED, f"a check failed, this is a bug in companion: {error!r}")


def _packages(_: Paths) -> Iterator[Finding]:
    """Our own packages, not a stranger's of the same name."""
    root = Path(__file__).parents[2]
    for name in ("ssh", "editors"):
        found = importlib.util.find_spec(name)
        if found is None or Path(found.origin or "").parent.parent != root:
            what = f"another package called '{name}' hides ours"
            yield Finding(Level.FAILED, what, "install companion in an environment of its own")
            return
    yield Finding(Level.OK, f"companion runs from {root} with python {sys.version.split()[0]}")


def _engines(_: Paths) -> Iterator[Finding]:
    """An engine that answers; and who shows what we made as compose does."""
    answering = 0
    for name in DIALECTS:
        if shutil.which(name) is None:
            continue
        try:
            choice = detect(name, None)
        except CompanionError as error:
            problem = error.problems[0]
            yield Finding(Level.WARNING, problem.what, problem.hint)
            continue
        answering += 1
        yield Finding(Level.OK, f"{name} answers")
        try:
            compose_cli.front_end(choice)
        except CompanionError as error:
            hint = f"{error.problems[0].hint}, if you want `companion compose`"
            yield Finding(Level.WARNING, error.problems[0].what, hint)
    if not answering:
        yield Finding(Level.FAILED, "no engine answers", "install podman, or start docker")


def _images(home: Paths) -> Iterator[Finding]:
    """Images that nothing will use again: of builds that failed, of older gateways."""
    own = settings.parse(files.read_text(home.settings), str(home.settings))
    current = desired.image_of_gateways(host_facts.host(home, own), host_facts.assets()).tag
    for name in filter(shutil.which, DIALECTS):
        with suppress(CompanionError):
            engine = Engine(detect(name, None))
            if unused := engine.unused_images(keep=current):
                what = f"{name} holds {len(unused)} images of ours that nothing uses"
                mend = partial(_discard, engine, unused)
                yield Finding(Level.WARNING, what, "they take space only", mend)


def _discard(engine: Engine, images: Collection[str]) -> None:
    for image in images:
        engine.discard_image(image)


def _strays(home: Paths) -> Iterator[Finding]:
    """Sandboxes on an engine that their agents are not on."""
    known = store.all_projects(home)
    on = {(i, agent): r.engine for i, w in known.items() for agent, r in w.agents.items()}
    for name in filter(shutil.which, DIALECTS):
        with suppress(CompanionError):
            choice = detect(name, None)
            held = {(c.project, c.agent) for c in Engine(choice).containers()}
            for project, agent in sorted(held & on.keys()):
                right = on[project, agent]
                if right is None or right.name != choice.name:
                    whose = f"{agent} in {known[project].directory}"
                    what = f"{choice.name} holds containers of {whose}, which is not on it"
                    mend = partial(_take_off, home, Engine(choice, project, agent))
                    yield Finding(Level.WARNING, what, "take them away", mend)


def _take_off(home: Paths, engine: Engine) -> None:
    """Take a sandbox off an engine, unless it moved there meanwhile."""
    places = home.project(engine.project).agent(engine.agent)
    with files.lock(places.lock):
        record = store.read(places)
        if record and (not record.engine or record.engine.name != engine.choice.name):
            remove_all(engine, observe.engine(engine), lambda _: None)


def _ssh(home: Paths) -> Iterator[Finding]:
    """The client, and our line in its configuration."""
    if shutil.which("ssh") is None:
        yield Finding(Level.FAILED, "there is no ssh client", "install openssh-client")
    if ssh_config.is_included(home):
        yield Finding(Level.OK, f"{home.user_ssh_config} includes the sandboxes")
    else:
        what = f"{home.user_ssh_config} does not include the sandboxes"
        hint = "plain `ssh NAME.sandbox` and editors need it"
        yield Finding(Level.WARNING, what, hint, partial(ssh_config.include, home))


def _private(home: Paths) -> Iterator[Finding]:
    """Keys, secrets and state that nobody else may read."""
    secret = [home.ca_key, *home.all_grants.glob("*.json"), *(home.ssh / "keys").glob("*"),
              *home.projects.glob("*/*/secrets/*"),
              *home.projects.glob("*/*/sshd/host_key")]  # fmt: skip
    there = [path for path in secret if path.suffix != ".pub" and path.is_file()]
    loose = [path for path in there if stat.S_IMODE(path.stat().st_mode) & 0o077]
    for path in loose:
        mend = partial(path.chmod, files.PRIVATE)
        yield Finding(Level.FAILED, f"others may read {path}", "take their right away", mend)
    if not loose:
        yield Finding(Level.OK, f"{len(there)} private files are private")


def _certificates(home: Paths) -> Iterator[Finding]:
    """Certificates that the gateways show to their agents."""
    leaves = list(home.projects.glob("*/*/certificates/*.pem"))
    if not leaves:
        return
    signer, now = authority.authority(home), datetime.now(UTC)
    texts = {leaf: files.read_text(leaf) or "" for leaf in leaves}
    old = [leaf for leaf, text in texts.items() if not certificates.is_current(text, signer, now)]
    for leaf in old:
        what = f"the certificate for {leaf.stem} is not ours or ends soon"
        yield Finding(Level.WARNING, what, f"run `companion up` ({leaf.parent.parent.name})")
    if not old:
        yield Finding(Level.OK, f"{len(leaves)} certificates are current")


def _grants(home: Paths) -> Iterator[Finding]:
    """What users granted us at MCP servers; what has ended is said of its agent."""
    known = store.all_projects(home)
    found = [(i, grant) for i in known for grant in grant_store.read(home, i).values()]
    for project_id, grant in found:
        if not grant.renewable:
            what = f"the token for {grant.provider} ends at {grants.clock(grant.until)}"
            again = f"`companion -C {known[project_id].directory} oauth {grant.provider}`"
            yield Finding(Level.WARNING, f"{what}, and cannot be renewed", f"run {again}")
    if whole := sum(grant.renewable for _, grant in found):
        yield Finding(Level.OK, f"{whole} grants of MCP servers can be renewed")


def _watches(_: Paths) -> Iterator[Finding]:
    """Enough watches for the watcher; only Linux counts them."""
    limit = files.read_text(Path("/proc/sys/fs/inotify/max_user_watches"))
    if limit and int(limit) < _WATCHES:
        what = f"the system watches {limit.strip()} directories at most"
        yield Finding(Level.WARNING, what, f"`sysctl fs.inotify.max_user_watches={_WATCHES}`")


def _projects(home: Paths) -> Iterator[Finding]:
    """Every known project: its directory, its files, and whether it runs as it shall."""
    for project_id, written in store.all_projects(home).items():
        directory = Path(written.directory)
        if not directory.is_dir():
            hint = f"run `companion remove {directory}`"
            yield Finding(Level.WARNING, f"{directory} is gone, its project is known still", hint)
            continue
        for ref in discovery.agent_refs(Project(directory, project_id)):
            yield _judged(home, ref)


def _judged(home: Paths, ref: AgentRef) -> Finding:
    seen = status.status_of(home, ref)
    name, condition = f"{seen.agent or '?'} in {ref.directory}", seen.condition
    if seen.problems:
        return Finding(Level.WARNING, f"{name}: {seen.problems[0]}")
    if condition.health in {Health.CRASHED, Health.BROKEN}:
        what = f"{name} is {condition}"
        return Finding(Level.FAILED, what, f"run `companion -C {ref.project.directory} up`")
    return Finding(Level.OK, f"{name} is {condition}")


_CHECKS: tuple[Callable[[Paths], Iterator[Finding]], ...] = (
    _packages,
    _engines,
    _images,
    _strays,
    _ssh,
    _private,
    _certificates,
    _grants,
    _watches,
    _projects,
)
