"""The tray icon on Linux, over D-Bus."""
