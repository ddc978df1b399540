"""The real tray on a desktop of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk
from trays import Tray, tray


@pytest.fixture
def alone(desk: Desk, tmp_path: Path) -> Iterator[Tray]:
    """A tray without any project."""
    with tray(desk, tmp_path) as running:
        running.panel.wait_for_icon()
        yield running
