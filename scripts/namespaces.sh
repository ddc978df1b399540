#!/bin/bash
# Functions for machines in namespaces of their own; sourced by machine.sh and second_machine.sh.
#   work   the machine's directory on this machine: `groups` there lists its control groups
#   root   the machine's file system
# shellcheck disable=SC2154 # work, root: the caller's
true

# Prints a directory for this machine below the caller's own in each hierarchy of control groups.
control_groups() {
  local hierarchy name mine
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    echo "/sys/fs/cgroup/companion-$$"
    return
  fi
  for hierarchy in /sys/fs/cgroup/*/; do
    name=$(basename "$hierarchy")
    case $name in
      unified) mine=$(sed -n 's/^0:://p' /proc/self/cgroup) ;;
      systemd) mine=$(sed -n 's/^[0-9]*:name=systemd://p' /proc/self/cgroup) ;;
      *) mine=$(sed -n "s/^[0-9]*:$name://p" /proc/self/cgroup) ;;
    esac
    [ -z "$mine" ] || echo "${hierarchy%/}${mine%/}/companion-$$"
  done
}

join_control_groups() {
  local group file
  while read -r group; do
    mkdir "$group"
    for file in cpuset.cpus cpuset.mems; do # an empty set takes no process
      [ ! -e "$group/$file" ] || cat "$group/../$file" >"$group/$file"
    done
    [ ! -e "$group/cgroup.clone_children" ] || echo 1 >"$group/cgroup.clone_children"
    echo "$BASHPID" >"$group/cgroup.procs"
  done <"$work/groups"
}

# Removes the control groups, once nothing runs in them.
remove_control_groups() {
  local group
  for _ in $(seq 100); do # the kernel takes a moment to empty the groups
    while read -r group; do
      [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done < <(cat "$work/groups" 2>/dev/null)
    [ -n "$(xargs -r ls -d 2>/dev/null <"$work/groups")" ] || break
    sleep 0.1
  done
}

control_group_mounts() {
  local top=$root/sys/fs/cgroup name
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount -t cgroup2 cgroup2 "$top"
    mkdir "$top/init" # a group that holds processes cannot delegate controllers
    echo 1 >"$top/init/cgroup.procs"
    sed 's/[^ ]*/+&/g' "$top/cgroup.controllers" >"$top/cgroup.subtree_control" || true
    return
  fi
  mount -t tmpfs -o mode=755 cgroup "$top"
  for name in /sys/fs/cgroup/*/; do
    name=$(basename "$name")
    mkdir "$top/$name"
    case $name in
      unified) mount -t cgroup2 cgroup2 "$top/$name" ;;
      systemd) mount -t cgroup -o none,name=systemd cgroup "$top/$name" ;;
      *) mount -t cgroup -o "$name" cgroup "$top/$name" ;;
    esac
  done
}

devices() {
  local name major minor
  mount -t tmpfs -o mode=755 dev "$root/dev"
  mkdir "$root"/dev/{pts,shm,mqueue,net}
  while read -r name major minor; do
    mknod -m 666 "$root/dev/$name" c "$major" "$minor"
  done <<'LIST'
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
fuse 10 229
net/tun 10 200
LIST
  mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$root/dev/pts"
  mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
  mount -t mqueue mqueue "$root/dev/mqueue"
  ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"
  for name in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${name%:*}" "$root/dev/${name#*:}"; done
}
