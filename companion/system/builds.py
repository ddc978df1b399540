"""Builds: image builds that end when their result is not wanted any more, or we are to end."""

import threading
from collections.abc import Callable, Sequence

from companion.system import children, process

_DOUBT = 0.5
"""Seconds between looks whether a build is still wanted."""


def build(
    argv: Sequence[str],
    on_line: Callable[[str], None],
    is_wanted: Callable[[], bool],
    *,
    env: process.Environment,
    builds_here: bool,
) -> int:
    """Run the build `argv`, pass on each line of its output, and return its exit code.

    It ends early once its result is not wanted any more. `builds_here` says that the build goes on
    in this process, not in a daemon.

    Raises:
        KeyboardInterrupt: interrupt() or end_builds() was called; the build has ended.
    """
    process.heed_end_of_builds()
    said, ended = children.Lines(argv, env=env, apart=True), threading.Event()

    def is_still_wanted() -> bool:
        try:
            process.heed_end_of_builds()
            return is_wanted()
        except KeyboardInterrupt:
            return False
        except Exception:  # noqa: BLE001 - a failed check must not end the guard
            return True

    def guard() -> None:
        while not ended.wait(_DOUBT):
            if not is_still_wanted():
                said.end(builds_here=builds_here)
                return

    guardian = threading.Thread(target=guard, daemon=True)
    guardian.start()
    try:
        for line in said:
            on_line(line)
    except BaseException:
        said.end(builds_here=builds_here)
        raise
    finally:
        ended.set()
    process.heed_end_of_builds()
    return said.code
