#!/bin/sh
# The agent's login shell: begins sessions in the workdir, as `exec` does, and becomes the shell that
# SHELL names. Copies begin in the home directory, as by SFTP: Zed puts its server there. MAIL is a
# file that sshd makes up.
workdir=${COMPANION_WORKDIR:-}
unset COMPANION_WORKDIR MAIL
case "${1:-} ${2:-}" in
  "-c scp "* | "-c rsync --server "*) ;;
  *) [ -z "$workdir" ] || cd -- "$workdir" || true ;;
esac
[ $# -gt 0 ] || set -- -l
exec "${SHELL:-/bin/bash}" "$@"
