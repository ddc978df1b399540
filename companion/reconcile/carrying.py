"""Carrying: brings an agent's files to an engine elsewhere, before its containers read them.

A file that is no longer wanted is replaced there by an empty one: it may be a secret, and the
volume is in use.
"""

from collections.abc import Iterator
from pathlib import Path

from companion.engine.driver import Driver
from companion.project import carried_store
from companion.spec.containers import Directory, File, Files, Target
from companion.system import files
from companion.system.paths import AgentPaths


def carry(engine: Driver, target: Target, agent_paths: AgentPaths, owner: int) -> None:
    """Bring everything of ours that the containers of `target` mount; nothing where it is mounted.

    Args:
        engine: the agent on its engine.
        target: what is about to be started or reloaded; its images are there.
        agent_paths: where the files are.
        owner: the user who may read them.

    Raises:
        CompanionError: the engine refused.
    """
    if engine.choice.shares_files:
        return
    contents = {one: tuple(_files(agent_paths.root / one)) for one in _mounted(target)}
    names = _names(contents)
    held = carried_store.read(agent_paths, engine.choice)
    carried_store.write(agent_paths, engine.choice, held | names)
    for name in sorted(held - names):
        directory, _, file = name.partition("/")
        gone = File(file, b"", files.PRIVATE)
        contents[Directory(directory)] = (*contents.get(Directory(directory), ()), gone)
    engine.carry(target.services[0].image, contents, owner)
    carried_store.write(agent_paths, engine.choice, names)


def sweep(engine: Driver, target: Target, agent_paths: AgentPaths, owner: int) -> None:
    """Empty what an engine elsewhere still holds of files that are no longer wanted.

    Raises:
        CompanionError: the engine refused.
    """
    if is_due(engine, target, agent_paths):
        carry(engine, target, agent_paths, owner)


def is_due(engine: Driver, target: Target, agent_paths: AgentPaths) -> bool:
    """Tell whether an engine elsewhere may hold files that are no longer wanted."""
    if engine.choice.shares_files:
        return False
    held = carried_store.read(agent_paths, engine.choice)
    mounted = _mounted(target)
    return not all(
        Directory(directory) in mounted and (agent_paths.root / directory / file).is_file()
        for directory, _, file in (name.partition("/") for name in held)
    )


def _mounted(target: Target) -> tuple[Directory, ...]:
    mounted = (bind.source for service in target.services for bind in service.binds)
    sources = (*mounted, Files(Directory.SECCOMP))  # not mounted: some engines read it there
    return tuple(sorted({one.directory for one in sources if isinstance(one, Files)}))


def _names(contents: dict[Directory, tuple[File, ...]]) -> frozenset[str]:
    return frozenset(f"{one}/{file.path}" for one, held in contents.items() for file in held)


def _files(directory: Path) -> Iterator[File]:
    for path in sorted(directory.iterdir()):
        if path.is_file() and not path.is_symlink():
            yield File(path.name, files.read_bytes(path), path.stat().st_mode & 0o777)
