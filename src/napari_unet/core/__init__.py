"""The headless core: no napari, no Qt. Its public names are also those of `napari_unet`."""
