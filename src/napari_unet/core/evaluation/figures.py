"""Figures that compare predictions: image | truth | prediction | errors."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_unet.core.errors import LabelsError
from napari_unet.core.evaluation.error_map import ERROR_CATEGORIES, ErrorMap, error_map
from napari_unet.core.evaluation.evaluation import evaluate
from napari_unet.core.evaluation.plotting import DPI, save_png
from napari_unet.core.evaluation.report import Kind, Report, format_score
from napari_unet.core.images.image import Image
from napari_unet.core.images.labels import check_same_shape, checked_labels
from napari_unet.core.images.palette import INK, SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Comparison", "comparison_figure", "image_and_labels"]

Pixels = NDArray[np.float64]

_MOST_ROWS = 6
_PANEL_PX = 640
_PANEL_INCHES = 2.9

Comparison = (
    tuple[str, Image | ArrayLike | None, ArrayLike, ArrayLike]
    | tuple[str, Image | ArrayLike | None, ArrayLike, ArrayLike, ArrayLike | None]
)
"""Name, image (an array has axes YX or YXS; None: not available), ground truth, prediction and,
optionally, a mask of the scored area."""


def comparison_figure(
    path: str | os.PathLike[str],
    rows: Sequence[Comparison],
    *,
    kind: Kind = "instances",
    classes: Mapping[int, str] | None = None,
    background: int = 0,
) -> None:
    """Draw image | truth | prediction | errors, one row per image, and save it as PNG.

    Parameters
    ----------
    path
        Path of the PNG file.
    rows
        Name, image, ground truth, prediction (classes with the ids of the ground truth) and,
        optionally, a mask outside which nothing is scored or drawn. The first six are drawn; of a
        stack, the plane with most labelled pixels in the ground truth.
    kind
        ``"instances"`` or ``"semantic"``.
    classes
        Name of each class by id.
    background
        Id of the background (semantic).

    Raises
    ------
    LabelsError
        If there are no rows, or the shapes of arrays differ.
    StorageError
        If the file cannot be written.
    """
    from matplotlib.figure import Figure

    if not rows:
        raise LabelsError("There is no image to draw: expected at least one. Choose some.")
    drawn = [_prepare(row, kind, classes, background) for row in rows[:_MOST_ROWS]]
    heights = [_PANEL_INCHES * (0.075 + row.truth.shape[0] / row.truth.shape[1]) for row in drawn]
    height = sum(heights) + 0.85
    figure = Figure(figsize=(4 * _PANEL_INCHES, height), dpi=DPI, facecolor="white")
    panels = figure.subplots(
        len(drawn),
        4,
        squeeze=False,
        height_ratios=heights,
        gridspec_kw={
            "left": 0.008,
            "right": 0.992,
            "top": 1 - 0.5 / height,
            "bottom": 0.3 / height,
            "wspace": 0.02,
            "hspace": 0.0,
        },
    )
    colours = None if kind == "instances" else _class_colours(drawn, background)
    for row, axes in zip(drawn, panels, strict=True):
        _draw_row(axes, row, colours)
    for axes, heading in zip(panels[0], ("image", "truth", "prediction", "errors"), strict=True):
        axes.annotate(
            heading, (0.5, 1), (0, 15), xycoords="axes fraction", textcoords="offset points",
            ha="center", va="bottom", fontsize=10, fontweight="bold", color=INK,
            annotation_clip=False,
        )  # fmt: skip
    _draw_legend(figure, _error_legend(drawn), "lower right")
    if colours:
        names = {(classes or {}).get(i, f"class {i}"): colour for i, colour in colours.items()}
        _draw_legend(figure, names, "lower left")
    save_png(figure, path)


def image_and_labels(
    image: Image, labels: NDArray[Any], colours: Mapping[int, str | None] | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw a plane alone and with its labels on top.

    Parameters
    ----------
    image
        Image, axes YX or CYX.
    labels
        Labels, axes YX.
    colours
        Colour ``"#rrggbb"`` of each class by id, or None for a default one. None: the labels are
        objects.

    Returns
    -------
    image, labels
        uint8 pictures, axes YXS.
    """
    pixels = _visible(image, ())
    if colours is None:
        painted = _overlay_objects(pixels, labels)
    else:
        named = {
            c: colour or SERIES[i % len(SERIES)] for i, (c, colour) in enumerate(colours.items())
        }
        painted = _overlay_classes(pixels, labels, named)
    return _bytes(pixels), _bytes(painted)


