"""Companion: the desktop companion for sandboxed coding agents."""

import sys

__version__ = "0.2.0"

# Packages have `ssh` and `editors` here, where no other package's of these names can be. A checkout
# has no such directory: they lie beside this one.
sys.path.insert(0, f"{__path__[0]}/libraries")
