"""The user's own programs: SSH, editors, autostart."""
