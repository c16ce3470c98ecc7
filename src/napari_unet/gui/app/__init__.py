"""What all widgets share and no layer knows: session, preferences, jobs, background work."""
