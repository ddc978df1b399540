#!/bin/bash
# The network of a build, made of two containers. The steps of the build share the namespace of
# `inside`, whose only link leads to `router`. The router decides what they reach: public addresses
# and what the user allows. Rules in the steps' own namespace would not hold: on Docker, steps may
# send raw packets.
# usage: fence.sh inside
#        fence.sh router ALLOWED REFUSED    (words: HOST:PORT, and networks)
# `router` runs in the process namespace of `inside`, so it ends with it. `inside` ends when its
# standard input does.
set -euo pipefail

router=192.0.2.5 inside=192.0.2.6

inside() {
  echo waiting
  until ip link show fence >/dev/null 2>&1; do sleep 0.02; done
  ip address add "$inside/30" dev fence
  ip link set fence up
  ip route add default via "$router"
  echo ready
  exec cat
}

rules() {
  cat <<RULES
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A INPUT -p icmp -m conntrack --ctstate RELATED -j ACCEPT
-A INPUT -i fence0 -d $router/32 -p udp --dport 53 -j ACCEPT
-A INPUT -i fence0 -d $router/32 -p tcp --dport 53 -j ACCEPT
-A INPUT -i fence0 -j REJECT
-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -p icmp -m conntrack --ctstate RELATED -j ACCEPT
RULES
  for endpoint in $1; do
    echo "-A FORWARD -i fence0 -d ${endpoint%:*} -p tcp --dport ${endpoint##*:} -j ACCEPT"
  done
  for network in $2; do
    echo "-A FORWARD -i fence0 -d $network -j REJECT"
  done
  cat <<RULES
-A FORWARD -i fence0 -j ACCEPT
COMMIT
*nat
-A POSTROUTING ! -o fence0 -j MASQUERADE
COMMIT
RULES
}

# The link is handed over last, so that nothing passes before the rules hold and names resolve.
router() {
  rules "$1" "$2" | iptables-restore
  ip link add fence0 type veth peer name fence
  ip address add "$router/30" dev fence0
  ip link set fence0 up
  local servers
  mapfile -t servers < <(sed -nE 's/^nameserver[[:space:]]+([^[:space:]]+).*/--server=\1/p' /etc/resolv.conf)
  dnsmasq --conf-file=/dev/null --user= --group= --pid-file= --no-hosts --no-resolv --bind-interfaces \
    --listen-address="$router" --cache-size=1000 --address=/localhost/127.0.0.1 "${servers[@]}"
  ip link set fence netns 1
}

case $1 in
  inside) inside ;;
  router)
    # After a failure, it stays until its reason was read.
    (router "$2" "$3") || echo "the router of the build could not be set up" >&2
    exec sleep infinity
    ;;
esac
