"""OpenSSH's files as text-to-text functions, and a login probe; independent of Companion."""
