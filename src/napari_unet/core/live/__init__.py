"""Training without end on labels that change while it learns. No window and no cluster here.

Nothing is imported here: a window reads a session (`session`) without loading torch (`trainer`).
"""
