#!/bin/bash
# Installs the Debian packages that are missing for a purpose; silent if none is missing.
# usage: packages.sh run|docker|test|base|venv|bundle|machine|kubernetes
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin # ordinary users have the system's programs, too, but not in PATH

has() { command -v "$1" >/dev/null 2>&1; }
offered() { apt-cache show "$1" >/dev/null 2>&1; }
docker_answers() { has docker && docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }
can_make_venvs() { python3 -c 'import ensurepip' 2>/dev/null; }
python_name() { python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])'; }
has_python_library() {
  .venv/bin/python -c 'import ctypes, sysconfig as s; ctypes.CDLL(f"{s.get_config_var("LIBDIR")}/{s.get_config_var("INSTSONAME")}")' 2>/dev/null ||
    ldconfig -p | grep -q "lib$(python_name)\.so"
}
is_root() { [ "$(id -u)" = 0 ]; }

# Prints packages to install unless a condition holds: need PACKAGE… -- WHY -- CONDITION…
# The condition is a program, paths of which one must exist, or one of the functions above.
need() {
  local names=()
  while [ "$1" != -- ]; do names+=("$1"); shift; done
  shift 3
  if [[ $1 = /* ]]; then there "$@"; elif declare -F "$1" >/dev/null; then "$1"; else has "$1"; fi ||
    printf '%s\n' "${names[@]}"
}
there() { for path in "$@"; do [ ! -e "$path" ] || return 0; done; return 1; }

for_podman() {
  need podman -- "the engine" -- podman
  need runc -- "starts podman's containers, even with hybrid cgroups or without permission to raise limits" -- runc
  need catatonit -- "the first process of each container (--init)" -- /usr/libexec/podman/catatonit /usr/bin/catatonit
  need netavark -- "creates podman's networks" -- /usr/lib/podman/netavark /usr/libexec/podman/netavark
  need aardvark-dns -- "resolves names in podman's networks" -- /usr/lib/podman/aardvark-dns /usr/libexec/podman/aardvark-dns
  need iptables -- "netavark in Debian 12 writes its rules with it" -- iptables
  need nftables -- "netavark since Debian 13 writes its rules with it" -- nft
}

for_rootless() {
  need uidmap -- "gives podman the IDs that /etc/subuid grants to a user" -- newuidmap
  need slirp4netns -- "the network of a user's containers, for podman 4" -- slirp4netns
  need passt -- "the network of a user's containers, for podman 5" -- pasta
  # Without a storage.conf, podman 4 in Debian 12 copies the whole image for each layer (vfs).
  [ -e /etc/containers/storage.conf ] || ! offered containers-storage ||
    need containers-storage -- "provides the storage.conf that selects overlay" -- /usr/share/containers/storage.conf
}

for_docker() {
  need docker.io -- "the other engine" -- dockerd
  ! offered docker-cli ||
    need docker-cli -- "docker's client, split from docker.io in Debian 13" -- docker
}

for_run() {
  need openssh-client -- "logs in to sandboxes" -- ssh
  need iproute2 -- "lists this machine's routes" -- ip
  docker_answers || for_podman
  is_root || docker_answers || for_rootless
}

for_test() {
  for_run
  for_podman
  for_rootless # a test creates a user
  docker_answers || for_docker
  need openssh-server -- "checks keys and logins" -- /usr/sbin/sshd
  need procps -- "tests look for leftover processes" -- ps
  need strace -- "tests kill Companion at a given system call" -- strace
  need curl -- "requests upstreams from this machine" -- curl
  need fuse-overlayfs -- "overlay for a test's user without a storage.conf" -- fuse-overlayfs
  need nginx -- "a second kind of upstream" -- /usr/sbin/nginx
  need nodejs npm -- "runs VS Code's settings parser" -- npm
  need neovim -- "an editor on a terminal" -- nvim
  need tmux -- "a terminal for companion top" -- tmux
  need chromium -- "a browser for forwarded ports" -- chromium
  need zsh -- "completes commands" -- zsh
  need fish -- "completes commands" -- fish
  need dbus -- "a session bus for the tray" -- dbus-daemon
  need gnome-keyring -- "a desktop's keychain" -- gnome-keyring-daemon
  need desktop-file-utils -- "checks the autostart entry" -- desktop-file-validate
  need xvfb -- "a screen for the tray" -- Xvfb
  need xfce4-panel xfconf xfwm4 adwaita-icon-theme fonts-dejavu-core -- "a panel that shows the tray" -- xfce4-panel
  need dunst -- "shows notifications" -- dunst
  need xdotool -- "clicks" -- xdotool
  need imagemagick -- "takes screenshots" -- import
}

for_base() {
  need debootstrap -- "builds base images where no registry can be reached" -- debootstrap
  need debian-archive-keyring -- "verifies the signatures of Debian's packages" -- /usr/share/keyrings/debian-archive-keyring.gpg
}

for_venv() {
  need python3-venv -- "creates virtual environments; not part of Debian's python3" -- can_make_venvs
}

for_bundle() {
  need binutils -- "finds and strips libraries" -- objdump
  need patchelf -- "removes search paths of the build machine from libraries" -- patchelf
  need "lib$(python_name)" -- "Python as a library, which Debian's python3 has inside" -- has_python_library
}

for_machine() {
  for_base
  need slirp4netns -- "a fresh machine's network" -- slirp4netns
  need iproute2 -- "a fresh machine's loopback device" -- ip
}

for_kubernetes() {
  need dpkg-dev -- "unpacks the source of Kubernetes" -- dpkg-source
  need debian-archive-keyring -- "verifies the signatures of Debian's packages" -- /usr/share/keyrings/debian-archive-keyring.gpg
  need openssl -- "makes the cluster's certificates" -- openssl
  need iproute2 -- "the node's network" -- ip
  need iptables -- "the cluster's Services and policies" -- iptables
  need conntrack -- "kube-proxy forgets connections with it" -- conntrack
  need curl -- "asks whether the API server is there" -- curl
  need procps -- "finds the node's first process" -- pgrep
}

case ${1:-} in
  run | docker | test | base | venv | bundle | machine | kubernetes) purpose=for_$1 ;;
  *) sed -n '3s/^# //p' "$0" >&2; exit 2 ;;
esac
missing() { $purpose | sort -u; }
mapfile -t packages < <(missing)
[ ${#packages[@]} -gt 0 ] || exit 0

root=()
if ! has apt-get; then
  echo "missing: ${packages[*]} (Debian package names); install them and try again" >&2
  exit 1
elif ! is_root; then
  sudo -n true 2>/dev/null ||
    { echo "missing packages; run this and try again: sudo apt-get install --no-install-recommends ${packages[*]}" >&2; exit 1; }
  root=(sudo)
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed() { tail -n 5 "$log" >&2; echo "could not install packages: ${packages[*]}" >&2; exit 1; }
apt() { "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get "$@" >"$log" 2>&1 </dev/null || failed; }
apt update -qq
mapfile -t packages < <(missing) # now that apt knows what this release offers
echo "installing ${packages[*]}" >&2
apt install -y -qq --no-install-recommends "${packages[@]}"
