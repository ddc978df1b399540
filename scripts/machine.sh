#!/bin/bash
# Runs a command on a fresh Debian machine: a bare tree in its own namespaces, removed afterwards.
# usage: machine.sh [--user] [--base] [--with FILE]… bookworm|trixie COMMAND [ARGUMENT…]
#
# The tree contains debootstrap's minbase, python3, make, git, ca-certificates and sudo, nothing else.
# COMMAND runs in ~/companion, a clone of this checkout's last commit, as root or, with --user, as an
# ordinary user who may use sudo. A copy of each FILE is in its home. With --base it finds the base
# images of the cache, as a registry would offer them; otherwise it builds its own. It has its own
# mounts, processes, host name, IPC, cgroups and network (slirp4netns), so engines run inside and this
# machine's firewall does not change. When COMMAND exits, everything inside is killed.
#
# Taken from this machine: the addresses of the Debian mirrors, apt's settings for proxies and clocks,
# pip's index settings, and CA certificates that are trusted in addition to Debian's.
#
# COMPANION_DEV_CACHE   directory for trees (kept a week) and packages; default /var/cache/companion-dev
# DEBIAN_MIRROR, DEBIAN_SECURITY_MIRROR   override the mirrors that apt is configured with
set -euo pipefail

# Not slirp4netns' default of 10.0.2.0/24: rootless engines inside the machine use that one.
readonly network=10.77.0
readonly account=ann
readonly week=7

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/namespaces.sh
. "$here/namespaces.sh"

die() { echo "machine.sh: $*" >&2; exit 2; }

# --- on this machine --------------------------------------------------------------------------------

# Makes the pristine tree of a release, unless the cache has a recent one.
pristine() {
  local suite=$1 tree=$cache/trees/$1
  mkdir -p "$cache/trees" "$cache/debs/$suite"
  exec 9>"$tree.lock"
  flock 9
  if [ -z "$(find "$tree.done" -mtime -$week 2>/dev/null)" ]; then
    echo "building a bare $suite tree" >&2
    rm -rf "$tree" "$tree.done"
    debian_tree "$suite" "$tree" "$tree.log" --cache-dir="$cache/debs/$suite" \
      --include=python3,make,git,ca-certificates,sudo
    touch "$tree.done"
  fi
  cp -a --reflink=auto "$tree" "$root"
  exec 9>&-
}

