"""The daemon behind `watch` and the tray: it applies every save."""
