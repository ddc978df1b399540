"""Scripts of `cp`: what runs in a sandbox to receive or send an archive, and its exit codes."""

CONTENT = "content"
"""The name of what is copied until it is whole."""
NOT_THERE, IS_DIRECTORY, NO_PARENT, IS_FILE = 3, 4, 5, 6
_AT_HOME = 'case $1 in "~") set -- "$HOME" "$2" ;; "~/"*) set -- "$HOME/${1#"~/"}" "$2" ;; esac'
RECEIVE = f"""\
set -eu
kind=$3
{_AT_HOME}
target=${{1:-.}}
if [ -d "$target" ] && [ "$2" ]; then target=${{target%/}}/$2; fi
merges=
if [ -d "$target" ] && {{ [ ! "$2" ] || [ ! -L "$target" ]; }}; then
    [ "$kind" = directory ] || exit {IS_DIRECTORY}
    merges=yes parent=$target
else
    if [ "$kind" = directory ] && {{ [ -e "$target" ] || [ -L "$target" ]; }}; then
        exit {IS_FILE}
    fi
    case $kind$target in file*/) exit {NO_PARENT} ;; esac
    parent=$(dirname -- "$target")
    [ -d "$parent" ] || exit {NO_PARENT}
fi
work=$(mktemp -d -- "$parent/.companion-cp.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
tar -x -f - -C "$work"
if [ "$merges" ]; then
    cp -aT --remove-destination -- "$work/{CONTENT}" "$target"
    (cd -- "$target" && pwd -P)
else
    mv -fT -- "$work/{CONTENT}" "$target"
    printf '%s/%s' "$(cd -- "$parent" && pwd -P)" "$(basename -- "$target")"
fi
"""
SEND = f"""\
set -eu
{_AT_HOME}
source=${{1:-.}}
[ -e "$source" ] || exit {NOT_THERE}
options="-c -f - --format=gnu --hard-dereference"
code=0
if [ -d "$source" ]; then
    tar $options -C "$source" . || code=$?
else
    cd -- "$(dirname -- "$source")"
    tar $options -h -- "$(basename -- "$source")" || code=$?
fi
cat >/dev/null
exit $code
"""
"""Its `cat` waits until we have read all: Docker forgets what is not read 2 s after the end."""
