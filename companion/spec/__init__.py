"""Containers, networks and images as we ask an engine for them."""
