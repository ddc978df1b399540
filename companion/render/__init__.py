"""One module per file format; each owns the quoting of its format."""
