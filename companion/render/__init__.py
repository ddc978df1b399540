"""Renderers, one module per file format; each module owns its format's quoting."""
