#!/bin/sh
printf "images:\n  docker.io/library/node:24-slim: localhost/companion/node:24-slim\n  docker.io/library/debian:bookworm-slim: localhost/companion/debian:bookworm-slim\n"
