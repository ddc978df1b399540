"""The user's settings, read from disk."""

from companion.config import settings
from companion.config.settings import Settings
from companion.system import files
from companion.system.paths import Paths


def read(home: Paths) -> Settings:
    """Return the settings that the user made for all projects.

    Raises:
        ConfigError: every problem of the file.
        CompanionError: the system does not let us read it.
    """
    return settings.parse(files.read_text(home.settings), str(home.settings))
