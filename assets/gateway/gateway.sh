#!/bin/bash
# The gateway's processes. Any of them ending ends the container, and the engine starts it again.
# reload.sh talks to the egress process's master. SSH does not pass here, but in the ingress.
# The desktop asks for a reload by a socket in a directory that only it and this container reach.
set -euo pipefail

config=/companion/gateway

# What the engine calls this machine. Podman may add the desktop's own /etc/hosts: no names for us.
awk '{ for (i = 2; i <= NF; i++) if ($i ~ /^host\.(containers|docker)\.internal$/) print $1, $i }' \
  /etc/hosts >/tmp/names.hosts

bash /usr/local/lib/companion/stage.sh /tmp/gateway
haproxy -c -q -f /tmp/gateway/egress.cfg

# Each process reports how it ended: `wait -n` forgets one that ended before it was called.
exec 9<> <(:)
run() {
  local status=0
  "${@:2}" 9>&- || status=$?
  echo "$1 $status" >&9
}
mapfile -t servers < <(sed -nE 's/^nameserver[[:space:]]+([^[:space:]]+).*/--server=\1/p' /etc/resolv.conf)
run sinkhole dnsmasq --conf-file="$config/sinkhole.conf" &
run resolver dnsmasq --conf-file="$config/resolver.conf" "${servers[@]}" &
run egress haproxy -W -db -S /tmp/master.sock,mode,600 -f /tmp/gateway/egress.cfg &
run control socat UNIX-LISTEN:/companion/control/reload.sock,fork,unlink-early,mode=600,max-children=4 \
  EXEC:"/bin/bash /usr/local/lib/companion/reload.sh",stderr &
trap 'trap - TERM; kill 0; exit 0' TERM INT

read -r name status <&9
echo "gateway: $name ended with exit code $status" >&2
exit 1
