#!/bin/bash
# Lets the gateway take in what is mounted now, whatever it was before, and returns when it has;
# its last words are then "taken in".
# Hosts and secrets are told to the running workers. Anything else takes a new worker; the old ones
# keep their connections. Streams to what is gone end, in all of them. SSH does not pass here.
set -euo pipefail
export LC_ALL=C

active=/tmp/gateway
next=/tmp/gateway.next
maps=(hosts.map suffixes.map secrets.map)
told=("${maps[@]}" streams.lst rules.lst)
old_workers=4 # how many may keep connections

master() { socat -t 5 - UNIX-CONNECT:/tmp/master.sock 2>/dev/null; }
# "show proc" lists each process as: PID type reloads; workers of the newest first
workers() { echo "show proc" | master | awk '$2 == "worker"' | sort -n -k 3 | awk '{ print $1 }'; }

# What turns the old content of a map into the new one, as runtime commands.
changes() {
  awk -v map="$1" '
    FILENAME == ARGV[1] { old[$1] = $2; next }
    { new[$1] }
    !($1 in old) { print "add map " map " " $1 " " $2; next }
    old[$1] != $2 { print "set map " map " " $1 " " $2 }
    END { for (key in old) if (!(key in new)) print "del map " map " " key }
  ' "$active/$1" "$next/$1"
}

# What keeps workers with older rules from serving one more request by them.
stale() { comm -23 "$active/rules.lst" "$next/rules.lst" | awk '{ print "add acl stale.lst " $1 }'; }

# Tells each of these workers what stands in the commands; fails if one did not understand.
tell() {
  [ -n "$commands" ] || return 0
  local answer worker
  answer=$(
    {
      echo prompt
      for worker in "$@"; do printf '@!%s\n%s\n' "$worker" "$commands"; done
      echo quit
    } | master
  )
  ! grep -qvE '^([a-z0-9]+> )*(Key not found\.)?$' <<<"$answer"
}

# Ends each stream of this worker that goes to a server which stands for nothing any more.
end_streams() {
  local ends
  ends=$(
    printf '%s\n' prompt "@!$1" "show sess" quit | master |
      sed -nE 's/.*(0x[0-9a-f]+): .* be=(passthrough|https?_[a-z]+) srv=([^< ]+) .*/\2 \3 \1/p' |
      awk '
        FILENAME == ARGV[1] { gone[$1]; next }
        FILENAME == ARGV[2] { there[$1]; next }
        { server = $1 "/" $2; any = $1 "/any" }
        server in there && !(server in gone) { next }
        any in there && !(any in gone) && !(server in gone) { next }
        { print "shutdown session " $3 }
      ' <(echo "$gone") "$active/streams.lst" -
  )
  [ -z "$ends" ] || printf '%s\n' prompt "@!$1" "$ends" quit | master >/dev/null
}

# Starts a worker with the new configuration and waits until it is there. One that HAProxy does not
# take leaves the old workers as they are.
renew() {
  local now failed
  swap
  echo reload | master || true # the master starts anew and drops this very connection
  for _ in {1..500}; do
    read -r now failed < <(echo "show proc" | master | awk '
      $2 == "master" { failed = $5 + 0 }
      $2 == "worker" && $3 == 0 { now = $1 }
      END { print now + 0, failed + 0 }')
    [ "$now" != 0 ] && [ "$now" != "${before[0]}" ] && return
    [ "$failed" = 0 ] || break
    sleep 0.005
  done
  swap
  echo reload | master || true
  haproxy -c -f "$next/egress.cfg" >&2 || true
  echo "the new configuration was not taken in" >&2
  return 1
}

swap() {
  mv "$active" "$active.old"
  mv "$next" "$active"
  mv "$active.old" "$next"
  kill -HUP "$(</tmp/sinkhole.pid)" || true # it reads direct.hosts, which only makes ways shorter
}

exec 9>/tmp/reload.lock
flock 9
bash /usr/local/lib/companion/stage.sh "$next"
mapfile -t before < <(workers)
commands=$(for map in "${maps[@]}"; do changes "$map"; done; stale)
# A line has server, host and bounds; any host within the same bounds includes a listed one.
gone=$(
  comm -23 "$active/streams.lst" "$next/streams.lst" |
    awk 'NR == FNR { if ($2 == "*") any[$3]; next } !($3 in any) { print $1 }' \
      "$next/streams.lst" -
)
if diff -rq "${told[@]/#/--exclude=}" "$active" "$next" >/dev/null && tell "${before[@]}"; then
  swap
else
  renew
  tell "${before[@]}" || true # an older worker may lack a list, or be gone
fi
rm -rf "$next"
if [ -n "$gone" ]; then
  for worker in "${before[@]}"; do end_streams "$worker"; done
fi
for worker in "${before[@]:old_workers}"; do
  kill -TERM "$worker" 2>/dev/null || true
done
echo "taken in"
