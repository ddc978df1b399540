#!/bin/bash
# Follows what changes around a gateway in a Pod: the address of its agent's Pod, which is all that
# HAProxy lets in, and the mounted configuration, which a cluster replaces without telling anybody.
# usage: pod-watch.sh AGENT    AGENT: the name of the agent's Pod
set -uo pipefail

list=/tmp/agents.lst # HAProxy reads it when it starts, and is told of changes
mounted=(/companion/gateway /companion/secrets /companion/certificates)
patience=5           # failed lookups before the last address is forgotten

master() { socat -t 5 - UNIX-CONNECT:/tmp/master.sock 2>/dev/null; }
workers() { echo "show proc" | master | awk '$2 == "worker" { print $1 }'; }
version() { readlink "${mounted[@]/%//..data}"; }

admit() {
  local worker address
  printf '%s\n' "$@" >"$list"
  {
    echo prompt
    for worker in $(workers); do
      echo "@!$worker clear acl $list"
      for address; do echo "@!$worker add acl $list $address"; done
    done
    echo quit
  } | master >/dev/null
}

until [ "$(workers)" ]; do sleep 0.2; done
admitted='' loaded='' missed=0
while :; do
  found=$(getent ahostsv4 "$1" | awk '{ print $1 }' | sort -u)
  if [ "$found" ]; then missed=0; else missed=$((missed + 1)); fi
  if [ "$found" != "$admitted" ] && { [ "$found" ] || [ "$missed" -ge "$patience" ]; }; then
    # shellcheck disable=SC2086 # addresses
    ! admit $found || admitted=$found
    echo "gateway: the agent is at ${admitted:-no address}"
  fi
  now=$(version)
  if [ "$now" != "$loaded" ]; then
    bash /usr/local/lib/companion/reload.sh
    loaded=$now
  fi
  sleep 1
done
