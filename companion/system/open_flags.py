"""Flags for os.open() that not every system has; one that is missing changes nothing there."""

import os

NO_LINK: int = getattr(os, "O_NOFOLLOW", 0)
"""Refuse what is a link itself."""
NOT_WAITING = getattr(os, "O_NONBLOCK", 0)
"""Do not wait for who writes, should it be a pipe."""
DIRECTORY = getattr(os, "O_DIRECTORY", 0) | NO_LINK
"""Open a directory only, and no link to one."""
EITHER_WAY = getattr(os, "O_DIRECTORY", 0)
"""Open a directory only, also behind a link."""
READ = os.O_RDONLY | NO_LINK | NOT_WAITING
"""Read a file that is no link."""
