"""Carrying: brings an agent's files to an engine elsewhere, before its containers read them."""

from collections.abc import Mapping
from pathlib import Path

from companion.engine.driver import Driver
from companion.spec.containers import Directory, File, Files, Target
from companion.system import files
from companion.system.paths import AgentPaths

Emptied = Mapping[Directory, tuple[File, ...]]


def carry(
    engine: Driver, target: Target, agent_paths: AgentPaths, owner: int, emptied: Emptied
) -> None:
    """Bring everything of ours that the containers of `target` mount; nothing where it is mounted.

    Args:
        engine: the agent on its engine.
        target: what is about to be started or reloaded; its images are there.
        agent_paths: where the files are.
        owner: the user who may read them.
        emptied: files without content, for what is gone here but was brought before.

    Raises:
        CompanionError: the engine refused.
    """
    if engine.choice.shares_files:
        return
    mounted = (bind.source for service in target.services for bind in service.binds)
    sources = (*mounted, Files(Directory.SECCOMP))  # not mounted: some engines read it there
    directories = sorted({source.directory for source in sources if isinstance(source, Files)})
    contents = {
        one: (*_files(agent_paths.root / one), *emptied.get(one, ())) for one in directories
    }
    engine.carry(target.services[0].image, contents, owner)


def _files(directory: Path) -> tuple[File, ...]:
    return tuple(
        File(path.name, files.read_bytes(path), path.stat().st_mode & 0o777)
        for path in sorted(directory.iterdir())
        if path.is_file() and not path.is_symlink()
    )
