"""TODO: bioimage_io."""
