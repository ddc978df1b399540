#!/bin/bash
# Builds everything that a release publishes, twice, checks it and publishes nothing.
# usage: release.sh [DIRECTORY]   (default: dist/VERSION)
#   ALLOW_DIRTY=1 builds what is not committed, to try this script
set -euo pipefail
cd "$(dirname "$0")/.."

python=.venv/bin/python
twine=twine==7.0.0 cyclonedx=cyclonedx-bom==7.5.0
fail() { echo "release: $*" >&2; exit 1; }
tool() { .venv/bin/uv tool run -q --python $python --from "$@"; }

version=$($python -c 'import companion; print(companion.__version__)')
newest=$(sed -n 's/^## \([^ ]*\) - [0-9-]*$/\1/p' CHANGELOG.md | head -1)
[ "$version" = "$newest" ] || fail "companion/__init__.py has $version, CHANGELOG.md has ${newest:-no version} at its top"
[ -z "$(git status --porcelain)" ] || [ "${ALLOW_DIRTY:-}" ] || fail "commit or remove what \`git status\` shows"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

out=${1:-dist/$version} again=$(mktemp -d)
trap 'rm -rf "$again"' EXIT
[ ! -e "$out" ] || [[ $out == dist/* ]] || fail "$out exists; name a new directory"
rm -rf "$out"
mkdir -p "$out" "$again/packages"

build() {
  bash installer/wheel.sh "$1" >/dev/null
  bash installer/linux/build.sh "$1" >/dev/null
  rm -f "$1/.gitignore"
}
build "$out"
build "$again/packages"
diff -r "$out" "$again/packages" || fail "two builds of the same commit differ"

tool $twine twine check --strict "$out"/companion_sandbox-*

# What users get: the newest versions that the lock file allows, in a place without a checkout.
.venv/bin/uv venv -q --python $python "$again/venv"
.venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
  --no-annotate -c requirements.lock -o "$again/requirements.txt" pyproject.toml
.venv/bin/uv pip install -q --python "$again/venv" --require-hashes -r "$again/requirements.txt"
.venv/bin/uv pip install -q --python "$again/venv" --no-deps "$out"/*.whl
(cd "$again" && env -u PYTHONPATH venv/bin/companion --version | grep -qx "companion $version") ||
  fail "the wheel does not run outside of the checkout"

tool $cyclonedx cyclonedx-py environment --output-reproducible --pyproject pyproject.toml \
  --mc-type application -o "$out/companion-sandbox-$version.cdx.json" "$again/venv"
(cd "$out" && sha256sum -- * >"$again/SHA256SUMS" && mv "$again/SHA256SUMS" .)
ls -l "$out"
