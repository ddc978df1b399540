# Debian mirrors and bare trees; sourced by base-images.sh and machine.sh.
# shellcheck shell=bash

# Sets `mirror` and `security` from apt's configuration; both stay empty if it names no Debian mirror,
# as on Ubuntu. DEBIAN_MIRROR and DEBIAN_SECURITY_MIRROR take precedence.
mirrors() {
  local address release id
  mirror=${DEBIAN_MIRROR:-} security=${DEBIAN_SECURITY_MIRROR:-}
  id=$(sed -n 's/^ID=//p' /etc/os-release)
  # shellcheck disable=SC2016 # apt's variables
  [ "$id" != debian ] || while read -r address release; do
    case $release in
      *-updates) mirror=${mirror:-$address} ;;
      *-security) security=${security:-$address} ;;
    esac
  done < <(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages')
  [ -n "$mirror" ] || echo "apt is not configured with a Debian mirror; using debootstrap's default, without security updates (to choose, set DEBIAN_MIRROR and DEBIAN_SECURITY_MIRROR)" >&2
}

# Builds a minimal tree; further options are passed to debootstrap.
debian_tree() { # SUITE TREE LOG [OPTION…]
  local suite=$1 tree=$2 log=$3
  shift 3
  debootstrap --variant=minbase "$@" "$suite" "$tree" ${mirror:+"$mirror"} >"$log" 2>&1 ||
    { tail -n 5 "$log" >&2; echo "debootstrap could not build a $suite tree; log: $log" >&2; return 1; }
}

# Gives a tree the sources of its own release, in the form that its installer writes: lines until
# Debian 12, paragraphs since 13. Without a known mirror the tree keeps what debootstrap wrote.
debian_sources() { # SUITE TREE
  local suite=$1 etc=$2/etc/apt
  [ -n "$mirror" ] && [ -n "$security" ] || return 0
  if [ "$suite" = bookworm ]; then
    cat >"$etc/sources.list" <<LIST
deb $mirror $suite main
deb $mirror $suite-updates main
deb $security $suite-security main
LIST
  else
    rm -f "$etc/sources.list"
    cat >"$etc/sources.list.d/debian.sources" <<LIST
Types: deb
URIs: $mirror
Suites: $suite $suite-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: $security
Suites: $suite-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
LIST
  fi
}
