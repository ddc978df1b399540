#!/bin/bash
# Collects what the egress process reads in a directory of ours: the mounted files change at any
# time, and what it took in last must be known to tell what is gone.
# usage: stage.sh DIRECTORY
set -euo pipefail

to=$1

shopt -s nullglob
rm -rf "$to"
mkdir -m 700 "$to" "$to/certificates"
# In a Pod, each file is a link into a hidden directory, which is replaced as a whole.
cp -L /companion/gateway/* "$to"
# Where files cannot be removed, one that is gone is empty, which HAProxy would refuse.
for file in /companion/certificates/*; do
  [ ! -s "$file" ] || cp -L "$file" "$to/certificates"
done
cat /etc/ssl/certs/ca-certificates.crt /companion/gateway/trusted.pem >"$to/trusted.pem"
: >"$to/stale.lst"
for file in /companion/secrets/*; do
  if [ -s "$file" ]; then
    printf '%s %s\n' "${file##*/}" "$(<"$file")"
  fi
done >"$to/secrets.map"
