#!/bin/bash
# Manages a Docker daemon for the tests, for machines where none is running. Never touches another one.
# usage: dockerd.sh start|stop|running   (start prints the export that selects the daemon)
set -euo pipefail

run=/run/companion-dev
data=/var/cache/companion-dev/docker
export DOCKER_HOST=unix://$run/docker.sock

answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }
ours() { [ -s $run/docker.pid ] && kill -0 "$(cat $run/docker.pid)" 2>/dev/null; }

case ${1:-} in
  start)
    if ! ours || ! answers; then
      mkdir -p $run $data
      # If dockerd has to enable forwarding, it also makes the host drop other forwarded traffic,
      # including that of Podman's internal networks.
      echo 1 >/proc/sys/net/ipv4/ip_forward
      rm -f $run/docker.pid
      setsid dockerd --data-root $data --exec-root $run/exec -H "$DOCKER_HOST" \
        --pidfile $run/docker.pid >$run/docker.log 2>&1 </dev/null &
      for _ in $(seq 300); do
        answers && break
        sleep 0.1
      done
      answers || { tail -n 5 $run/docker.log >&2; echo "dockerd did not start" >&2; exit 1; }
    fi
    echo "export DOCKER_HOST=$DOCKER_HOST"
    ;;
  running) ours && answers ;;
  stop)
    ours || exit 0
    pid=$(cat $run/docker.pid)
    kill "$pid"
    for _ in $(seq 100); do
      kill -0 "$pid" 2>/dev/null || exit 0
      sleep 0.1
    done
    echo "dockerd ($pid) does not stop" >&2
    exit 1
    ;;
  *) echo "usage: dockerd.sh start|stop|running" >&2 && exit 2 ;;
esac
