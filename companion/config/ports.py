"""Ports inside a sandbox, apart from the models, which take longer to load than most commands."""

SSHD_PORT = 2222
"""Port of sshd in the agent's namespace."""
GATE_PORT = 1
"""Port of 127.0.0.1 in the agent's namespace that opens once the network is closed."""
