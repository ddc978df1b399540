#!/bin/bash
# Prints the shell exports that make podman work on machines where its defaults cannot: a root
# without CAP_SYS_RESOURCE (containers, small VMs) may not raise limits, and hybrid cgroups need runc.
set -euo pipefail

[ -z "${CONTAINERS_CONF:-}" ] || exit 0
command -v podman >/dev/null || exit 0
[ "$(id -u)" = 0 ] || exit 0
effective=$((16#$(sed -n 's/^CapEff:\t//p' /proc/self/status)))
(((effective >> 24) & 1)) && exit 0 # CAP_SYS_RESOURCE

directory=${XDG_CACHE_HOME:-$HOME/.cache}/companion-dev
mkdir -p "$directory"
cat >"$directory/containers.conf" <<'CONF'
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
[network]
network_backend = "netavark"
CONF
printf 'export CONTAINERS_CONF=%q\n' "$directory/containers.conf"
