"""Where the static files that ship with Companion lie."""

from pathlib import Path


def assets_directory() -> Path:
    """Return where our assets lie: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).parent.parent
    inside = package / "assets"
    return inside if inside.is_dir() else package.parent / "assets"
