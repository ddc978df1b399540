"""Editors' settings files as text-to-text functions; independent of Companion."""
