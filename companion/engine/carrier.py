"""Carrier: brings files of ours into volumes of an engine that cannot mount them.

A container that never runs mounts the volumes, and the engine's client copies archives into it. It
stays for the next time, so a reload costs one copy. Both go with the sandbox, as they hold secrets;
their label says whose they are.
"""

import io
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from companion.engine.arguments import files_volume, mount_option
from companion.engine.dialect import LABEL, each
from companion.errors import EngineError
from companion.spec.containers import Directory, File
from companion.spec.identity import digest

if TYPE_CHECKING:
    from tarfile import TarInfo

    from companion.engine.client import Engine

_INSIDE = "/companion-files"
Contents = Mapping[Directory, tuple[File, ...]]


def carry(
    engine: "Engine",
    image: str,
    contents: Contents,
    owner: int,
    only: Collection[Directory] | None = None,
) -> None:
    """Write files into the agent's volumes, which are created if need be.

    Args:
        engine: the agent on its engine.
        image: the tag of any image there.
        contents: the files of each directory; others that are there remain.
        owner: the user who owns directories and files.
        only: the directories that changed, if the others are there; all if the container is gone.

    Raises:
        EngineError: the engine refused.
    """
    changed = contents if only is None else {one: contents[one] for one in only}
    courier = f"{engine.project}-{engine.agent}-files-{digest([image, sorted(contents)])}"
    try:
        _copy(engine, courier, changed, owner)
    except EngineError as error:
        if engine.is_cut_off(error):
            raise
        _prepare(engine, courier, image, contents, owner)
        _copy(engine, courier, contents, owner)


def held_volumes(engine: "Engine") -> tuple[str, ...]:
    """Return the names of the agent's volumes of our files."""
    return _listed(engine, "volume", "ls", "--quiet")


def owners(engine: "Engine") -> frozenset[tuple[str, str]]:
    """Return whose files an engine holds, by the names of volumes: project and agent."""
    listed = ("volume", "ls", "--quiet", "--filter", f"label={LABEL}.files")
    names = engine.call(*listed, timeout=engine.patience).split()
    pairs = (name.rpartition(".")[0].partition("_") for name in names)
    return frozenset((project, agent) for project, _, agent in pairs)


def remove(engine: "Engine") -> None:
    """Remove the agent's volumes of our files, which nothing else uses any more.

    Raises:
        EngineError: the engine refused.
    """
    _remove_couriers(engine)
    if held := held_volumes(engine):
        engine.call("volume", "rm", *held)


def _copy(engine: "Engine", courier: str, contents: Contents, owner: int) -> None:
    copies = _archives(contents, owner, at_once=engine.dialect.copies_at_once)
    for target, packed in copies:
        into = ("-", f"{courier}:{target}")
        engine.call("cp", engine.dialect.keeps_owners, *into, stdin=packed)


def _prepare(engine: "Engine", courier: str, image: str, contents: Contents, owner: int) -> None:
    """Create the volumes that are missing, and a container for these directories only."""
    held = held_volumes(engine)
    option = engine.dialect.volume_owner
    owned = ("--opt", option.format(owner)) if option else ()
    for directory in contents:
        name = files_volume(engine.project, engine.agent, directory)
        if name not in held:
            engine.call("volume", "create", "--label", _label(engine), *owned, name)
    _remove_couriers(engine)
    engine.call(*_create(engine, courier, image, contents))


def _remove_couriers(engine: "Engine") -> None:
    for name in _listed(engine, "ps", "--all", "--format", "{{.Names}}"):
        engine.remove(name)


def _listed(engine: "Engine", *asked: str) -> tuple[str, ...]:
    only = ("--filter", f"label={_label(engine)}")
    return tuple(engine.call(*asked, *only, timeout=engine.patience).split())


def _label(engine: "Engine") -> str:
    return f"{LABEL}.files={engine.project}/{engine.agent}"


def _create(engine: "Engine", name: str, image: str, contents: Contents) -> tuple[str, ...]:
    volumes = (
        (f"source={files_volume(engine.project, engine.agent, one)}", f"target={_INSIDE}/{one}")
        for one in contents
    )
    return (
        *("create", "--pull", "never", "--network", "none", "--name", name),
        *("--label", _label(engine)),
        *each("--mount", (mount_option("type=volume", *fields) for fields in volumes)),
        *(image, "true"),
    )


def _archives(contents: Contents, owner: int, *, at_once: bool) -> Iterator[tuple[str, bytes]]:
    """Yield directories of the container, and the archive to unpack in each."""
    if at_once:
        yield _INSIDE, archive(contents.items(), owner)
        return
    for directory, files in contents.items():
        yield f"{_INSIDE}/{directory}", archive([(".", files)], owner)


def archive(contents: Iterable[tuple[str, tuple[File, ...]]], owner: int) -> bytes:
    """Return directories as a tar archive; only their owner may look into them."""
    import tarfile  # noqa: PLC0415 - start-up time and the tray's memory are budgets

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for directory, files in contents:
            tar.addfile(_entry(directory, owner, 0o700, is_directory=True))
            for file in files:
                entry = _entry(f"{directory}/{file.path}", owner, file.mode)
                entry.size = len(file.content)
                tar.addfile(entry, io.BytesIO(file.content))
    return out.getvalue()


def _entry(name: str, owner: int, mode: int, *, is_directory: bool = False) -> "TarInfo":
    import tarfile  # noqa: PLC0415 - as above

    entry = tarfile.TarInfo(name)
    entry.uid = entry.gid = owner
    entry.mode, entry.type = mode, tarfile.DIRTYPE if is_directory else tarfile.REGTYPE
    return entry
