"""The tray icon: takes the view, draws its icon and menu, and reports clicks."""
