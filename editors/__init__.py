"""Editors' settings files, text to text; knows nothing of companion."""
