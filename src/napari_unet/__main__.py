"""``python -m napari_unet`` is the command ``napari-unet``."""

from napari_unet.cli import app

if __name__ == "__main__":
    app(prog_name="napari-unet")
