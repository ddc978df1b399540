#!/bin/bash
# Owns the agent's network namespace: closes it, opens the one way to the gateway, drops every
# privilege and opens the gate (127.0.0.1:1) for which the agent's entrypoint waits.
# usage: net.sh GATEWAY_ADDRESS INGRESS_ADDRESS [names]
#   names   write /etc/hosts and /etc/resolv.conf, which nothing is mounted over: they are the agent's, too
set -euo pipefail

gateway=$1 ingress=$2
if [ "${3:-}" = names ]; then
  own=$(ip -4 -o address show scope global | sed -nE '1s#.* inet ([0-9.]+)/.*#\1#p')
  printf '127.0.0.1 localhost\n%s %s\n' "$own" "$HOSTNAME" >/etc/hosts
  printf 'nameserver %s\noptions ndots:0\n' "$gateway" >/etc/resolv.conf
fi

# The kernel notes each connection in tables of a fixed size, this namespace's and the desktop's. So
# new ones are limited, and those of the ingress are not noted here: SSH needs no place in a table.
iptables-restore <<RULES || echo "net: this kernel cannot leave connections unnoted" >&2
*raw
-A PREROUTING -s $ingress/32 -p tcp -j CT --notrack
-A OUTPUT -d $ingress/32 -p tcp ! --syn -j CT --notrack
-A PREROUTING -i lo -j CT --notrack
-A OUTPUT -o lo -j CT --notrack
COMMIT
RULES
iptables-restore <<RULES
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT DROP [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -s $ingress/32 -p tcp -j ACCEPT
-A INPUT -s $gateway/32 -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A OUTPUT -d 127.0.0.11/32 -j REJECT
-A OUTPUT -o lo -j ACCEPT
-A OUTPUT -d $gateway/32 -p tcp ! --syn -j ACCEPT
-A OUTPUT -d $gateway/32 -p tcp -m limit --limit 200/second --limit-burst 1000 -j ACCEPT
-A OUTPUT -d $gateway/32 -p udp --dport 53 -m limit --limit 500/second --limit-burst 2000 -j ACCEPT
-A OUTPUT -d $ingress/32 -p tcp ! --syn -j ACCEPT
-A OUTPUT -j REJECT
COMMIT
RULES
# The sinkhole gives this address to intercepted services: straight to where their TLS ends.
iptables -t nat -A OUTPUT -d 192.0.2.2 -p tcp --dport 443 -j DNAT --to-destination "$gateway:1"
iptables -t nat -A OUTPUT ! -o lo -p tcp -j DNAT --to-destination "$gateway"
iptables -t nat -A OUTPUT ! -o lo -p udp --dport 53 -j DNAT --to-destination "$gateway:53"
ip route replace default via "$gateway"

if grep -q . /proc/net/if_inet6 2>/dev/null; then
  echo "net: IPv6 is on in this namespace; refusing to open the gate" >&2
  exit 1
fi

exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all \
  --no-new-privs socat TCP-LISTEN:1,bind=127.0.0.1,fork,reuseaddr,max-children=16 OPEN:/dev/null
