"""Companion: the desktop companion for sandboxed coding agents."""

__version__ = "0.1.0"
