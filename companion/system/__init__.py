"""The operating system: files, processes, directories, network. Knows nothing of sandboxes."""
