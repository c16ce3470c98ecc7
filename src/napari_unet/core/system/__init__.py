"""The computer: device, memory, files written all or nothing, the error log."""
