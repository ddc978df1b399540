#!/bin/bash
# The gateway's processes. Any of them ending ends the container, and the engine starts it again.
# USR2 loads a new egress configuration without dropping a connection; ingress is never reloaded.
set -euo pipefail

config=/companion/gateway

cat /etc/ssl/certs/ca-certificates.crt "$config/trusted.pem" >/tmp/trusted.pem
haproxy -c -q -f "$config/egress.cfg"
haproxy -c -q -f "$config/ingress.cfg"
dnsmasq --conf-file="$config/sinkhole.conf" &
dnsmasq --conf-file="$config/resolver.conf" &
haproxy -db -f "$config/ingress.cfg" &
haproxy -W -db -f "$config/egress.cfg" &
egress=$!
trap 'kill -USR2 "$egress"' USR2
trap 'trap - TERM; kill 0; exit 0' TERM INT

while :; do
  status=0
  wait -n || status=$?
  # 128+12 is the reload signal that interrupted the wait; everything else is an end.
  if [ "$status" -ne 140 ]; then
    echo "gateway: a process ended with status $status" >&2
    exit 1
  fi
done
