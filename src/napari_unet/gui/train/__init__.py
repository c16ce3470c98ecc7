"""TODO: train."""
