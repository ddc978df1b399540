#!/bin/bash
# Builds the .deb and the .rpm from one description, nfpm.yaml, and an archive for other systems; all
# three around the self-contained bundle. Two builds of one commit on one machine are the same.
# usage: build.sh [DIRECTORY]   (default: dist)
#   BUNDLE=DIRECTORY    takes a bundle that was built before (installer/bundle/build.sh)
#   VERSION=VERSION     gives the packages another version, to try upgrades
set -euo pipefail
cd "$(dirname "$0")/../.."

[ "$(uname -m)" = x86_64 ] || { echo "the packages are described for x86_64 only" >&2; exit 1; }
here=$PWD
mkdir -p "${1:-dist}"
target=$(cd "${1:-dist}" && pwd)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
VERSION=${VERSION:-$(sed -n 's/^__version__ = "\(.*\)"/\1/p' companion/__init__.py)}
export SOURCE_DATE_EPOCH VERSION
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

if [ -n "${BUNDLE:-}" ]; then
  cp -a "$BUNDLE" "$stage/companion"
else
  bash installer/bundle/build.sh "$stage" >/dev/null
fi
.venv/bin/python installer/linux/stage.py "$stage" "$VERSION"
# nfpm reads paths relative to where it runs.
mkdir "$stage/files"
cp installer/linux/{companion.desktop,companion-watch.service,lintian-overrides,preremove.sh} assets/icons/idle.svg "$stage/files/"
chmod -R u+rwX,go+rX,go-w "$stage"
find "$stage" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

# The newest version of the C library that something in the bundle asks for.
GLIBC=$(find "$stage/companion" -type f \( -name companion -o -name '*.so*' \) -exec objdump -T {} + 2>/dev/null |
  grep -oE 'GLIBC_2\.[0-9]+' | cut -d_ -f2 | sort -uV | tail -1)
export GLIBC
for format in deb rpm; do
  (cd "$stage" && "$here/.venv/bin/nfpm" package --config "$here/installer/linux/nfpm.yaml" --packager $format --target "$target" >/dev/null)
done

archive=$target/companion-sandbox-$VERSION-linux-x86_64.tar.gz
cp -a "$stage/share" "$stage/companion/share"
touch -d "@$SOURCE_DATE_EPOCH" "$stage/companion"
tar -C "$stage" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -c companion |
  gzip -9n >"$archive"
ls "$target"
