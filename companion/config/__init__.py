"""Configuration files: their types, strict YAML parsing, and decoding."""
