#!/bin/bash
# Builds the self-contained bundle: DIRECTORY/companion, with a Python of its own. Two builds of one
# commit on one machine are the same.
# usage: build.sh [DIRECTORY]   (default: build/bundle)
#
# The bundle needs the C library of the machine that builds it, or a newer one: publish what Debian 12
# built.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=${1:-build/bundle} tools=build/bundle-tools
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH PYTHONHASHSEED=0 PYSTRAY_BACKEND=dummy
lock=installer/bundle/requirements.lock
mkdir -p build
bash scripts/packages.sh bundle
exec 9>"$tools.lock"
flock 9
if [ ! -e "$tools/.stamp" ] || [ "$lock" -nt "$tools/.stamp" ]; then
  echo "creating $tools" >&2
  .venv/bin/python -m venv --clear "$tools"
  "$tools/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r "$lock" 2>&1 | { grep -v '^WARNING' >&2 || true; }
  touch "$tools/.stamp"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bash installer/wheel.sh "$work/wheel" >/dev/null
"$tools/bin/python" -m pip install -q --disable-pip-version-check --no-index --no-deps --no-compile --force-reinstall "$work"/wheel/*.whl
"$tools/bin/pyinstaller" --noconfirm --clean --log-level ERROR --distpath "$target" --workpath "$work/work" \
  installer/bundle/companion.spec
"$tools/bin/python" installer/bundle/licenses.py "$target/companion"
chmod -R u+rwX,go+rX,go-w "$target/companion"
find "$target/companion" -name '*.so*' -type f -exec chmod 644 {} +
# A Python that was compiled by hand names its own directory, which another machine does not have.
find "$target/companion" -name '*.so*' -type f -print0 |
  while IFS= read -r -d '' library; do
    [[ $(patchelf --print-rpath "$library") != /* ]] || patchelf --remove-rpath "$library"
  done
"$target/companion/companion" --version
