"""The headless core: no napari, no Qt. Import what you need from its modules, or from `napari_unet`."""
