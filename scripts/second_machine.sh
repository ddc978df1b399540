#!/bin/bash
# A second machine for the tests of remote engines: it has a network, mounts, processes and control groups
# of its own, and in them sshd, dockerd and Podman's service. Files of this machine are not visible there,
# except programs and a copy of /etc. Needs root.
#
#   second_machine.sh start         starts it unless it runs; prints the exports that tests need:
#     SECOND_MACHINE_SSH     directory with ssh_config (host `second`), known_hosts, id, and `bin/ssh`, which uses them
#     SECOND_MACHINE_DOCKER  value for DOCKER_HOST
#     SECOND_MACHINE_PODMAN  value for CONTAINER_HOST, with CONTAINER_SSHKEY=$SECOND_MACHINE_SSH/id
#   second_machine.sh running       succeeds if it runs
#   second_machine.sh exec CMD…     runs a command in it
#   second_machine.sh stop          kills everything in it; its images stay in the cache
#
# COMPANION_SECOND_MACHINE   its name, for several machines at once; default "second"
# COMPANION_DEV_CACHE        directory for its images; default /var/cache/companion-dev
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/namespaces.sh
. "$here/namespaces.sh"

name=${COMPANION_SECOND_MACHINE:-second}
number=$(($(cksum <<<"$name" | cut -d' ' -f1) % 250 + 1))
subnet=10.213.$number
disk=${COMPANION_DEV_CACHE:-/var/cache/companion-dev}/machines/$name
work=/run/companion-dev/$name root=$work/root

die() { echo "second_machine.sh: $*" >&2; exit 1; }

# --- on this machine --------------------------------------------------------------------------------

runs() { [ -s "$work/machine" ] && kill -0 "$(cat "$work/machine")" 2>/dev/null; }

# Prints the number of the machine's first process, as this machine counts.
first_process() { pgrep -P "$(cat "$work/machine")" | head -n 1; }

inside() { # CMD…
  nsenter --target "$(first_process)" --mount --uts --ipc --net --pid --cgroup --root -- \
    env -i -C / PATH="$PATH" HOME=/root LANG=C.UTF-8 "$@"
}

keys() {
  mkdir -p "$work/ssh/bin"
  ln -s ssh "$work/.ssh" # podman's client looks for known_hosts in HOME
  ssh-keygen -q -t ed25519 -N '' -C '' -f "$work/ssh/id"
  local type
  for type in ed25519 ecdsa; do # podman 4 asks for ecdsa first
    ssh-keygen -q -t $type -N '' -C '' -f "$work/ssh/host_$type"
    sed "s/^/$subnet.2 /" "$work/ssh/host_$type.pub" >>"$work/ssh/known_hosts"
  done
  cat >"$work/ssh/ssh_config" <<CONF
Host second $subnet.2
  HostName $subnet.2
  User root
  IdentityFile $work/ssh/id
  IdentitiesOnly yes
  UserKnownHostsFile $work/ssh/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
CONF
  # OpenSSH ignores HOME, so tests put this program before the real one.
  printf '#!/bin/sh\nexec /usr/bin/ssh -F %q "$@"\n' "$work/ssh/ssh_config" >"$work/ssh/bin/ssh"
  chmod 755 "$work/ssh/bin/ssh"
}

start() {
  stop
  mkdir -p "$root" "$disk"/{docker,containers}
  keys
  mkfifo "$work/pid" "$work/online"
  control_groups | sed "s/companion-$$\$/companion-$name/" >"$work/groups"
  remove_control_groups # of a machine that was killed
  {
    join_control_groups
    exec unshare --mount --uts --ipc --net --cgroup --pid --fork --kill-child \
      bash "$0" inside
  } </dev/null >"$work/log" 2>&1 &
  echo $! >"$work/machine"
  local pid
  read -r pid <"$work/pid"
  slirp4netns --configure --mtu=1500 --disable-host-loopback "$pid" tap0 >"$work/network.log" 2>&1 </dev/null &
  echo $! >"$work/slirp"
  ip link add "cmp-$number" type veth peer name eth0 netns "$pid"
  ip addr add "$subnet.1/24" dev "cmp-$number"
  ip link set "cmp-$number" up
  inside ip addr add "$subnet.2/24" dev eth0
  inside ip link set eth0 up
  echo >"$work/online"
  local _
  for _ in $(seq 300); do
    ! answers || { images; touch "$work/ready"; return; }
    runs || break
    sleep 0.1
  done
  tail -n 5 "$work/log" >&2
  die "the second machine did not start"
}

answers() {
  "$work/ssh/bin/ssh" second 'docker version && podman --url unix:///run/podman/podman.sock version' >"$work/answer" 2>&1
}

