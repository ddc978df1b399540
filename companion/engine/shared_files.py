"""Shared files: whether the containers of an engine can mount files of this desktop.

An engine on another machine cannot, nor can one in a virtual machine. Its address does not tell: a
machine of ours may be behind `ssh://`, and a virtual machine behind a socket of this one.
"""

import secrets
from contextlib import suppress
from pathlib import Path

from companion.engine.arguments import mount_option
from companion.engine.client import Engine
from companion.engine.dialect import LABEL, each
from companion.errors import EngineError
from companion.system import files

_EMPTY_TAR = "\0" * 10240


def are_shared(engine: Engine, beside: Path) -> bool:
    """Try to mount a directory whose name nobody can guess, in a container that never runs.

    Args:
        engine: an agent on the engine.
        beside: a directory of ours, in which the directory is created for a moment.

    Raises:
        EngineError: the engine refused for another reason.
    """
    if (asked := engine.dialect.is_service) and engine.call(*asked).strip() == "false":
        return True  # the client is the engine
    nonce = beside / f"companion-probe-{secrets.token_hex(8)}"
    files.make_private_dir(nonce)
    image = ""
    try:
        imported = ("import", "--change", f"LABEL {LABEL}.image=1", "-")
        image = engine.call(*imported, stdin=_EMPTY_TAR).split()[-1]
        engine.call(*_create(engine, nonce, image))
    except EngineError as error:
        if nonce.name in error.log and image:
            return False
        raise
    finally:
        nonce.rmdir()
        for argv in ((*engine.dialect.remove, nonce.name), ("rmi", image)):
            with suppress(EngineError):
                engine.call(*argv)
    return True


def _create(engine: Engine, nonce: Path, image: str) -> tuple[str, ...]:
    """Return the arguments that create the container; its labels have it removed if we are not."""
    labels = (("project", engine.project), ("agent", engine.agent), ("build", "1"))
    return (
        *("create", "--pull", "never", "--network", "none", "--name", nonce.name),
        *each("--label", (f"{LABEL}.{key}={value}" for key, value in labels)),
        *("--mount", mount_option("type=bind", f"source={nonce}", "target=/probe", "ro")),
        *(image, "/probe"),
    )
