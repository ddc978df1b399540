"""OpenSSH's files and a login probe; text to text, knows nothing of companion."""