images() {
  local engine
  for engine in docker podman; do
    PATH=$work/ssh/bin:$PATH DOCKER_HOST=ssh://root@$subnet.2 \
      CONTAINER_HOST=ssh://root@$subnet.2:22/run/podman/podman.sock CONTAINER_SSHKEY=$work/ssh/id \
      HOME=$work bash "$here/base-images.sh" $engine >/dev/null
  done
}

stop() {
  local pid _
  while read -r pid; do
    kill -KILL "$pid" 2>/dev/null || continue # the machine's first process ends with it, and all others
    for _ in $(seq 100); do
      [ -e "/proc/$pid" ] || break
      sleep 0.05
    done
  done < <(cat "$work/machine" "$work/slirp" 2>/dev/null)
  remove_control_groups
  rm -rf --one-file-system "$work"
}

# --- inside the new namespaces ----------------------------------------------------------------------

tree() {
  local path
  mount -t tmpfs -o mode=755 second "$root"
  cp -a --parents /etc "$root"
  mkdir "$root"/{usr,proc,sys,dev,run,tmp,var,home,root,mnt,opt,srv}
  mount --rbind /usr "$root/usr"
  mount -o remount,bind,ro "$root/usr"
  for path in /bin /sbin /lib /lib32 /lib64 /libx32; do
    [ ! -L "$path" ] || cp -a "$path" "$root/"
  done
  mkdir -p "$root"/var/{lib/{docker,containers},log,tmp} "$root/run/sshd" "$root/root/.ssh"
  ln -s /run "$root/var/run"
  chmod 1777 "$root/tmp" "$root/var/tmp"
  mount --bind "$disk/docker" "$root/var/lib/docker"
  mount --bind "$disk/containers" "$root/var/lib/containers"
  mount -t proc proc "$root/proc"
  mount -t sysfs sysfs "$root/sys"
  control_group_mounts
  devices
}

settings() {
  hostname "$name"
  echo "$name" >"$root/etc/hostname"
  printf '127.0.0.1\tlocalhost\n127.0.1.1\t%s\n' "$name" >"$root/etc/hosts"
  rm -f "$root/etc/resolv.conf" "$root"/etc/ssh/ssh_host_* "$root/etc/docker/daemon.json"
  echo "nameserver 10.0.2.3" >"$root/etc/resolv.conf"
  cp "$work"/ssh/host_* "$root/etc/ssh/"
  cp "$work/ssh/id.pub" "$root/root/.ssh/authorized_keys"
  chmod -R go= "$root/root" "$root"/etc/ssh/host_*
  mkdir -p "$root/etc/containers"
  cat >"$root/etc/containers/containers.conf" <<'CONF'
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
[network]
network_backend = "netavark"
CONF
}

boot() {
  local pid
  mount --make-rprivate /
  read -r pid _ </proc/self/stat # still in the numbers of the machine around
  echo "$pid" >"$work/pid"
  read -r <"$work/online"
  tree
  settings
  ip link set lo up
  mkdir "$root/.old"
  cd "$root"
  pivot_root . .old
  umount -l /.old
  rmdir /.old
  mount --make-rshared /
  echo 1 >/proc/sys/net/ipv4/ip_forward
  unset DOCKER_HOST CONTAINER_HOST CONTAINERS_CONF CONTAINERS_STORAGE_CONF
  HOME=/root
  dockerd >/var/log/dockerd.log 2>&1 &
  mkdir -p /run/podman
  podman system service --time 0 unix:///run/podman/podman.sock >/var/log/podman.log 2>&1 &
  /usr/sbin/sshd -D -e -f /dev/null -o UsePAM=no -o PermitRootLogin=yes -o MaxStartups=200 -o MaxSessions=200 \
    -o HostKey=/etc/ssh/host_ed25519 -o HostKey=/etc/ssh/host_ecdsa >/var/log/sshd.log 2>&1 &
  while :; do wait || true; sleep 1; done # the first process reaps what others leave
}

[ "$(id -u)" = 0 ] || die "needs root"
case ${1:-} in
  start)
    if ! runs || [ ! -e "$work/ready" ]; then # not ready: its start was killed
      bash "$here/packages.sh" machine
      start
    fi
    printf 'export SECOND_MACHINE_%s=%q\n' SSH "$work/ssh" DOCKER "ssh://root@$subnet.2" \
      PODMAN "ssh://root@$subnet.2:22/run/podman/podman.sock"
    ;;
  running) runs && [ -e "$work/ready" ] ;;
  exec) shift; inside "$@" ;;
  stop) stop ;;
  inside) boot ;;
  *) sed -n '6,13p' "$0" >&2; exit 2 ;;
esac