@dataclass(frozen=True)
class _Row:
    """Content of one row of the figure, reduced to the size of a panel."""

    caption: str
    pixels: Pixels
    truth: NDArray[Any]
    prediction: NDArray[Any]
    errors: ErrorMap
    has_image: bool


def _prepare(
    row: Comparison, kind: Kind, classes: Mapping[int, str] | None, background: int
) -> _Row:
    name, image, truth, prediction, *area = row
    truth, prediction = (
        checked_labels(truth, "ground truth"),
        checked_labels(prediction, "prediction"),
    )
    mask = check_same_shape(prediction, truth, area[0] if area else None)
    report = evaluate(
        prediction,
        truth,
        annotated=mask,
        name=name,
        kind=kind,
        classes=classes,
        background=background,
        empty_planes="background",
    )
    if image is not None and not isinstance(image, Image):
        image = Image.from_array(image, name=name)
    if image is not None and image.label_shape != truth.shape:
        raise LabelsError(
            f"'{name}': the image has shape {image.label_shape} and the ground truth "
            f"{truth.shape}: expected the same. Choose the image that belongs to these labels."
        )
    where = _fullest_plane(truth if mask is None else np.where(mask, truth, background), background)
    truth, prediction = truth[where], prediction[where]
    mask = None if mask is None else mask[where]
    errors = error_map(prediction, truth, kind=kind, annotated=mask, background=background)
    if mask is not None:
        truth, prediction = (np.where(mask, a, background) for a in (truth, prediction))
    step = max(1, math.ceil(max(truth.shape) / _PANEL_PX))
    pixels = np.full((*truth.shape, 3), 0.12) if image is None else _visible(image, where)
    return _Row(
        _caption(name, where, report),
        pixels[::step, ::step],
        truth[::step, ::step],
        prediction[::step, ::step],
        ErrorMap(errors.labels[::step, ::step], errors.objects),
        has_image=image is not None,
    )


def _fullest_plane(truth: NDArray[Any], background: int) -> tuple[int, ...]:
    filled = (truth != background).sum(axis=(-2, -1))
    return tuple(int(i) for i in np.unravel_index(np.argmax(filled), filled.shape))


def _caption(name: str, where: tuple[int, ...], report: Report) -> str:
    name = name if len(name) <= 34 else f"{name[:20]}…{name[-12:]}"
    if where:
        name += f" (plane {', '.join(map(str, where))} shown)"
    summary = report.summary()
    keys = {"Dice": "dice_foreground_by_image"}
    if report.kind == "instances":
        keys = {"AP50": "ap50_by_image", "mean AP": "mean_ap_by_image", **keys}
    elif len(report.classes) > 1:
        keys = {"mean IoU": "mean_iou_with_background_by_image", **keys}
    scores = [f"{word} {format_score(summary[key])}" for word, key in keys.items()]
    return "   ".join([name, *scores])


def _visible(image: Image, where: tuple[int, ...]) -> Pixels:
    """Return one plane as RGB from 0 to 1, scaled by percentiles per channel (RGB: together)."""
    leading = [a for a in image.axes if a not in "CYX"]
    position = dict(zip(leading, where, strict=True))
    plane = image.data[tuple(position.get(a, slice(None)) for a in image.axes)]
    plane = np.nan_to_num(np.asarray(plane, np.float64))
    plane = plane if "C" in image.axes else plane[None]
    if image.rgb:
        return np.moveaxis(_stretch(plane), 0, -1)
    channels = [_stretch(channel) for channel in plane]
    if len(channels) == 1:
        return np.repeat(channels[0][..., None], 3, axis=-1)
    colours = np.array([[1, 0, 1], [0, 1, 0], [0.2, 0.6, 1], [1, 0.8, 0]])
    mixed = [c[..., None] * colours[i % 4] for i, c in enumerate(channels)]
    return np.asarray(np.clip(np.sum(mixed, axis=0), 0, 1))


def _stretch(pixels: Pixels) -> Pixels:
    low, high = np.percentile(pixels, (0.5, 99.7))
    if high <= low:
        low, high = pixels.min(), pixels.max()
    return np.clip((pixels - low) / (high - low), 0, 1) if high > low else np.zeros_like(pixels)


