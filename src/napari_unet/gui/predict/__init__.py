"""TODO: predict."""
