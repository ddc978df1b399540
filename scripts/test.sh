#!/bin/bash
# Runs the linters and all tests on both engines, or the benchmarks. Starts its own Docker daemon if
# none is running, and stops it afterwards. Without root, it skips Docker with a message if no daemon
# is running.
# usage: test.sh [bench]
set -euo pipefail
cd "$(dirname "$0")/.."

make -s setup
mkdir -p build
lint=''
stop_docker=''
finish() {
  [ -z "$lint" ] || kill "$lint" 2>/dev/null || true
  [ -z "$stop_docker" ] || bash scripts/dockerd.sh stop
}
trap finish EXIT
[ "${1:-}" = bench ] || { make -s lint & lint=$!; } # beside what mostly waits for downloads
bash scripts/packages.sh test
exports=$(bash scripts/engine.sh)
eval "$exports"

docker_answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }
engines=podman,docker
if ! docker_answers; then
  if [ "$(id -u)" = 0 ]; then
    bash scripts/dockerd.sh running || stop_docker=yes
    exports=$(bash scripts/dockerd.sh start)
    eval "$exports"
  else
    echo "no Docker daemon is running; skipping its tests" >&2
    engines=podman
  fi
fi
for engine in ${engines//,/ }; do
  bash scripts/base-images.sh "$engine" >/dev/null
  bash scripts/leftovers.sh "$engine"
done
if [ "${1:-}" = bench ]; then
  # shellcheck disable=SC2086 # several engines
  .venv/bin/python tests/bench/bench.py ${engines//,/ }
  exit
fi
# VS Code's own settings parser checks what we write into settings.
[ -d build/oracles/node_modules/jsonc-parser ] ||
  npm install --silent --no-fund --no-audit --prefix build/oracles jsonc-parser@3.3.1 >/dev/null
[ -z "$lint" ] || wait "$lint"
lint=''
# Each engine has a worker (tests/conftest.py), and the third runs all other tests. Three on two cores,
# because tests of engines often wait.
# shellcheck disable=SC2086 # several arguments
.venv/bin/pytest --require-engines=$engines --numprocesses=3 --dist=loadscope ${PYTEST_ARGS:-}
