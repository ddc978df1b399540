#!/bin/sh
# Tells the desktop in one word whether the agent works, waits for its user or is done: the gateway
# answers this request by itself, and logs the word. Hooks of the agents' programs call it, so it
# returns at once and never fails.
# usage: attention.sh busy|waiting|done|bell|seen|ended
case ${1:-} in busy | waiting | done | bell | seen | ended) ;; *) exit 0 ;; esac
[ -e /usr/local/share/ca-certificates/companion-sandbox.crt ] || exit 0 # there is no gateway

# Requests may overtake each other, so each sends what was said last.
last=/tmp/.companion-attention
{ echo "$1" >"$last"; } 2>/dev/null || exit 0
{
  flock -w 5 9 && read -r word <"$last" &&
    curl -q -s -m 2 --noproxy '*' "http://companion.internal/attention/$word"
} 9>>"$last.lock" </dev/null >/dev/null 2>&1 &
exit 0
