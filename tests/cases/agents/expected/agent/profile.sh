# shellcheck shell=sh
# Gives a login shell the PATH that it was started with. /etc/profile replaces it, and so drops what a
# base image or agent.yaml added.
given=$(sed -zn 's/^PATH=//p' "/proc/$$/environ" 2>/dev/null | tr -d '\0')
PATH=${given:-$PATH}
unset given
