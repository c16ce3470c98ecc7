"""The plugin inside napari: forms in, layers out. Never imports torch."""
