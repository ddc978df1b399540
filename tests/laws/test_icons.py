"""The icons of the tray, as our own backend reads them."""

import subprocess
import sys
from pathlib import Path

import pytest
from desk import ROOT
from PIL import Image

from companion.tray.linux.icon_file import pixmaps

ICONS = sorted((ROOT / "assets/icons").glob("*.ico"))


@pytest.mark.parametrize("file", ICONS, ids=lambda file: file.stem)
def test_every_icon_has_the_pixels_that_pillow_sees(file: Path):
    seen = []
    with Image.open(file) as image:
        for size in sorted(image.info["sizes"]):
            red, green, blue, alpha = image.ico.getimage(size).convert("RGBA").split()
            seen.append((*size, Image.merge("RGBA", (alpha, red, green, blue)).tobytes()))
    assert pixmaps(file.read_bytes()) == seen


def test_the_tray_loads_no_library_for_images():
    code = "import sys, companion.tray.app; assert 'PIL' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