def _draw_row(axes: Sequence[Axes], row: _Row, colours: Mapping[int, str] | None) -> None:
    painted = [
        _overlay_objects(row.pixels, labels)
        if colours is None
        else _overlay_classes(row.pixels, labels, colours)
        for labels in (row.truth, row.prediction)
    ]
    everything = (row.pixels, *painted, _overlay_errors(row.pixels, row.errors))
    for panel, pixels in zip(axes, everything, strict=True):
        panel.imshow(pixels, interpolation="nearest")
        panel.set_axis_off()
    axes[0].text(
        0, 1.012, row.caption, transform=axes[0].transAxes, fontsize=8, color=INK, va="bottom"
    )
    if not row.has_image:
        axes[0].text(0.5, 0.5, "no image", transform=axes[0].transAxes, color="white", ha="center")


def _overlay_objects(pixels: Pixels, labels: NDArray[Any]) -> Pixels:
    """Tint and outline every object in a different colour."""
    from matplotlib import colormaps

    # Steps of the golden ratio around the colour circle: neighbouring ids get distant hues.
    hue = (np.asarray(labels, np.float64) * 0.618034) % 1
    colour = colormaps["hsv"](hue)[..., :3] * 0.75 + 0.25
    alpha = np.where(_outlines(labels), 1.0, np.where(labels > 0, 0.3, 0.0))
    return _blend(pixels, colour, alpha)


def _overlay_classes(pixels: Pixels, labels: NDArray[Any], colours: Mapping[int, str]) -> Pixels:
    """Tint every class except the background."""
    from matplotlib.colors import to_rgb

    colour = np.zeros_like(pixels)
    for class_id, name in colours.items():
        colour[labels == class_id] = to_rgb(name)
    return _blend(pixels, colour, np.where(np.isin(labels, list(colours)), 0.6, 0.0))


def _overlay_errors(pixels: Pixels, errors: ErrorMap) -> Pixels:
    from matplotlib.colors import to_rgb

    table = np.zeros((len(ERROR_CATEGORIES), 3))
    for number, colour in errors.colours.items():
        table[number] = to_rgb(colour)
    # The image is darkened and hits are only tinted, so that errors stand out.
    grey = 0.7 * np.repeat(pixels.mean(axis=-1, keepdims=True), 3, axis=-1)
    tint = 0.25 if errors.objects else 0.5  # objects also have an outline
    alpha = np.select([errors.labels > 1, errors.labels == 1], [0.85, tint], 0.0)
    if errors.objects:
        alpha[_outlines(errors.labels)] = 1
    return _blend(grey, table[errors.labels], alpha)


def _outlines(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Find the outermost pixels of every object."""
    from skimage.segmentation import find_boundaries

    boundaries = find_boundaries(labels, mode="inner")  # type: ignore[no-untyped-call, unused-ignore]
    return np.asarray(boundaries & (labels > 0))


def _blend(pixels: Pixels, colour: Pixels, alpha: Pixels) -> Pixels:
    return np.asarray(pixels * (1 - alpha[..., None]) + colour * alpha[..., None])


def _bytes(pixels: Pixels) -> NDArray[np.uint8]:
    return np.rint(255 * pixels).astype(np.uint8)


def _class_colours(rows: Sequence[_Row], background: int) -> dict[int, str]:
    """Choose a colour for each class that occurs."""
    found = {int(i) for row in rows for a in (row.truth, row.prediction) for i in np.unique(a)}
    classes = sorted(found - {background})
    return {c: SERIES[i % len(SERIES)] for i, c in enumerate(classes)}


def _error_legend(rows: Sequence[_Row]) -> dict[str, str]:
    """Return the colour of each category that occurs."""
    seen = {int(n) for row in rows for n in np.unique(row.errors.labels)} - {0}
    return {ERROR_CATEGORIES[n]: rows[0].errors.colours[n] for n in sorted(seen)}


def _draw_legend(
    figure: Figure, colours: Mapping[str, str], where: Literal["lower left", "lower right"]
) -> None:
    from matplotlib.patches import Patch

    patches = [Patch(facecolor=colour, label=label) for label, colour in colours.items()]
    if patches:
        figure.legend(
            handles=patches, loc=where, ncols=len(patches), frameon=False, fontsize=9,
            labelcolor=INK, handlelength=1.2, columnspacing=1.2, borderaxespad=0.2,
        )  # fmt: skip
