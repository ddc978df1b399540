"""Docker and Podman: what they hold, and how they are asked."""
