#!/bin/bash
# Builds the wheel and the source distribution into a directory.
# usage: wheel.sh [DIRECTORY]   (default: dist)
set -euo pipefail
cd "$(dirname "$0")/.."

.venv/bin/uv build -q --no-build-isolation --python .venv/bin/python --out-dir "${1:-dist}"
ls "${1:-dist}"
