"""Projects and agents: where they are configured and what is remembered of them."""
