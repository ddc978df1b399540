"""Kubernetes: a sandbox as the objects of a cluster, instead of an engine's containers."""
