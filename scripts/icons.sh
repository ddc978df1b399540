#!/bin/bash
# Builds assets/icons/NAME.ico, with all sizes in one file, from NAME.svg, and docs/icons.png, which
# shows them on light and dark. Needs rsvg-convert (librsvg2-bin).
set -euo pipefail
cd "$(dirname "$0")/../assets/icons"

work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
for drawing in *.svg; do
  for size in 16 22 24 32 48 64; do
    rsvg-convert --width $size --height $size --output "$work/$size.png" "$drawing"
  done
  ../../.venv/bin/python - "$work" "${drawing%.svg}.ico" <<'PYTHON'
import sys
from pathlib import Path

from PIL import Image

images = [Image.open(path) for path in Path(sys.argv[1]).glob("*.png")]
largest = max(images, key=lambda image: image.size)
sizes = [image.size for image in images]
largest.save(sys.argv[2], sizes=sizes, append_images=images, bitmap_format="png")
PYTHON
done
../../.venv/bin/python - idle working attention waiting paused offline <<'PYTHON'
import sys

from PIL import Image

names = sys.argv[1:]
strip = Image.new("RGBA", (len(names) * 64, 96))
for row, background in enumerate(("#f6f5f4", "#241f31")):
    strip.paste(Image.new("RGBA", (strip.width, 48), background), (0, row * 48))
    for column, name in enumerate(names):
        icon = Image.open(f"{name}.ico").ico
        for offset, size in ((6, 16), (27, 32)):
            place = (column * 64 + offset, row * 48 + 24 - size // 2)
            strip.alpha_composite(icon.getimage((size, size)).convert("RGBA"), place)
strip.convert("RGB").save("../../docs/icons.png", optimize=True)
PYTHON
