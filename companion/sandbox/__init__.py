"""One sandbox as a value, made from the config and its plugins."""
