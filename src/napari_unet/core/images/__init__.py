"""TODO: images."""
