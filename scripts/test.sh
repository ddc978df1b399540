#!/bin/bash
# Runs the checks and all tests with both engines, or the measurements; starts a docker daemon of its
# own if none answers, and ends it again. Without root, an engine that does not answer is left out,
# aloud.
# usage: test.sh [bench]
set -euo pipefail
cd "$(dirname "$0")/.."

make -s setup
mkdir -p build
[ "${1:-}" = bench ] || make -s lint
bash scripts/packages.sh test
exports=$(bash scripts/engine.sh)
eval "$exports"

docker_answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }
engines=podman,docker
if ! docker_answers; then
  if [ "$(id -u)" = 0 ]; then
    bash scripts/dockerd.sh running || trap 'bash scripts/dockerd.sh stop' EXIT
    exports=$(bash scripts/dockerd.sh start)
    eval "$exports"
  else
    echo "no docker daemon answers: its tests are left out" >&2
    engines=podman
  fi
fi
for engine in ${engines//,/ }; do
  bash scripts/base-images.sh "$engine" >/dev/null
done
if [ "${1:-}" = bench ]; then
  # shellcheck disable=SC2086 # several engines
  .venv/bin/python tests/bench/bench.py ${engines//,/ }
  exit
fi
# VS Code's own settings parser judges what we write into settings.
[ -d build/oracles/node_modules/jsonc-parser ] ||
  npm install --silent --no-fund --no-audit --prefix build/oracles jsonc-parser@3.3.1 >/dev/null
# As there are two cores: each engine has a worker (tests/conftest.py), and who is done first goes on
# with all else.
# shellcheck disable=SC2086 # several arguments
.venv/bin/pytest --require-engines=$engines --numprocesses=2 --dist=loadscope ${PYTEST_ARGS:-}
