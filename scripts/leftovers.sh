#!/bin/bash
# Removes the sandboxes that killed test runs left behind: their ports and names would be in the way
# of the next run. A living run's process number is in <its temporary directory>/.lock. Sandboxes of
# living runs and of users are not touched.
# usage: leftovers.sh ENGINE...
set -euo pipefail

label=dev.companion

# Prints "PROJECT DIRECTORY" for each container of a sandbox.
sandboxes() {
  "$1" ps --all --quiet --filter label=$label.service | xargs -r "$1" inspect --format \
    "{{index .Config.Labels \"$label.project\"}} {{index .Config.Labels \"$label.files\"}}" | sort -u
}

# Whether a directory belongs to a test run that is gone.
is_left() {
  local run pid
  run=$(grep -oE '^.*/pytest-of-[^/]+/pytest-[0-9]+/' <<<"$1") || return 1
  pid=$(cat "$run.lock" 2>/dev/null) || return 0
  ! grep -qs pytest "/proc/$pid/cmdline"
}

for engine; do
  sandboxes "$engine" | while read -r project files; do
    is_left "$files" || continue
    echo "removing $project, which a killed test run left on $engine" >&2
    ours=(--filter "label=$label.project=$project")
    # Twice: podman removes a container only after those that share its network.
    for _ in 1 2; do
      "$engine" ps --all --quiet "${ours[@]}" | xargs -r "$engine" rm --force --volumes >/dev/null 2>&1 || true
    done
    "$engine" network ls --quiet "${ours[@]}" | xargs -r "$engine" network rm >/dev/null || true
    "$engine" volume ls --quiet | { grep "^${project}_" || true; } | xargs -r "$engine" volume rm >/dev/null || true
    "$engine" images --quiet "${ours[@]}" | sort -u | xargs -r "$engine" rmi --force >/dev/null || true
  done
done
