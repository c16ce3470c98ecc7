"""Services shared by all widgets: session, preferences, jobs and background work."""
