#!/bin/bash
# Closes the network namespace of an agent's Pod before its agent starts. The kernel then lets it reach
# its gateway only, wherever it connects to.
# usage: pod-net.sh GATEWAY_ADDRESS PORT...
set -euo pipefail

gateway=$1
shift

iptables-restore <<RULES || echo "net: this kernel cannot leave connections unnoted" >&2
*raw
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
-A INPUT -s $gateway/32 -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A OUTPUT -o lo -j ACCEPT
-A OUTPUT -d $gateway/32 -p tcp ! --syn -j ACCEPT
$(printf -- "-A OUTPUT -d $gateway/32 -p tcp --dport %s -m limit --limit 200/second --limit-burst 1000 -j ACCEPT\n" 53 "$@")
-A OUTPUT -d $gateway/32 -p udp --dport 53 -m limit --limit 500/second --limit-burst 2000 -j ACCEPT
-A OUTPUT -j REJECT
COMMIT
*nat
-A OUTPUT -d 192.0.2.2 -p tcp --dport 443 -j DNAT --to-destination $gateway:1
-A OUTPUT ! -o lo -p tcp -j DNAT --to-destination $gateway
-A OUTPUT ! -o lo -p udp --dport 53 -j DNAT --to-destination $gateway:53
COMMIT
RULES

# Turning IPv6 off is a sysctl that clusters refuse. So its addresses go, and even `lo` is closed.
for device in /sys/class/net/*; do
  ip -6 address flush dev "${device##*/}" 2>/dev/null || true
done
if ! ip6tables-restore <<'RULES'; then
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT DROP [0:0]
-A OUTPUT -j REJECT
COMMIT
RULES
  if grep -q . /proc/net/if_inet6 2>/dev/null; then
    echo "net: IPv6 is on in this namespace and cannot be closed" >&2
    exit 1
  fi
fi
echo "net: closed"
