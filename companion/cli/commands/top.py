"""The command `top`: all sandboxes on one screen, live."""

import sys
from argparse import Namespace

from companion.cli.output import Result
from companion.errors import CompanionError, UsageError
from companion.system.paths import Paths

_PACKAGES = {"textual", "rich"}


def top(arguments: Namespace) -> Result:
    """Show all sandboxes until the user quits."""
    if arguments.as_json:
        raise UsageError("`top` is a screen and never answers", "use `companion list --json`")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("`top` needs a terminal", "`companion list` prints the same once")
    try:
        from companion.dashboard import app  # noqa: PLC0415 - Textual is optional, and slow to load
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _PACKAGES:
            raise
        hint = "`pipx inject companion-sandbox textual`, or install companion-sandbox[top]"
        raise CompanionError(
            "`companion top` needs Textual, which is not installed", hint
        ) from None
    app.run(Paths.of_user())
    return Result()
