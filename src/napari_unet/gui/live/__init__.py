"""Live training: the network trains on strokes while the user paints."""
