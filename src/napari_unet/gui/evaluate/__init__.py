"""TODO: evaluate."""
