#!/bin/bash
# Runs the product on fresh Debian machines, as root and as an ordinary user with sudo:
#   fresh.sh         the README's `make run`, in each release
#   fresh.sh drive   scripts/drive.py, the whole product: podman 5 and docker 26 of Debian 13
# Prints one line per machine and user, and the end of the log if a run failed.
#
# Trees and packages come from a cache, except for one commit in ten (by its hash) and with CACHE=no.
set -euo pipefail
cd "$(dirname "$0")/.."

logs=$PWD/build/fresh own_cache=
mkdir -p "$logs"
set -m # each machine is a process group and is stopped as one

# shellcheck disable=SC2329 # the trap calls it
leave() {
  local job
  trap - EXIT
  for job in $(jobs -p); do kill -TERM -- "-$job" 2>/dev/null || true; done
  wait
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

newcomers() { # SUITE
  local failed=0
  try "$1 root make run" bash scripts/machine.sh "$1" make run || failed=1
  try "$1 user make run" bash scripts/machine.sh --user "$1" make run || failed=1
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

case ${1:-run} in
  run) newcomers bookworm & newcomers trixie & ;;
  drive) drive podman & drive docker & ;;
  *) echo "usage: fresh.sh [run|drive]" >&2; exit 2 ;;
esac
failed=0
for job in $(jobs -p); do wait "$job" || failed=1; done
exit $failed
