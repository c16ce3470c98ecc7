"""Live training in the Train widget."""
