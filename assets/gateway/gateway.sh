#!/bin/bash
# The gateway's processes. Any of them ending ends the container, and the engine starts it again.
# reload.sh talks to the egress process's master. SSH does not pass here, but in the ingress.
# The desktop asks for a reload by a socket in a directory that only it and this container reach.
# usage: gateway.sh [AGENT]    AGENT: the name of the agent's Pod, whose address changes
set -euo pipefail

config=/companion/gateway

# What the engine calls this machine. Podman may add the desktop's own /etc/hosts: no names for us.
awk '{ for (i = 2; i <= NF; i++) if ($i ~ /^host\.(containers|docker)\.internal$/) print $1, $i }' \
  /etc/hosts >/tmp/names.hosts

mapfile -t servers < <(sed -nE 's/^nameserver[[:space:]]+([^[:space:]]+).*/\1/p' /etc/resolv.conf)

# Of each network that we joined: its DNS server, what follows a name there, and where its containers
# are (see joined.py). Podman numbers the interfaces in the order of joining, after our own two. A
# network without a server has no names: nothing listens at the address that stands for it.
own_server() {
  local server
  for server in "${servers[@]}"; do
    [[ "$(ip -4 -o route get "$server" 2>/dev/null)" != "$server dev $1 "* ]] || echo "$server"
  done | head -n 1
}
rest=("${servers[@]}")
number=0
while read -r network; do
  interface=eth$((number + 2)) suffix=
  server=$(own_server "$interface")
  subnet=$(ip -4 -o route show dev "$interface" scope link 2>/dev/null | awk 'NR == 1 { print $1 }')
  if [[ " ${servers[*]} " == *" 127.0.0.11 "* ]]; then
    server=127.0.0.11 suffix=".$network" subnet=0.0.0.0/0
  elif [ -n "$server" ]; then # only its own names are asked of it
    mapfile -t rest < <(printf '%s\n' "${rest[@]}" | grep -vFx -e "$server")
  fi
  export "NETWORK_${number}_SERVER=${server:-127.0.0.1}:53" "NETWORK_${number}_SUFFIX=$suffix" \
    "NETWORK_${number}_SUBNET=${subnet:-0.0.0.0/32}"
  number=$((number + 1))
done <"$config/networks.lst"

[ $# = 0 ] || : >/tmp/agents.lst
bash /usr/local/lib/companion/stage.sh /tmp/gateway
haproxy -c -q -f /tmp/gateway/egress.cfg

# Each process reports how it ended: `wait -n` forgets one that ended before it was called.
exec 9<> <(:)
run() {
  local status=0
  "${@:2}" 9>&- || status=$?
  echo "$1 $status" >&9
}
run sinkhole dnsmasq --conf-file="$config/sinkhole.conf" &
run resolver dnsmasq --conf-file="$config/resolver.conf" "${rest[@]/#/--server=}" &
run egress haproxy -W -db -S /tmp/master.sock,mode,600 -f /tmp/gateway/egress.cfg &
run control socat UNIX-LISTEN:/companion/control/reload.sock,fork,unlink-early,mode=600,max-children=4 \
  EXEC:"/bin/bash /usr/local/lib/companion/reload.sh",stderr &
[ $# = 0 ] || run watch bash /usr/local/lib/companion/pod-watch.sh "$1" &
trap 'trap - TERM; kill 0; exit 0' TERM INT

read -r name status <&9
echo "gateway: $name ended with exit code $status" >&2
exit 1
