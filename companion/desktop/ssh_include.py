"""The Include of our SSH config in a file of the user: whether plain `ssh` knows the sandboxes."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from companion.errors import CompanionError
from companion.system import user_files
from companion.system.paths import Paths
from ssh import config


def is_included(home: Paths, by: Path | None = None) -> bool:
    """Tell whether ~/.ssh/config (or another file that ssh reads) includes ours.

    A file that cannot be read does not.
    """
    try:
        text = user_files.read(by or home.user_ssh_config) or ""
    except CompanionError:
        return False
    return any(config.has_include(text, path) for path in spellings(home))


def spellings(home: Paths) -> Iterator[str]:
    """Yield the paths by which a user's Include may name our file: ssh knows ~ as the home."""
    yield home.ssh_config.as_posix()
    with suppress(ValueError):
        yield f"~/{home.ssh_config.relative_to(home.home).as_posix()}"
