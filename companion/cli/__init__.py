"""The command line: thin callers of reconcile()."""
