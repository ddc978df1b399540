#!/bin/bash
# Lets the gateway take in a new egress configuration, and returns when it has.
# Connections live on in the old process; "end" gives them one second, because something that they
# may still use is gone. SSH does not pass through this process.
# usage: reload.sh keep|end
set -euo pipefail

old=$1
config=/companion/gateway
master() { echo "$1" | socat -t 2 - UNIX-CONNECT:/tmp/master.sock 2>/dev/null; }
# "show proc" lists each process as: PID type reloads uptime version
workers() { master "show proc" | awk '$2 == "worker" && $3 == 0 { print $1 }'; }
old_workers() { master "show proc" | awk '$2 == "worker" && $3 > 0 { print $1 }'; }

cat /etc/ssl/certs/ca-certificates.crt "$config/trusted.pem" >/tmp/trusted.pem.new
mv /tmp/trusted.pem.new /tmp/trusted.pem
haproxy -c -q -f "$config/egress.cfg"

before=$(workers)
master reload || true # the master starts anew and drops this very connection
for _ in $(seq 200); do
  now=$(workers || true)
  [ -n "$now" ] && [ "$now" != "$before" ] && break
  sleep 0.02
done
if [ -z "$now" ] || [ "$now" = "$before" ]; then
  echo "the new configuration was not taken in" >&2
  exit 1
fi
if [ "$old" = end ]; then
  for pid in $(old_workers); do
    (sleep 1; kill -TERM "$pid" 2>/dev/null) >/dev/null 2>&1 &
  done
fi
