"""TODO: tasks."""
