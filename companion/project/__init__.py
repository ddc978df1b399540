"""Projects and agents: their directories on disk, and the records we keep of them."""
