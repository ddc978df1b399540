"""Carrying: brings an agent's files to an engine elsewhere, before its containers read them.

A file that is no longer wanted is replaced there by an empty one: it may be a secret, and the
volume is in use.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from companion.engine.driver import Driver
from companion.project import carried_store
from companion.reconcile.comparison import Comparison
from companion.spec.containers import Directory, File, Files, Target
from companion.system import files
from companion.system.paths import Paths
from companion.system.project_paths import AgentPaths


@dataclass(frozen=True, slots=True)
class Carrying:
    """The files of one agent that the containers of `target` mount."""

    engine: Driver
    target: Target
    agent_paths: AgentPaths
    owner: int
    """The user who may read them."""

    def carry(self, *, anew: bool = True) -> None:
        """Bring them to an engine that cannot mount them, and empty there what is gone.

        Args:
            anew: bring all of them, as volumes may be missing; otherwise what changed, if anything.

        Raises:
            CompanionError: the engine refused.
        """
        if self.engine.choice.shares_files:
            return
        contents, held = self._contents(), self._held()
        digests, changed = _digests(contents), _changed(contents, held)
        if not (anew or changed):
            return
        under_way = dict.fromkeys((name for one in changed.values() for name in one), "")
        kept = dict(held) | digests | under_way
        carried_store.write(self.agent_paths, self.engine.choice, kept)
        for directory, names in changed.items():
            gone = (name.partition("/")[2] for name in names if name not in digests)
            empty = (File(name, b"", files.PRIVATE) for name in gone)
            contents[directory] = (*contents.get(directory, ()), *empty)
        only = None if anew else tuple(changed)
        self.engine.carry(self.target.services[0].image, contents, self.owner, only)
        carried_store.write(self.agent_paths, self.engine.choice, digests)

    def await_agent(self) -> None:
        """Wait a while until the agent's container has them; it may prevent that."""
        if not self.engine.choice.shares_files:
            self.engine.await_carried(self._contents())

    def is_due(self) -> bool:
        """Tell whether an engine elsewhere holds other files than these."""
        shares = self.engine.choice.shares_files
        return not shares and bool(_changed(self._contents(), self._held()))

    def _contents(self) -> dict[Directory, tuple[File, ...]]:
        mounted = (bind.source for service in self.target.services for bind in service.binds)
        sources = (*mounted, Files(Directory.SECCOMP))  # not mounted: some engines read it there
        directories = sorted({one.directory for one in sources if isinstance(one, Files)})
        return {one: tuple(_files(self.agent_paths.root / one)) for one in directories}

    def _held(self) -> Mapping[str, str]:
        return carried_store.read(self.agent_paths, self.engine.choice) or {}


def of(home: Paths, seen: Comparison) -> Carrying:
    """Return the files of an agent that is compared with its engine."""
    agent_paths = seen.checked.agent_paths(home)
    return Carrying(seen.engine, seen.desired.target, agent_paths, seen.checked.host.uid)


def _digests(contents: Mapping[Directory, tuple[File, ...]]) -> dict[str, str]:
    return {
        f"{one}/{file.path}": hashlib.sha256(b"%o " % file.mode + file.content).hexdigest()
        for one, held in contents.items()
        for file in held
    }


def _changed(
    contents: Mapping[Directory, tuple[File, ...]], held: Mapping[str, str]
) -> dict[Directory, tuple[str, ...]]:
    """Return the names of files that are new, different or gone, by their directories."""
    digests = _digests(contents)
    names = sorted(n for n in {*held, *digests} if not held.get(n) or held[n] != digests.get(n))
    directories = dict.fromkeys(Directory(name.partition("/")[0]) for name in names)
    return {one: tuple(n for n in names if n.startswith(f"{one}/")) for one in directories}


def _files(directory: Path) -> Iterator[File]:
    for path in sorted(directory.iterdir()):
        if path.is_file() and not path.is_symlink():
            yield File(path.name, files.read_bytes(path), path.stat().st_mode & 0o777)
