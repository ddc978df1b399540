#!/bin/bash
# Tries, as the agent, what a sandbox must not let through, and leaves nothing behind. Prints a line
# for each try: its title, a tab, "open" or "held", and the last that was said. The titles of checks
# begin with "check": what must work, or the tries show nothing.
# usage: audit.sh all|inside BRIDGE PORT INGRESS [OTHER_SANDBOX...]
# Somebody listens on BRIDGE:PORT, TCP and UDP; the others are addresses of other sandboxes.
set -uo pipefail

parts=$1 bridge=$2 port=$3 ingress=$4
shift 4
others=("$@")
elsewhere=198.51.100.7 # TEST-NET-2: no such host anywhere
sinkhole=${COMPANION_ANSWER:-192.0.2.1} # what names resolve to; behind policies, the gateway itself
query='\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01'

# Takes the title, then the command that succeeds if it gets through.
try() {
  local title=$1 said outcome=held
  shift
  said=$("$@" 2>&1) && outcome=open
  printf '%s\t%s: %s\n' "$title" "$outcome" "$(tail -n 1 <<<"$said" | tr -d '\t' | cut -c1-120)"
}

dials() { timeout 3 bash -c "exec 3<>/dev/tcp/$1/$2" && echo "connected to $1:$2"; }

# Whether anybody speaks: without root the gateway takes the call of an agent, and hangs up on it.
answers() {
  timeout 3 bash -c "exec 3<>/dev/tcp/$1/$2 && echo x >&3 && head -c 1 <&3" | grep -q . && echo "$1:$2 answered"
}

# Two writes: the refusal of the first is reported at the second.
sends() { timeout 3 bash -c "exec 3<>/dev/udp/$1/$2; echo x >&3; sleep 0.2; echo x >&3" && echo "sent to $1:$2"; }

