"""The test tensors and the cover of a bioimage.io package: an image and its prediction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import ImageError
from napari_unet.core.images.image import Image
from napari_unet.core.models.model import Model, ModelInfo

__all__ = ["SCALE_RANGE_EPS", "SMALLEST_PX", "TOLERANCE", "Example", "drawn_image", "example"]

Float = NDArray[np.float32]

TOLERANCE = 1e-4
"""Largest difference of outputs allowed between our normalisation and bioimage.io's."""

SCALE_RANGE_EPS = 1e-6
"""Number that bioimage.io's scale_range adds to the range before dividing by it."""

SMALLEST_PX = {"z": 1, "y": 64, "x": 64}
"""Shortest side of an image that a package accepts, by axis."""

_MOST_PX = {2: 512, 3: 128}
"""Longest side of the test image, by the network's dimensions; it keeps the package small."""

_COVER_PX = 256


@dataclass(frozen=True)
class Example:
    """An image and its prediction by a model.

    Parameters
    ----------
    image
        Raw values as float32, axes C[Z]YX.
    outputs
        Outputs of the model, (channels, [Z,] Y, X) float32.
    labels
        Labels decoded from the outputs, axes [Z]YX.
    """

    image: Float
    outputs: Float
    labels: NDArray[Any]

    def write_cover(self, path: Path, info: ModelInfo) -> None:
        """Draw the image and its labels side by side as a PNG, twice as wide as high."""
        from PIL import Image as Picture

        from napari_unet.core.evaluation.figures import image_and_labels

        middle = (self.image.shape[1] // 2,) if info.unet.ndim == 3 else ()
        plane = self.image[(slice(None), *middle)]
        side = min(plane.shape[1:])
        colours = {c.id: c.color for c in info.task.label_classes if not c.background} or None
        panels = image_and_labels(
            Image(plane[:, :side, :side], "CYX", rgb=info.rgb),
            self.labels[middle][:side, :side],
            colours,
        )
        size = (_COVER_PX, _COVER_PX)
        pictures = [Picture.fromarray(panel).resize(size) for panel in panels]
        Picture.fromarray(np.hstack([np.asarray(p) for p in pictures])).save(path)


def example(model: Model, image: Image | None = None) -> Example:
    """Predict an image as bioimage.io would, and check that its normalisation agrees with ours.

    Parameters
    ----------
    model
        The model to run.
    image
        A plane, or a volume for a 3-D model; its centre is used. None: a drawn image.

    Raises
    ------
    ImageError
        If the image is too small or a stack, if bioimage.io's normalisation of it differs from
        ours, or if the model finds nothing in it.
    ModelFileError
        If the model does not fit the image.
    """
    from napari_unet.core.models.predict_options import PredictOptions
    from napari_unet.core.prediction.prediction import predict

    info = model.info
    given = image is not None
    image = drawn_image(info) if image is None else image
    info.check_image(image)
    pixels = _with_percentiles_of_pixels(_middle(image, info), info)
    volume = info.unet.ndim == 3
    seen = Image(
        pixels.swapaxes(0, 1) if volume else pixels,
        "ZCYX" if volume else "CYX",
        name=image.name,
        rgb=info.rgb,
    )
    found = predict(
        model, seen, PredictOptions(device="cpu", precision="float32"), keep_outputs=True
    )
    assert found.outputs is not None  # the image is too small for outputs to be dropped
    advice = (
        "Choose an image with more objects, or leave the image out to use a drawn one."
        if given
        else "Choose an image in which the model finds objects."
    )
    if np.abs(found.outputs).max() < TOLERANCE:
        raise ImageError(
            f"The model '{info.name}' finds nothing in '{image.name}': its outputs are 0 "
            f"everywhere, so bioimage.io would have nothing to test. {advice}"
        )
    _check_agreement(model, pixels, found.outputs, image.name, advice)
    return Example(pixels, found.outputs, np.asarray(found.labels))


def drawn_image(info: ModelInfo) -> Image:
    """Draw an image of nuclei of the model's object size, with as many channels as it needs."""
    from napari_unet.core.datasets.synthetic import synthetic_nuclei

    side = 256 if info.unet.ndim == 2 else 64
    diameter = float(np.clip(info.object_diameter_px or 20, 10, 60))
    count = max(3, round(0.35 * (side / diameter) ** 2))

    def plane(seed: int) -> NDArray[Any]:
        sizes = (0.75 * diameter, 1.25 * diameter)
        return synthetic_nuclei((side, side), count, sizes, seed, inverted=info.rgb)[0]

    if info.rgb:  # dark blue on white, like a stain
        dark = 255.0 - plane(0)
        data = np.stack([np.rint(255 - dark * tint) for tint in (1.0, 0.8, 0.4)])
    else:
        data = np.stack([plane(seed) for seed in range(info.unet.in_channels)])
    axes = "CYX"
    if info.unet.ndim == 3:
        data, axes = np.stack([data] * info.unet.multiple), "ZCYX"
    return Image(
        data.astype(np.float32),
        axes,
        name="drawn nuclei",
        rgb=info.rgb,
        channel_names=info.channel_names,
    )


def _middle(image: Image, info: ModelInfo) -> Float:
    """Crop the centre of the image, axes C[Z]YX."""
    ndim = info.unet.ndim
    planes = [plane for _, plane in image.planes(ndim)]
    if len(planes) != 1:
        wanted = "a single plane" if ndim == 2 else "a single volume"
        raise ImageError(
            f"'{image.name}' has axes {image.axes} with {len(planes)} planes or time points, but "
            f"the package is tested on {wanted}. Save one of them as a separate image."
        )
    sizes, least = planes[0].shape[1:], [SMALLEST_PX[a] for a in "zyx"[3 - ndim :]]
    if any(size < n for size, n in zip(sizes, least, strict=True)):
        is_, wanted = (" x ".join(map(str, n)) for n in (sizes, least))
        raise ImageError(
            f"'{image.name}' is {is_} px: expected a test image of at least {wanted} px. Choose a "
            "larger one, or leave the image out to use a drawn one."
        )
    window: list[slice] = [slice(None)]
    for size in sizes:
        start = max(0, size - _MOST_PX[ndim]) // 2
        window.append(slice(start, start + _MOST_PX[ndim]))
    return np.array(planes[0][tuple(window)], np.float32)


def _with_percentiles_of_pixels(pixels: Float, info: ModelInfo) -> Float:
    """Change one pixel per percentile so that both percentiles are values of pixels.

    Our percentile is the value of the pixel at that rank; bioimage.io interpolates between it and
    the next one.
    """
    norm = info.normalization
    if norm.mode != "percentile":
        return pixels
    pixels = np.ascontiguousarray(pixels)
    for values in (pixels.reshape(-1),) if info.rgb else pixels.reshape(len(pixels), -1):
        order = np.argsort(values, kind="stable")
        for percentile in (norm.low, norm.high):
            rank = int(percentile / 100 * (values.size - 1))
            values[order[min(rank + 1, values.size - 1)]] = values[order[rank]]
    return pixels


def _check_agreement(model: Model, pixels: Float, outputs: Float, name: str, advice: str) -> None:
    """Raise `ImageError` if outputs differ under bioimage.io's normalisation of the image."""
    from napari_unet.core.models.blocks import BlockNetwork
    from napari_unet.core.system.device import choose_compute

    norm = model.info.normalization
    if norm.mode != "percentile":
        return
    axes = None if model.info.rgb else tuple(range(1, pixels.ndim))
    low, high = np.percentile(pixels, (norm.low, norm.high), axis=axes, keepdims=True)
    scaled = (pixels - low) / (high - low + SCALE_RANGE_EPS)
    network = BlockNetwork(model, choose_compute("cpu", "float32"))
    difference = float(np.abs(network(scaled.astype(np.float32)) - outputs).max())
    if difference > TOLERANCE:
        raise ImageError(
            f"For '{name}' the model's normalisation uses another range of intensities than "
            "bioimage.io's scale_range, which has no noise floor: the outputs differ by up to "
            f"{difference:.2g}, but at most {TOLERANCE:g} is allowed. {advice}"
        )
