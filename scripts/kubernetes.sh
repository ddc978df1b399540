#!/bin/bash
# A cluster of one node for tests: the real Kubernetes 1.20, containerd and a registry, in namespaces and
# control groups of their own. DNS and the enforcement of NetworkPolicies are stand-ins. Needs root.
#
#   kubernetes.sh build                 builds its programs once (see kubernetes/build.sh); prints where they are
#   kubernetes.sh start                 starts it unless it runs, and prints the exports that tests need
#     KUBERNETES_CONFIG    kubeconfig of an administrator; user.conf beside it is of a user without rights
#     KUBERNETES_REGISTRY  the registry from which the node pulls, by HTTP
#     KUBERNETES_KUBECTL   kubectl of the same version
#   kubernetes.sh running               succeeds if it runs
#   kubernetes.sh exec CMD…             runs a command on the node
#   kubernetes.sh enforce yes|no        whether NetworkPolicies have an effect; at first they have
#   kubernetes.sh stop                  kills everything in it
#
# COMPANION_DEV_CACHE   directory for what is built; default /var/cache/companion-dev
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/namespaces.sh
. "$here/namespaces.sh"

subnet=10.213.251
cache=${COMPANION_DEV_CACHE:-/var/cache/companion-dev}/kubernetes
programs=$cache/$(cat "$here"/kubernetes/{build.sh,pause.go,archive.py} | sha256sum | cut -c1-16)
work=/run/companion-dev/kubernetes root=$work/root
registry=$subnet.2:5000

die() { echo "kubernetes.sh: $*" >&2; exit 1; }

# --- on this machine --------------------------------------------------------------------------------

runs() { [ -s "$work/machine" ] && kill -0 "$(cat "$work/machine")" 2>/dev/null; }
first_process() { pgrep -P "$(cat "$work/machine")" | head -n 1; }
admin() { "$programs/bin/kubectl" --kubeconfig "$work/pki/admin.conf" "$@"; }

inside() { # CMD…
  nsenter --target "$(first_process)" --mount --uts --ipc --net --pid --cgroup --root -- \
    env -i -C / PATH="/opt/kubernetes/bin:$PATH" HOME=/root LANG=C.UTF-8 "$@"
}

alone() { # one that starts would end what another one is starting
  mkdir -p "${work%/*}"
  exec 8>"$work.lock"
  flock 8
}

build() {
  bash "$here/packages.sh" kubernetes
  [ -d "$programs" ] || bash "$here/kubernetes/build.sh" "$programs" >&2
  echo "$programs"
}

start() {
  stop
  mkdir -p "$root" "$cache/registry"
  bash "$here/kubernetes/pki.sh" "$work/pki" "$subnet.2"
  mkfifo "$work/pid" "$work/online"
  control_groups | sed "s/companion-$$\$/companion-kubernetes/" >"$work/groups"
  remove_control_groups # of a machine that was killed
  {
    join_control_groups
    exec unshare --mount --uts --ipc --net --cgroup --pid --fork --kill-child \
      bash "$0" inside
  } </dev/null >"$work/log" 2>&1 8>&- &
  echo $! >"$work/machine"
  local pid _
  read -r pid <"$work/pid"
  ip link add cmp-kubernetes type veth peer name eth0 netns "$pid"
  ip addr add "$subnet.1/24" dev cmp-kubernetes
  ip link set cmp-kubernetes up
  nsenter --target "$pid" --net ip addr add "$subnet.2/24" dev eth0
  nsenter --target "$pid" --net ip link set eth0 up
  echo >"$work/online"
  for _ in $(seq 400); do
    ! is_ready || { touch "$work/ready"; return; }
    runs || break
    sleep 0.3
  done
  tail -n 5 "$work/log" "$work"/logs/*.log >&2
  die "the cluster did not start"
}

is_ready() {
  admin wait --for=condition=Ready node/node --timeout=0 >/dev/null 2>&1 &&
    admin get serviceaccount default >/dev/null 2>&1
}

stop() {
  local pid _
  pid=$(cat "$work/machine" 2>/dev/null || true)
  if [ "$pid" ] && kill -KILL "$pid" 2>/dev/null; then # its first process ends with it, and all others
    for _ in $(seq 100); do
      [ -e "/proc/$pid" ] || break
      sleep 0.05
    done
  fi
  remove_control_groups
  rm -rf --one-file-system "$work" "$cache/node"
}

# --- inside the new namespaces ----------------------------------------------------------------------

tree() {
  local path
  mount -t tmpfs -o mode=755 kubernetes "$root"
  cp -a --parents /etc "$root"
  mkdir -p "$root"/{usr,proc,sys,dev,run,tmp,var/log,home,root,mnt,opt/kubernetes,srv} "$root$work"/{pki,logs}
  mount --rbind /usr "$root/usr"
  mount -o remount,bind,ro "$root/usr"
  for path in /bin /sbin /lib /lib32 /lib64 /libx32; do
    [ ! -L "$path" ] || cp -a "$path" "$root/"
  done
  ln -s /run "$root/var/run"
  chmod 1777 "$root/tmp"
  mkdir -p "$cache/node" "$work/logs" "$root/var/lib" "$root/var/registry"
  mount --bind "$cache/node" "$root/var/lib" # layers of images: not in memory
  mount --bind "$cache/registry" "$root/var/registry"
  mount --bind "$programs" "$root/opt/kubernetes"
  mount --bind "$work/pki" "$root$work/pki"
  mount --bind "$work/logs" "$root$work/logs"
  cp -a "$here/kubernetes" "$root/opt/scripts"
  mount -t proc proc "$root/proc"
  mount -t sysfs sysfs "$root/sys"
  control_group_mounts
  devices
}

boot() {
  local pid
  mount --make-rprivate /
  read -r pid _ </proc/self/stat # still in the numbers of the machine around
  echo "$pid" >"$work/pid"
  read -r <"$work/online"
  tree
  hostname node
  rm -f "$root/etc/resolv.conf" "$root/etc/hosts"
  printf '127.0.0.1 localhost\n%s node\n' "$subnet.2" >"$root/etc/hosts"
  echo "nameserver $subnet.2" >"$root/etc/resolv.conf"
  ip link set lo up
  ip route add default via "$subnet.1" # a node has one; what leaves it ends there
  mkdir "$root/.old"
  cd "$root"
  pivot_root . .old
  umount -l /.old
  rmdir /.old
  mount --make-rshared /
  export HOME=/root PATH=/opt/kubernetes/bin:$PATH
  exec bash /opt/scripts/node.sh "$subnet.2" "$work/pki" "$work/logs"
}

[ "$(id -u)" = 0 ] || die "needs root"
case ${1:-} in
  build) build ;;
  start)
    alone
    if ! runs || [ ! -e "$work/ready" ]; then # not ready: its start was killed
      build >/dev/null
      start
    fi
    printf 'export KUBERNETES_%s=%q\n' CONFIG "$work/pki/admin.conf" REGISTRY "$registry" \
      KUBECTL "$programs/bin/kubectl"
    ;;
  running) runs && [ -e "$work/ready" ] ;;
  exec) shift; inside "$@" ;;
  enforce)
    if [ "${2:-}" = yes ]; then inside rm -f /run/unenforced; else inside touch /run/unenforced; fi
    ;;
  stop) alone; stop ;;
  inside) boot ;;
  *) sed -n '5,15p' "$0" >&2; exit 2 ;;
esac