# Gives the tree what any machine at this place needs to reach the network.
network_settings() {
  local python authorities=(/usr/local/share/ca-certificates/*.crt)
  apt-config dump | grep -E '^Acquire::(Check-|Retries|https?::)' >"$root/etc/apt/apt.conf.d/90host" || true
  {
    echo "[global]"
    for python in "$checkout/.venv/bin/python" python3; do
      "$python" -m pip config list 2>/dev/null && break
    done |
      sed -nE "s/^[^=]*\.(index-url|extra-index-url|proxy|trusted-host)='([^']*)'$/\1 = \2/p" | grep -v file: | sort -u || true
    # pip brings authorities of its own; those of this machine are beside Debian's.
    [ ! -e "${authorities[0]}" ] || echo "cert = /etc/ssl/certs/ca-certificates.crt"
  } >"$root/etc/pip.conf"
  mkdir -p "$root/usr/local/share/ca-certificates"
  [ ! -e "${authorities[0]}" ] || cp "${authorities[@]}" "$root/usr/local/share/ca-certificates/"
  echo "nameserver $network.3" >"$root/etc/resolv.conf"
}

# Makes the machine's own tree: its name, its user, the clone.
furnish() {
  local name=fresh-$1 home=$root/root
  echo "$name" >"$root/etc/hostname"
  printf '127.0.0.1\tlocalhost\n127.0.1.1\t%s\n::1\tlocalhost ip6-localhost\n' "$name" >"$root/etc/hosts"
  chroot "$root" update-ca-certificates >/dev/null 2>&1
  if [ "$user" != root ]; then
    chroot "$root" useradd --create-home --shell /bin/bash "$user"
    echo "$user ALL=(ALL) NOPASSWD: ALL" >"$root/etc/sudoers.d/$user"
    home=$root/home/$user
  fi
  git clone --quiet --depth 1 "file://$checkout" "$home/companion"
  chroot "$root" chown -R "$user:" "${home#"$root"}/companion"
  local file
  for file in "${given[@]}"; do install -m 644 "$file" "$home/"; done
  [ -z "$base" ] || for file in "$cache"/{debian,node}.tar; do
    [ ! -s "$file" ] || install -D -m 644 -t "$root/var/cache/companion-dev" "$file"
  done
}

# Packages that apt downloaded in one machine serve the next: apt checks their hashes.
packages_in() { cp -ln "$cache/debs/$1"/*.deb "$root/var/cache/apt/archives/" 2>/dev/null || true; }
packages_out() { cp -ln "$root/var/cache/apt/archives"/*.deb "$cache/debs/$1/" 2>/dev/null || true; }

# Connects the machine as soon as it exists; lives as long as it does.
connect() {
  local pid
  read -r pid <"$work/pid"
  exec slirp4netns --configure --mtu=1500 --cidr=$network.0/24 --disable-host-loopback --ready-fd=3 \
    "$pid" tap0 3>"$work/online" >"$work/network.log" 2>&1
}

leave() {
  trap - EXIT
  [ -z "${machine:-}" ] || kill -KILL "$machine" 2>/dev/null || true # kills its first process, and with it all others
  [ -z "${machine:-}" ] || wait "$machine" 2>/dev/null || true
  [ -z "${connection:-}" ] || kill "$connection" 2>/dev/null || true
  remove_control_groups
  packages_out "$suite"
  rm -rf --one-file-system "$work"
}

outside() {
  [ "$(id -u)" = 0 ] ||
    exec sudo --preserve-env=COMPANION_DEV_CACHE,DEBIAN_MIRROR,DEBIAN_SECURITY_MIRROR bash "$0" "$@"
  user=root base='' given=()
  [ "${1:-}" != --user ] || { user=$account; shift; }
  [ "${1:-}" != --base ] || { base=yes; shift; }
  while [ "${1:-}" = --with ]; do given+=("$2"); shift 2; done
  case ${1:-} in bookworm | trixie) suite=$1; shift ;; *) sed -n '3p' "$0" >&2; exit 2 ;; esac
  [ $# -gt 0 ] || die "no command"
  checkout=$(dirname "$here")
  # shellcheck source=scripts/debian.sh
  . "$here/debian.sh"
  cache=${COMPANION_DEV_CACHE:-/var/cache/companion-dev}
  [ -z "$(git -C "$checkout" status --porcelain)" ] || echo "machine.sh: uncommitted changes are not in the clone" >&2
  bash "$here/packages.sh" machine
  mirrors
  work=$(mktemp -d /var/tmp/companion-machine.XXXXXX) root=$work/root
  chmod 755 "$work"
  trap leave EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  pristine "$suite"
  debian_sources "$suite" "$root"
  network_settings
  furnish "$suite"
  packages_in "$suite"
  mkfifo "$work/pid" "$work/online"
  control_groups >"$work/groups"
  connect &
  connection=$!
  {
    join_control_groups
    exec unshare --mount --uts --ipc --net --cgroup --pid --fork --kill-child \
      bash "$0" --inside "$work" "$user" "$@"
  } <&0 &
  machine=$!
  local code=0
  wait "$machine" || code=$?
  machine=
  exit "$code"
}

# --- inside the new namespaces ----------------------------------------------------------------------

inside() {
  work=$1 user=$2 root=$1/root
  shift 2
  local pid path=/usr/local/bin:/usr/bin:/bin runtime= # a user's; root's has the programs of /sbin, too
  mount --make-rprivate /
  read -r pid _ </proc/self/stat # still in the numbers of the machine around
  echo "$pid" >"$work/pid"
  read -rn 1 <"$work/online" || die "no network: $(cat "$work/network.log")"
  mount --bind "$root" "$root"
  mount -t proc proc "$root/proc"
  mount -t sysfs sysfs "$root/sys"
  control_group_mounts
  devices
  mount -t tmpfs -o mode=755 run "$root/run"
  mkdir "$root/run/lock" "$root/run/user"
  hostname "$(cat "$root/etc/hostname")"
  ip link set lo up
  mkdir "$root/.old"
  cd "$root"
  pivot_root . .old
  umount -l /.old
  rmdir /.old
  mount --make-rshared / # as systemd has it
  if [ "$user" = root ]; then
    path=$PATH
  else # as a login makes it
    runtime=XDG_RUNTIME_DIR=/run/user/$(id -u "$user")
    install -d -m 700 -o "$user" -g "$user" "${runtime#*=}"
  fi
  # Not exec: this shell stays as the first process and reaps what others leave.
  # shellcheck disable=SC2016,SC2086 # the inner shell's; nothing, if there is none
  env -i TERM="${TERM:-dumb}" setpriv --reuid "$user" --regid "$user" --init-groups --reset-env \
    env LANG=C.UTF-8 PATH="$path" $runtime bash -c 'cd ~/companion && exec "$@"' bash "$@"
}

if [ "${1:-}" = --inside ]; then
  shift
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  inside "$@"
else
  outside "$@"
fi
