"""Ports inside a sandbox, apart from the models, which take longer to load than most commands."""

SSHD_PORT = 2222
"""Port of sshd in the agent's namespace."""
