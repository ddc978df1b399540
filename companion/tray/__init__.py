"""The icon on the desktop: a picture in, rows and pixels out, clicks back."""