# Whether anybody but the gateway answers a request, however long; the arguments are curl's. Its own
# verdict does not count: an answer without an end is one, too.
fetches() {
  local said body
  said=$(curl --silent --insecure --noproxy '' --max-time 5 --write-out '\n%{http_code}' "$@" |
    { head -c 200 && tail -c 4; } | tr -d '\0')
  body=${said%$'\n'*}
  if [[ $body == "gateway: "* ]]; then
    echo "$body"
    return 1
  fi
  [[ ${said##*$'\n'} == [1-5]* ]] && echo "answered: ${body:-nothing}"
}

any() {
  local verb=$1 argument
  shift
  for argument; do "$verb" "$argument" && return; done
  return 1
}

# --- what the network must not let through

works() {
  curl --silent --max-time 5 --header 'Host:' "http://$sinkhole/" | grep -q '^gateway: '
}
resolves_in_the_world() {
  local address
  address=$(getent ahostsv4 "$1" | awk 'NR == 1 { print $1 }')
  [ "$address" ] && [ "$address" != "$sinkhole" ] && echo "$1 is $address"
}
asks_resolver() {
  local answer
  answer=$(timeout 3 bash -c "exec 3<>/dev/udp/$1/53; printf '$query' >&3; dd bs=512 count=1 <&3" 2>/dev/null |
    od -An -v -tx1 | tr -d ' \n')
  [ "$answer" ] && [[ $answer != *c0000201* ]] && echo "$1 answered"
}
# The size of a file in /proc is 0, whatever it holds.
has_ipv6() { grep . /proc/net/if_inet6; }
fetches_http() { fetches "http://$1/"; }
fetches_tls() { fetches --resolve "$1:443:$sinkhole" "https://$1/"; }
fetches_tls_address() { fetches "https://$1/"; }
reaches_sandbox() { answers "$1" 2222 || fetches "http://$1/" || fetches "http://$1:2222/"; }

network() {
  try "check: the gateway answers" works
  try "TCP to another host" dials "$elsewhere" "$port"
  try "TCP to the desktop" dials "$bridge" "$port"
  try "the desktop's services over HTTP" any fetches "http://$bridge/" "http://$bridge:$port/" \
    "http://host.containers.internal:$port/"
  try "UDP to the desktop" sends "$bridge" "$port"
  try "UDP, QUIC or NTP to another host" any_udp
  try "ICMP to the desktop, the gateway or another host" any pings "$bridge" "$ingress" "$elsewhere"
  try "IPv6" has_ipv6
  try "the cloud metadata address" any fetches_http 169.254.169.254 100.100.100.200
  try "the local network over HTTP" any fetches_http 10.0.0.1 172.16.0.1 192.168.0.1 192.168.1.1 100.64.0.1
  try "the local network over TLS" any fetches_tls_address 10.0.0.1 192.168.0.1 192.168.1.1
  try "the gateway itself, by a name that resolves to it" any fetches_http 127.0.0.1 localhost 0.0.0.0
  try "a private name over TLS" any fetches_tls localhost
  try "the local network through the gateway as a proxy" \
    fetches --proxy "http://$sinkhole:80" http://192.168.0.1/
  try "a tunnel through the gateway (CONNECT)" \
    fetches --proxytunnel --proxy "http://$sinkhole:80" https://192.168.0.1/
  try "an answer to TRACE" fetches --request TRACE "http://$sinkhole/"
  try "two names in one request" fetches --header 'Host: a.invalid' --header 'host: b.invalid' \
    "http://$sinkhole/"
  try "public names, by DNS" any resolves_in_the_world example.com "x$RANDOM.example.org"
  try "another resolver" any asks_resolver "$elsewhere" 127.0.0.11 "$bridge"
  try "the gateway's SSH ingress" answers "$ingress" 2222
  try "other sandboxes" any reaches_sandbox "${others[@]}"
}
# An echo that is answered; without a capability by the kind of socket that needs none.
pings() {
  perl -MSocket -e '
    my $echo = pack("C2n3a8", 8, 0, 0, 7, 1, "audit");
    my $sum = unpack("%32n*", $echo);
    $sum = ($sum >> 16) + ($sum & 0xffff) while $sum >> 16;
    substr($echo, 2, 2) = pack("n", ~$sum & 0xffff);
    socket(S, PF_INET, SOCK_DGRAM, 1) or socket(S, PF_INET, SOCK_RAW, 1) or exit 1;
    send(S, $echo, 0, sockaddr_in(0, inet_aton(shift))) or exit 1;
    vec(my $there, fileno(S), 1) = 1;
    exit !(select($there, undef, undef, 2) && defined recv(S, $echo, 99, 0))' "$1" && echo "$1 answered"
}
any_udp() { sends "$elsewhere" 443 || sends "$elsewhere" 123 || sends "$elsewhere" 4433; }

# --- what the container must not let through

status_is() { grep -E "^$1:[[:space:]]*$2\$" /proc/self/status; }
has_capability() { grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb):.*[1-9a-f]' /proc/self/status; }
is_root() { [ "$(id -u)" = 0 ] && id; }
becomes_root() { [ "$(timeout 3 "$@" </dev/null 2>/dev/null)" = 0 ] && echo "by $1"; }
by_program() { becomes_root su -c "id -u" || becomes_root sudo -n id -u; }
gets_namespace() { unshare --user --map-root-user true && echo "a user namespace"; }
changes_cage() {
  timeout 5 unshare --user --map-root-user --mount bash -c '
    { mount -o remount,bind,rw /companion/sshd && : >>/companion/sshd/sshd_config; } ||
    { mount -o remount,bind,rw /etc/resolv.conf && : >>/etc/resolv.conf; } ||
    : >/proc/sys/net/ipv4/ip_forward'
}
mounts() {
  local said
  said=$(mount -t tmpfs none /mnt 2>&1) && umount /mnt && return
  head -n 1 <<<"$said"
  return 1
}
writes() {
  local file="$1/.companion-audit"
  (: >"$file") && rm -f "$file" && echo "wrote to $1"
}
opens_to_write() { [ -e "$1" ] && (exec 3>>"$1") && echo "could write $1"; }
reads() { [ -r "$1" ] && timeout 2 head -c 1 "$1" >/dev/null && echo "read $1"; }
reads_kernel() {
  local message
  any reads /dev/mem /dev/kmem /proc/kcore && return
  message=$(dmesg 2>/dev/null | head -n 1)
  [ "$message" ] && echo "$message"
}
has_socket() { [ -S "$1" ] && echo "$1"; }
has_disk() {
  local disk
  disk=$(find /dev -type b -print -quit)
  [ "$disk" ] && head -c 1 "$disk" >/dev/null && echo "$disk"
}
makes_device() { mknod /tmp/.companion-audit b 8 0 && rm -f /tmp/.companion-audit; }
socketcall=f0VMRgEBAQAAAAAAAAAAAAIAAwABAAAAVIAECDQAAAAAAAAAAAAAADQAIAABAAAAAAAAAAEAAAAAAAAAAIAECACABAiKAAAAigAAAAcAAAAAEAAAuGYAAAC7AQAAALl+gAQIzYCFwHgJMdu4AQAAAM2AuwEAAAC4AQAAAM2AKAAAAAEAAAAAAAAA
# The numbers of families are the kernel's: 40 is vsock, which no network namespace holds.
makes_socket() {
  perl -e 'for (@ARGV) { for my $kind (1, 2, 3) { socket(my $s, $_, $kind, 0) and print("family $_\n"), exit } } exit 1' "$@"
}
makes_ring() { perl -e 'exit !(syscall(425, 1, my $parameters = "\0" x 120) >= 0)' && echo "io_uring"; }
# A program of 32 bits that asks for a vsock socket by socketcall(2), whose arguments are in memory,
# where no filter reads them: any program can change to 32 bits.
makes_socket_by_32_bits() {
  local program=/tmp/.companion-audit said
  base64 -d >"$program" <<<"$socketcall" && chmod +x "$program"
  said=$("$program" 2>&1) && said="family 40"
  rm -f "$program"
  echo "$said"
  [ "$said" = "family 40" ]
}
has_proxy() { { env; tr '\0' '\n' </proc/1/environ || true; } 2>/dev/null | grep -iE '^[a-z]+_proxy=.'; }
knows_names() {
  grep -vE '^[[:space:]]*(#|$)' /etc/hosts |
    grep -vwE "localhost|ip6-[a-z]+|host\.(containers|docker)\.internal|$(hostname)"
}
lists() { [ -d "$1" ] && find "$1" -mindepth 1 | grep .; }

inside() {
  try "running as root" is_root
  try "a capability" has_capability
  try "privileges from a setuid program" status_is NoNewPrivs 0
  try "root through su or sudo" by_program
  try "unfiltered system calls" status_is Seccomp 0
  try "a socket to virtual machines and their host (vsock)" makes_socket 40
  try "the same by 32-bit system calls" makes_socket_by_32_bits
  try "a socket of another family" makes_socket {3..9} {11..15} {17..39} {41..46}
  try "io_uring" makes_ring
  try "root in a user namespace" gets_namespace
  try "changing the sandbox as root of a user namespace" changes_cage
  try "mounting a file system" mounts
  try "writing to the system" any writes / /bin /etc /lib /opt /root /sbin /usr /usr/local/bin /var/lib
  try "kernel settings" any opens_to_write /proc/sysrq-trigger /proc/sys/kernel/core_pattern \
    /sys/kernel/uevent_helper /sys/power/state
  try "kernel memory and messages" reads_kernel
  try "a disk of the desktop" has_disk
  try "creating a device" makes_device
  try "an engine's socket" any has_socket /run/docker.sock /var/run/docker.sock \
    /run/podman/podman.sock /run/containerd/containerd.sock /run/crio/crio.sock
  try "changing who may log in" any opens_to_write /companion/sshd/authorized_keys /companion/sshd/sshd_config
  try "changing the resolver" opens_to_write /etc/resolv.conf
  try "the gateway's secrets" lists /companion/secrets
  try "the desktop's proxy" has_proxy
  try "names of the desktop's /etc/hosts" knows_names
}

[ "$parts" = all ] && network
inside
