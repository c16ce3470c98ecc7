"""Demo in napari: a sample image, segmented and scored; ``make demo`` opens it on a display.

Opens an image drawn by the command line's demo. The widgets then predict it, with the built-in
model or with the one that the demo trained, and compare the result with the ground truth.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import napari

__all__ = ["main", "open_demo"]

_PLUGIN = "napari-unet-live"


def open_demo(viewer: napari.Viewer, folder: Path) -> tuple[Any, Any]:
    """Open an image and its ground truth, and start segmenting and scoring it.

    Parameters
    ----------
    viewer
        Viewer for the layers and the widgets.
    folder
        Folder of the command line's demo.

    Returns
    -------
    predict, evaluate
        The two widgets, which are still working when the function returns.

    Raises
    ------
    UNetError
        If the folder does not contain a demo.
    """
    from napari_unet.core.errors import SettingsError
    from napari_unet.core.models.catalogue import DEFAULT_MODEL, find_model

    if not (folder / "test" / "images").is_dir():
        raise SettingsError(
            f"'{folder}' contains no demo. Create one first: napari-unet demo --out '{folder}'."
        )
    trained = folder / "run"
    model = find_model(trained if trained.is_dir() else DEFAULT_MODEL)
    _open_test_image(viewer, folder / "test")
    window = viewer.window
    _, predict = window.add_plugin_dock_widget(_PLUGIN, "Predict")
    _, evaluate = window.add_plugin_dock_widget(_PLUGIN, "Evaluate")
    predict.model.choose(model)

    def score(busy: bool) -> None:
        if busy or not predict.run.results:
            return
        predict.run.busy_changed.disconnect(score)
        evaluate.fields.prediction.layer = predict.run.results[0].layer
        evaluate.fields.truth.layer = viewer.layers["truth"]
        evaluate.evaluate()

    predict.run.busy_changed.connect(score)
    predict.predict()
    return predict, evaluate


def main() -> None:
    """Open a demo folder in napari and run until napari is closed."""
    import napari

    parser = argparse.ArgumentParser(description="Open the demo in napari.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("napari-unet-demo"))
    folder = parser.parse_args().folder
    viewer = napari.Viewer(title="U-Net live: demo")
    open_demo(viewer, folder)
    napari.run()


def _open_test_image(viewer: napari.Viewer, folder: Path) -> None:
    from napari_unet.core.io.image_files import read_image, read_labels

    image = read_image(sorted((folder / "images").glob("*.tif"))[0])
    labels = read_labels(folder / "masks" / Path(image.path or "").name)
    common: dict[str, Any] = {"axis_labels": tuple(image.axes)}
    if image.pixel_size is not None:
        common |= {"scale": image.pixel_size.yx, "units": ("micrometer", "micrometer")}
    viewer.add_image(image.data, name=image.name, **common)
    viewer.add_labels(labels, name="truth", visible=False, **common)


if __name__ == "__main__":
    main()
