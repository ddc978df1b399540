#!/bin/bash
# Leads the desktop's connections to the agent. Alone in its container and never reloaded: whatever
# ends the gateway, SSH goes on.
set -euo pipefail

exec haproxy -db -f /companion/ingress.cfg
