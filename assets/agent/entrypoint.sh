#!/bin/bash
# Starts the agent's container as the agent's own user: waits until the network is closed, brings
# the home files up to date, runs the hooks, then sshd (if there is one) and the command given.
# usage: entrypoint.sh [--root-hooks UID] [--no-gate] COMMAND...
#        entrypoint.sh --run COMMAND...    only with the agent's variables
#        entrypoint.sh --sshd OPTION...    only sshd, once the one for all is up
#        entrypoint.sh --bring             only copies what the user's settings bring
set -euo pipefail

lib=/usr/local/lib/companion
uid=

# Programs that the agent installed below its home are for its own commands, not for this script.
agent_path=$PATH
system_path() {
  local part kept=
  while IFS= read -r -d : part; do
    case $part in "$HOME"/*) ;; *) kept+=:$part ;; esac
  done <<<"$PATH:"
  PATH=${kept#:}
}

# Where root begins, the agent's variables have other names until it has become the agent: by its own
# PATH, BASH_ENV or LD_PRELOAD, what lies in its home would be run as root.
given=()
for name in "${!COMPANION_SET_@}"; do
  given+=("${name#COMPANION_SET_}=${!name}")
  unset "$name"
done
if [ "${1:-}" = --run ]; then
  shift
  exec env "${given[@]}" "$@"
fi

# Sessions get the variables of the container, those of its base image included, and where to begin
# (see shell.sh). sshd passes on none by itself, and uses only the first SetEnv, a line that cannot
# hold a line break.
sshd_options() {
  local assigned=() pair
  while IFS= read -r -d '' pair; do
    case $pair in
      _=* | SHLVL=* | PWD=* | OLDPWD=* | TERM=* | *[$'\n\r']*) continue ;;
    esac
    pair=${pair//\\/\\\\}
    assigned+=("\"${pair//\"/\\\"}\"")
  done < <(/usr/bin/env -0 "COMPANION_WORKDIR=$PWD")
  options=(-f /companion/sshd/sshd_config -o "SetEnv ${assigned[*]}")
}
is_up() { grep -qE '^ *[0-9]+: [0-9A-F]+:08AE 0+:0000 0A ' /proc/net/tcp; } # port 2222 listens
if [ "${1:-}" = --sshd ]; then
  shift
  for _ in $(seq 200); do # until then, files of the home are missing and hooks run
    ! is_up || break
    sleep 0.05
  done
  is_up || { echo "agent: it is still starting" >&2; exit 1; }
  sshd_options
  exec /usr/sbin/sshd "$@" "${options[@]}"
fi

system_path

# Copies a directory's files into the home. A file is replaced only while it is what we put there last:
# the user's own changes stay.
overlay() {
  local from=$1 seen="$HOME/.companion-overlay" file relative target
  touch "$seen"
  while IFS= read -r -d '' file; do
    relative=${file#"$from/"}
    target="$HOME/$relative"
    if [ -e "$target" ] && ! grep -qxF "$(sha256sum <"$target")$relative" "$seen"; then
      continue
    fi
    if ! mkdir -p "$(dirname "$target")" || ! cp -f "$file" "$target"; then
      continue # what the agent put there is in the way
    fi
    echo "$(sha256sum <"$target")$relative" >>"$seen"
  done < <(find "$from" -type f -print0)
}

# What the user's settings bring; the agent gets a copy, and what it changes there stays here.
bring() {
  local unpacked
  [ -e /companion/brought/home.tar ] || return 0
  unpacked=$(mktemp -d)
  tar -xf /companion/brought/home.tar -C "$unpacked" --no-same-owner
  overlay "$unpacked"
  rm -rf "$unpacked"
}
if [ "${1:-}" = --bring ]; then
  bring
  exit
fi

if [ "${1:-}" = --root-hooks ]; then
  uid=$2
  shift 2
fi
# Without a gateway there is no gate to wait for.
if [ "${1:-}" = --no-gate ]; then
  gate=none
  shift
fi
for _ in $(seq 200); do
  [ -z "${gate:-}" ] || break
  (exec 3<>/dev/tcp/127.0.0.1/1) 2>/dev/null && gate=open && break
  sleep 0.05
done
[ "${gate:-}" ] || { echo "agent: the network gate did not open" >&2; exit 1; }

run_all() {
  for hook in "$1"/*; do
    [ -e "$hook" ] || continue
    echo "agent: running ${hook##*/}"
    bash "$hook"
  done
}

# The project's root hooks are all that root ever does here: what follows is the agent for good.
if [ "$uid" ]; then
  agent_home=$HOME
  export HOME=/root
  run_all "$lib/root-hooks"
  export HOME=$agent_home
  exec setpriv --reuid "$uid" --regid "$uid" --init-groups --inh-caps=-all --bounding-set=-all \
    env "${given[@]}" /bin/bash "$0" --no-gate "$@"
fi

# Names the MCP servers of agent.yaml in an agent's own settings in the home; entries that it has stay.
register() {
  local program=$1 settings="$HOME/$2" key=$3 new
  type -P "$program" >/dev/null || return 0
  [ -e "$settings" ] || { mkdir -p "$(dirname "$settings")" && echo '{}' >"$settings"; } || return 0
  new=$(jq --slurpfile add "$lib/mcp/$program.json" --arg key "$key" \
    '.[$key] = $add[0] + (.[$key] // {})' "$settings") || return 0
  printf '%s\n' "$new" >"$settings" || true
}

if [ -d "$lib/home" ]; then overlay "$lib/home"; fi
bring
if [ -d "$lib/mcp" ]; then
  register claude .claude.json mcpServers
  register opencode .config/opencode/opencode.json mcp
fi
program=$(type -P -- "$1") && set -- "$program" "${@:2}"
PATH=$agent_path
run_all "$lib/hooks"

# Each process reports how it ended: `wait -n` forgets one that ended before it was called.
exec 9<> <(:)
run() {
  local status=0
  "${@:2}" 9>&- || status=$?
  echo "$1 $status" >&9
}
if [ -e /companion/sshd/sshd_config ]; then
  sshd_options
  # All logins come from the gateway's address: penalties for one caller would shut out all.
  penalties=(-o PerSourcePenalties=no) # OpenSSH 9.8 and later
  /usr/sbin/sshd -t "${options[@]}" "${penalties[@]}" 2>/dev/null || penalties=()
  run sshd /usr/sbin/sshd -D -e "${options[@]}" "${penalties[@]}" &
fi
run command "$@" &
trap 'trap - TERM; kill 0; exit 0' TERM INT
read -r name status <&9
# The container ends as its command does. Without sshd nobody reaches the agent: that is a failure.
if [ "$name" = sshd ]; then
  echo "agent: sshd ended with exit code $status" >&2
  status=1
fi
exit "$status"
