"""OpenSSH's own files as text to text, and a login probe; knows nothing of companion."""
