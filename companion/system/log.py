"""Log: one file of what Companion did; past-tense facts, no secrets."""

import logging
import logging.handlers

from companion.system import files
from companion.system.paths import Paths
from companion.system.plain import plain

_FORMAT = "%(asctime)s %(levelname)s %(message)s"


class _Formatter(logging.Formatter):
    """Writes what others said so that no line of it looks like one of ours."""

    def format(self, record: logging.LogRecord) -> str:
        return plain(super().format(record)).replace("\n", "\n    ")


def to_file(home: Paths) -> logging.Logger:
    """Return the log of this user's watcher, rotated at 1 MiB."""
    files.make_private_dir(home.state)
    handler = logging.handlers.RotatingFileHandler(
        home.log, maxBytes=1 << 20, backupCount=2, encoding="utf-8"
    )
    handler.setFormatter(_Formatter(_FORMAT))
    logger = logging.getLogger("companion")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return logger
