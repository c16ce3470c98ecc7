"""TODO: datasets."""
