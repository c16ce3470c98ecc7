"""Sample data listed under File > Open Sample."""

from __future__ import annotations

from collections.abc import Sequence

from napari_unet.core.errors import UNetError
from napari_unet.gui.app.preferences import preferences
from napari_unet.samples import background, dsb2018
from napari_unet.samples.dsb2018 import LayerData

__all__ = [
    "dsb2018_field",
    "dsb2018_tissue",
    "dsb2018_training",
    "immunohistochemistry",
    "synthetic",
]


def synthetic() -> list[LayerData]:
    """Draw nuclei with exact labels, offline: uint8 [Y, X], 0.5 µm per pixel."""
    from napari_unet.core.datasets.synthetic import synthetic_nuclei

    image, labels = synthetic_nuclei((512, 512), 140, seed=7)
    about = {"name": "Synthetic nuclei", "licence": "CC0 1.0: drawn by napari-unet-live"}
    common = {
        "scale": (0.5, 0.5),
        "units": ("micrometer", "micrometer"),
        "axis_labels": ("Y", "X"),
        "metadata": {"sample": about},
    }
    return [
        (image, {"name": "synthetic nuclei", **common}, "image"),
        (dsb2018.small(labels), {"name": "synthetic nuclei truth", **common}, "labels"),
    ]


def immunohistochemistry() -> list[LayerData]:
    """Open the stained tissue included in scikit-image, offline: RGB uint8 [Y, X, 3]."""
    from skimage import data

    about = {
        "name": "Immunohistochemistry: colonic glands, FHL2, hematoxylin",
        "licence": "no known copyright restrictions",
        "citation": "scikit-image, skimage.data.immunohistochemistry; courtesy of the Center for "
        "Microscopy And Molecular Imaging (CMMI)",
        "homepage": "https://scikit-image.org/docs/stable/api/skimage.data.html",
    }
    background.show(f"{about['name']}. Licence: {about['licence']}. From {about['citation']}.")
    options = {
        "name": "immunohistochemistry",
        "rgb": True,
        "axis_labels": ("Y", "X"),
        "metadata": {"sample": about},
    }
    return [(data.immunohistochemistry(), options, "image")]


def dsb2018_field() -> list[LayerData]:
    """Open one fluorescence image of nuclei with ground truth: [Y, X]."""
    origin = dsb2018.source()
    return _dsb2018("dsb2018_field", "DSB2018 field", [origin.field])


def dsb2018_tissue() -> list[LayerData]:
    """Open an image of tissue-like nuclei at several depths with ground truth: [Y, X]."""
    origin = dsb2018.source()
    return _dsb2018("dsb2018_tissue", "DSB2018 tissue", [origin.tissue])


def dsb2018_training() -> list[LayerData]:
    """Open sixteen fields with ground truth as a stack to train on: [N, Y, X]."""
    origin = dsb2018.source()
    return _dsb2018("dsb2018_training", "DSB2018 training", origin.training)


def _dsb2018(sample: str, name: str, ids: Sequence[str]) -> list[LayerData]:
    """Open images of the data set, or start its download if napari's event loop runs."""
    origin, folder = dsb2018.source(), preferences().data_folder
    try:
        if (train := dsb2018.find(folder)) is None:
            if background.event_loop_runs():
                return [background.open_when_fetched(origin, folder, sample, name)]
            train = background.fetch_and_wait(origin, folder)
        opened = dsb2018.layers(train, ids, name, origin)
    except UNetError as error:
        raise background.with_ways_out(error, sample) from None
    background.show(origin.credit)
    return opened
