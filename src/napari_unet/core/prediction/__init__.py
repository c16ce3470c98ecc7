"""TODO: prediction."""
