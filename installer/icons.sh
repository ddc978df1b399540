#!/bin/bash
# Makes assets/icons/NAME.ico, all sizes in one file, from NAME.svg. Needs rsvg-convert (librsvg2-bin).
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
