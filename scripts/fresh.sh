#!/bin/bash
# Runs the product on fresh Debian machines, as root and as an ordinary user with sudo:
#   fresh.sh            the README's `make run`, in each release
#   fresh.sh drive      scripts/drive.py, the whole product: podman 5 and docker 26 of Debian 13
#   fresh.sh packages   scripts/installed.py: the .deb installed, used, upgraded and removed in each
#                       release, and the .rpm judged
# Prints one line per machine and user, and the end of the log if a run failed.
#
# Trees, packages and base images come from a cache, except for one commit in ten (by its hash) and with CACHE=no.
set -euo pipefail
cd "$(dirname "$0")/.."

logs=$PWD/build/fresh own_cache='' made=''
mkdir -p "$logs"
set -m # each machine is a process group and is stopped as one

# shellcheck disable=SC2329 # the trap calls it
leave() {
  local job
  trap - EXIT
  for job in $(jobs -p); do kill -TERM -- "-$job" 2>/dev/null || true; done
  wait
  [ -z "$made" ] || rm -rf "$made"
  [ -z "$own_cache" ] || rm -rf --one-file-system "$own_cache"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [ "${CACHE:-}" = no ] || ((16#$(git rev-parse HEAD | cut -c1-8) % 10 == 0)); then
  own_cache=$(mktemp -d /var/tmp/companion-cache.XXXXXX)
  export COMPANION_DEV_CACHE=$own_cache
  echo "fresh machines: not using the cache"
fi

try() { # NAME COMMAND…: prints the line; fails if COMMAND fails
  local name=$1 log begin=$SECONDS
  shift
  log=$logs/${name// /-}.log
  if "$@" >"$log" 2>&1 </dev/null; then
    echo "$name: passed in $((SECONDS - begin)) s"
  else
    printf '%s: FAILED after %s s; the end of %s:\n%s\n' "$name" $((SECONDS - begin)) "$log" "$(tail -n 40 "$log")"
    return 1
  fi
}

newcomers() { # SUITE root|user: who builds the base images; the other finds them
  local failed=0 root=() user=()
  if [ "$2" = root ]; then user=(--base); else root=(--base); fi
  try "$1 root make run" bash scripts/machine.sh "${root[@]}" "$1" make run || failed=1
  try "$1 user make run" bash scripts/machine.sh --user "${user[@]}" "$1" make run || failed=1
  return $failed
}

drive() { # ENGINE
  # shellcheck disable=SC2016 # the machine's shell
  try "trixie root drive $1" bash scripts/machine.sh trixie bash -euc 'make setup
    if [ "$1" = docker ]; then
      bash scripts/packages.sh docker
      exports=$(bash scripts/dockerd.sh start); eval "$exports"
    fi
    bash scripts/packages.sh run
    exports=$(bash scripts/engine.sh); eval "$exports"
    .venv/bin/python scripts/drive.py "$1"' drive "$1"
}

# Builds the packages, and the same with an older version; base images come from here.
build_packages() {
  made=$(mktemp -d /var/tmp/companion-packages.XXXXXX)
  bash scripts/base-images.sh archives
  bash installer/bundle/build.sh "$made"
  BUNDLE=$made/companion VERSION=0.0.1 bash installer/linux/build.sh "$made/old"
  BUNDLE=$made/companion bash installer/linux/build.sh "$made/new"
}

installed() { # NAME SUITE [--user]
  local name=$1 suite=$2 file with=()
  shift 2
  for file in "$made"/{old/*.deb,new/*.deb,new/*.rpm} /var/cache/companion-dev/debian.tar; do
    with+=(--with "$file")
  done
  # shellcheck disable=SC2016 # the machine's shell
  try "$suite $name packages" bash scripts/machine.sh "$@" "${with[@]}" "$suite" bash -c \
    'cd && exec python3 companion/scripts/installed.py companion-sandbox_0.0.1-1_*.deb "$@"' installed \
    "$(basename "$made"/new/*.deb)" "$(basename "$made"/new/*.rpm)" debian.tar
}

case ${1:-run} in
  run) newcomers bookworm root & newcomers trixie user & ;;
  drive) drive podman & drive docker & ;;
  packages)
    build_packages >"$logs/packages.log" 2>&1 || { tail -n 20 "$logs/packages.log"; exit 1; }
    installed root bookworm & installed user trixie --user &
    ;;
  *) echo "usage: fresh.sh [run|drive|packages]" >&2; exit 2 ;;
esac
failed=0
for job in $(jobs -p); do wait "$job" || failed=1; done
exit $failed
