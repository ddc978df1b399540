#!/bin/sh
# Before a package is removed: sandboxes and files belong to users, so they stay, and root is told.
set -e
case $1 in remove | 0) ;; *) exit 0 ;; esac # 0: rpm removes the last version
getent passwd | cut -d: -f6 | sort -u | while read -r home; do
  [ ! -d "$home/.local/share/companion" ] ||
    echo "companion-sandbox: the sandboxes of $home stay; its user should have run 'companion uninstall' before" >&2
done
