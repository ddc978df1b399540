#!/bin/bash
# Prints the shell exports that make Podman work on machines where its defaults do not:
# - Root without CAP_SYS_RESOURCE (in containers, small VMs) cannot raise limits, and hybrid cgroups
#   need runc.
# - Rootless Podman looks for images below $HOME. The demo and the tests use another HOME and would
#   find none.
set -euo pipefail

command -v podman >/dev/null || exit 0
directory=${XDG_CACHE_HOME:-$HOME/.cache}/companion-dev
mkdir -p "$directory"

may_raise_limits() { (((16#$(sed -n 's/^CapEff:\t//p' /proc/self/status) >> 24) & 1)); } # CAP_SYS_RESOURCE

# Prints a storage.conf with the paths and the driver that this user's Podman uses now.
storage() {
  podman info --format json | python3 -c '
import json, sys

store = json.load(sys.stdin)["store"]
print("[storage]")
for key, value in (("driver", "graphDriverName"), ("rootless_storage_path", "graphRoot"), ("runroot", "runRoot")):
    print(f"{key} = {json.dumps(store[value])}")
if program := store["graphOptions"].get("overlay.mount_program"):
    print("[storage.options.overlay]")
    print("mount_program =", json.dumps(program["Executable"]))
'
}

if [ "$(id -u)" != 0 ]; then
  [ -z "${CONTAINERS_STORAGE_CONF:-}" ] || exit 0
  storage >"$directory/storage.conf" || { echo "podman does not work for this user; run: podman info" >&2; exit 1; }
  printf 'export CONTAINERS_STORAGE_CONF=%q\n' "$directory/storage.conf"
elif [ -z "${CONTAINERS_CONF:-}" ] && ! may_raise_limits; then
  cat >"$directory/containers.conf" <<'CONF'
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
[network]
network_backend = "netavark"
CONF
  printf 'export CONTAINERS_CONF=%q\n' "$directory/containers.conf"
fi
