"""Keychain: secrets that the user gave to Companion, each bound to the services it may be sent to.

Start at `store`: it keeps names and bindings, and knows where each value lies. `desktop` is
the desktop's own keychain.
"""
