#!/bin/bash
# Installs the Debian packages that are missing for a purpose, and says so; silent if none is.
# usage: packages.sh run|test|base|venv
set -euo pipefail

has() { command -v "$1" >/dev/null 2>&1; }
docker_answers() { has docker && docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

wanted() {
  local podman="podman netavark aardvark-dns runc catatonit"
  case $1 in
    run)
      has ssh || echo openssh-client
      has ip || echo iproute2
      docker_answers || has podman || echo "$podman"
      ;;
    test)
      wanted run
      has podman || echo "$podman"
      docker_answers || has dockerd || echo docker.io
      [ -x /usr/sbin/sshd ] || echo openssh-server
      has ps || echo procps
      has newuidmap && has slirp4netns && has fuse-overlayfs || echo uidmap slirp4netns fuse-overlayfs
      [ -x /usr/sbin/nginx ] || echo nginx
      has npm || echo nodejs npm
      has nvim || echo neovim
      has zsh || echo zsh
      has fish || echo fish
      has dbus-daemon || echo dbus
      has desktop-file-validate || echo desktop-file-utils
      if ! has Xvfb || ! has xfce4-panel || ! has dunst || ! has xdotool || ! has import; then
        echo "xvfb xdotool imagemagick xfce4-panel xfconf xfwm4 dunst adwaita-icon-theme fonts-dejavu-core"
      fi
      ;;
    base) has debootstrap || echo debootstrap ;;
    venv) echo python3-venv ;;
    *) echo "usage: packages.sh run|test|base|venv" >&2 && exit 2 ;;
  esac
}

mapfile -t packages < <(wanted "${1:-}" | tr ' ' '\n' | sort -u)
[ ${#packages[@]} -gt 0 ] || exit 0

install=(apt-get install -y -qq --no-install-recommends "${packages[@]}")
if ! has apt-get; then
  echo "missing: ${packages[*]} (Debian's names); install them and run this again" >&2
  exit 1
elif [ "$(id -u)" = 0 ]; then
  root=()
elif sudo -n true 2>/dev/null; then
  root=(sudo)
else
  echo "missing packages; run this and try again: sudo ${install[*]}" >&2
  exit 1
fi
echo "installing ${packages[*]}" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
if ! { "${root[@]}" apt-get update -qq && "${root[@]}" "${install[@]}"; } >"$log" 2>&1 </dev/null; then
  tail -n 5 "$log" >&2
  echo "the packages could not be installed: ${packages[*]}" >&2
  exit 1
fi
