"""What keeps sandboxes current while nobody looks."""
