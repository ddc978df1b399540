"""The wheel's shared data: manual pages and completions, made while a wheel is built."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class SharedFiles(BuildHookInterface):  # type: ignore[type-arg]
    """Adds what installer/shared_files.py writes; pipx shows users the manual pages."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the files and name them to the builder."""
        if version == "editable":
            return
        made, script = Path(self.root, "build/shared"), Path(self.root, "installer/shared_files.py")
        subprocess.run([sys.executable, script, made], check=True)
        build_data["shared_data"][str(made / "share")] = "share"
