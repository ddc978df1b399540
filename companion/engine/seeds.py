"""Seeds: fills a volume of an agent, once, with a directory that its engine cannot mount.

A container with a label of its own is created before the volume is, and removed when the volume is
filled. So a volume that is there without it is filled; whatever it marks is begun anew.
"""

from collections.abc import Callable
from typing import IO, TYPE_CHECKING

from companion.engine.arguments import mount_option, volume_argv
from companion.engine.dialect import LABEL
from companion.errors import EngineError
from companion.system import children
from companion.system.plain import plain

if TYPE_CHECKING:
    from companion.engine.client import Engine

_ABOVE, _NAME = "/companion-seed", "content"
_INSIDE = f"{_ABOVE}/{_NAME}"
Send = Callable[[IO[bytes], str], None]
"""Writes an archive of a directory, which is packed by the name that is given."""
_MARK, _COURIER = ".begun", ".courier"
_REST = 64 * 1024


def fill(engine: "Engine", image: str, volume: str, owner: int, send: Send) -> bool:
    """Create and fill a volume unless it is there; return False then.

    Args:
        engine: the agent on its engine.
        image: the tag of any image there; nothing of it runs.
        volume: the name of the volume on the engine.
        owner: the user who gets the volume.
        send: writes an archive of what is to be in it.

    Raises:
        EngineError: the engine refused.
        OSError: from `send`.
    """
    discard_begun(engine)
    if volume in engine.call("volume", "ls", "--quiet", timeout=engine.patience).split():
        return False
    mark, courier = f"{volume}{_MARK}", f"{volume}{_COURIER}"
    engine.call(*_create(engine, mark, image))
    option = engine.dialect.volume_owner
    owned = ("--opt", option.format(owner)) if option else ()
    engine.call(*volume_argv(engine.project, engine.agent, volume, *owned))
    mount = mount_option("type=volume", f"source={volume}", f"target={_INSIDE}")
    engine.call(*_create(engine, courier, image, "--mount", mount))
    _copy(engine, courier, send)
    engine.remove(courier)
    engine.remove(mark)
    return True


def discard_begun(engine: "Engine") -> None:
    """Remove the volumes that were not filled to the end.

    Raises:
        EngineError: the engine refused.
    """
    only = ("--filter", f"label={_label(engine)}", "--format", "{{.Names}}")
    names = engine.call("ps", "--all", *only, timeout=engine.patience).split()
    for courier in (name for name in names if name.endswith(_COURIER)):
        engine.remove(courier)
    for mark in (name for name in names if name.endswith(_MARK)):
        volume = mark.removesuffix(_MARK)
        if volume in engine.call("volume", "ls", "--quiet", timeout=engine.patience).split():
            engine.call("volume", "rm", volume)
        engine.remove(mark)


def _copy(engine: "Engine", courier: str, send: Send) -> None:
    # Docker gives the directory that it copies into no owner, so there it is in the archive.
    above = engine.dialect.copies_at_once
    into, name = (_ABOVE, _NAME) if above else (_INSIDE, ".")
    argv = engine.argv("cp", engine.dialect.keeps_owners, "-", f"{courier}:{into}")
    with children.piped(argv, env=engine.environment) as program:
        try:
            send(program.stdin, name)
            program.stdin.close()
        except BrokenPipeError:  # it says why
            pass
        program.stdout.read(_REST)
        code, complaint = program.ends()
    if code:
        lines = plain(complaint).splitlines() or [f"exit code {code}"]
        raise EngineError(f"{engine.choice.name} cp failed: {lines[-1]}", "", complaint)


def _create(engine: "Engine", name: str, image: str, *options: str) -> tuple[str, ...]:
    fixed = ("create", "--pull", "never", "--network", "none", "--name", name)
    return (*fixed, "--label", _label(engine), *options, image, "true")


def _label(engine: "Engine") -> str:
    return f"{LABEL}.seed={engine.project}/{engine.agent}"
