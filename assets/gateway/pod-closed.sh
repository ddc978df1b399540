#!/bin/bash
# Is the network of an agent's Pod closed? Runs there before the agent, which starts only if this
# succeeds. Waits for the gateway, then tries to get out; prints what is open.
# usage: pod-closed.sh GATEWAY_ADDRESS ANSWER pod|policy
#   ANSWER: what the gateway's DNS server answers; NODE in the environment: the node's address
set -uo pipefail

gateway=$1 answer=$2 fence=$3
elsewhere=198.51.100.7 # TEST-NET-2: no such host anywhere

# shellcheck disable=SC2329 # try calls these
dials() { timeout 2 bash -c "exec 3<>/dev/tcp/$1/$2" 2>/dev/null; }
# Two writes: the refusal of the first is reported at the second.
# shellcheck disable=SC2329
sends() { timeout 2 bash -c "exec 3<>/dev/udp/$1/$2; echo x >&3; sleep 0.2; echo x >&3" 2>/dev/null; }
# Where connections are led to the gateway, it takes these calls: only another answer counts.
# shellcheck disable=SC2329
reaches() {
  [ "$fence" = pod ] || { dials "$1" "$2"; return; }
  local said
  said=$(timeout 2 bash -c "exec 3<>/dev/tcp/$1/$2; printf 'GET / HTTP/1.0\r\n\r\n' >&3; cat <&3" 2>/dev/null | tr -d '\0')
  [ "$said" ] && [[ $said != *"gateway: "* ]]
}
resolves() { timeout 3 getent ahostsv4 probe.invalid | awk 'NR == 1 { print $1 }'; }
serves_us() {
  timeout 3 bash -c "exec 3<>/dev/tcp/$gateway/80; printf 'GET / HTTP/1.0\r\n\r\n' >&3; cat <&3" 2>/dev/null |
    grep -q '^gateway: '
}
try() { # TITLE COMMAND…
  ! "${@:2}" || echo "open: $1"
}

for _ in $(seq 60); do
  ! serves_us || { served=1; break; }
  sleep 1
done
[ "${served:-}" ] || { echo "the gateway at $gateway does not answer"; exit 1; }
named=$(resolves)
open=$(
  [ "$named" = "$answer" ] || echo "open: names are answered by somebody else: ${named:-nobody}"
  try "TCP to a port that nobody serves" dials "$elsewhere" 81 &
  try "the API server" reaches "$KUBERNETES_SERVICE_HOST" "$KUBERNETES_SERVICE_PORT" &
  try "the node's kubelet" dials "$NODE" 10250 &
  try "the cloud's metadata" reaches 169.254.169.254 80 &
  # What a policy drops is sent as far as anybody here can tell.
  [ "$fence" = policy ] || try "UDP to another host" sends "$elsewhere" 4433 &
  wait
)
[ "$open" ] || exit 0
echo "$open"
[ "$fence" = pod ] || echo "this cluster's network does not enforce NetworkPolicies"
exit 1
