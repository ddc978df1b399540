"""Docker and Podman: their command lines, and what they report."""
