#!/bin/bash
# Is the namespace that the agent will live in closed? Run in the net holder before the agent
# starts. Waits for the gate, then tries to get out; prints what is open and exits 1.
# usage: closed.sh BRIDGE_ADDRESS
set -uo pipefail

bridge=$1
sinkhole=192.0.2.1
elsewhere=198.51.100.7 # TEST-NET-2: no such host anywhere
failures=0

open() {
  echo "open: $1"
  failures=1
}
dials() { timeout 2 bash -c "exec 3<>/dev/$1/$2/$3" 2>/dev/null; }

for _ in $(seq 100); do
  dials tcp 127.0.0.1 1 && gate=1 && break
  sleep 0.05
done
[ "${gate:-}" ] || { echo "the gate did not open"; exit 1; }

dials tcp "$elsewhere" 81 && open "tcp to a port that nobody serves"
dials tcp "$bridge" 81 && open "tcp to the engine's bridge"
# Two writes: the refusal of the first is reported at the second.
timeout 2 bash -c "exec 3<>/dev/udp/$elsewhere/4433; echo x >&3; echo x >&3" 2>/dev/null &&
  open "udp to another host"
answer=$(timeout 3 getent ahostsv4 probe.invalid | awk 'NR == 1 { print $1 }')
[ "$answer" = "$sinkhole" ] || open "names are answered by somebody else: ${answer:-nobody}"
grep -q . /proc/net/if_inet6 2>/dev/null && open "IPv6"
exit "$failures"
