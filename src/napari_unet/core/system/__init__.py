"""The computer: devices, memory, atomic file writes and the error log."""
