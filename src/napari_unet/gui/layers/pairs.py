"""Pairs of images and labels from layers: snapshots of the labels, and matching of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from napari_unet.core.images.pair import Pair
from napari_unet.gui.layers.areas import annotated_area
from napari_unet.gui.layers.axes import layer_shape
from napari_unet.gui.layers.proxies import unwrapped
from napari_unet.gui.layers.reading import image_from_layers, labels_from_layer

if TYPE_CHECKING:
    import napari
    from napari.layers import Image as ImageLayer
    from napari.layers import Labels, Layer

__all__ = ["match_layers", "pair_from_layers"]


_PASSING = ("preview", "proposal")
"""Kinds of our layers that are never training labels, even if they were painted on."""


def pair_from_layers(
    images: Sequence[ImageLayer],
    labels_layer: Labels,
    annotated: Layer | None = None,
    *,
    axes: str | None = None,
    channels: Sequence[int | str] | None = None,
    empty_planes: Literal["ignore", "background"] = "ignore",
    group: str | None = None,
) -> Pair:
    """Make a pair of image and labels from layers, as a snapshot of the current labels.

    Parameters
    ----------
    images, axes, channels
        As in `image_from_layers`.
    labels_layer
        As in `labels_from_layer`.
    annotated
        Shapes layer (the inside is annotated) or Labels layer (pixels that are not 0). None: the
        whole image is annotated.
    empty_planes, group
        As in `Pair`.

    Raises
    ------
    ImageError, LabelsError
        If the layers do not fit together.
    """
    image = image_from_layers(images, axes, channels)
    labels = labels_from_layer(labels_layer, images[0], axes)
    mask = None if annotated is None else annotated_area(annotated, images[0], axes)
    return Pair(image, labels, mask, group=group, empty_planes=empty_planes)


def match_layers(viewer: napari.Viewer) -> list[tuple[ImageLayer, Labels]]:
    """Match every Labels layer with the image it most likely belongs to, by name and shape.

    Returns
    -------
    list of (Image layer, Labels layer)
        Pairs in the order of the layer list; each image at most once, with the labels of the most
        similar name. Our results that were not corrected, and previews, are left out.
    """
    from napari.layers import Image as ImageLayer
    from napari.layers import Labels

    from napari_unet.gui.layers.seals import is_ours, was_edited
    from napari_unet.gui.layers.writing import our_metadata

    viewer = unwrapped(viewer)
    images = [
        layer
        for layer in viewer.layers
        if isinstance(layer, ImageLayer) and our_metadata(layer) is None
    ]
    labels = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    labels = [layer for layer in labels if not is_ours(layer) or was_edited(layer, thorough=False)]
    labels = [x for x in labels if (our_metadata(x) or {}).get("kind") not in _PASSING]
    scored = [
        (_likeness(image.name, label.name), -i, -k)
        for i, image in enumerate(images)
        for k, label in enumerate(labels)
        if _may_belong(image, label)
    ]
    taken_images: set[int] = set()
    taken_labels: set[int] = set()
    found: list[tuple[int, int]] = []
    for _, i, k in sorted(scored, reverse=True):
        if -i not in taken_images and -k not in taken_labels:
            taken_images.add(-i)
            taken_labels.add(-k)
            found.append((-i, -k))
    return [(images[i], labels[k]) for i, k in sorted(found)]


def _may_belong(image: ImageLayer, labels: Labels) -> bool:
    from napari_unet.gui.layers.axes import propose_axes

    shape, axes = layer_shape(image), propose_axes(image)
    theirs = layer_shape(labels)
    without = tuple(n for a, n in zip(axes, shape, strict=True) if a != "C")
    single = tuple(1 if a == "C" else n for a, n in zip(axes, shape, strict=True))
    return theirs in (shape, without, single)


def _likeness(image: str, labels: str) -> float:
    """Compute the similarity of two names, 0 to 1, ignoring common words such as "mask"."""
    from difflib import SequenceMatcher

    return round(SequenceMatcher(None, _bare(image), _bare(labels)).ratio(), 3)


def _bare(name: str) -> str:
    name = name.lower()
    for word in ("labels", "label", "masks", "mask", "truth", "annotation", "gt", "image", "seg"):
        name = name.replace(word, "")
    return name.strip(" _-.[]")
