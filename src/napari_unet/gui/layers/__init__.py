"""Conversion of layers to images and of results to layers; only this package depends on layers.

Axes are letters: one of ``"TZCYX"`` per dimension of a layer, in the layer's own order; the colours
of an RGB layer do not count as a dimension. Arrays of the core have the order TZCYX.
"""

from napari_unet.gui.layers.areas import annotated_area
from napari_unet.gui.layers.axes import check_axes, propose_axes
from napari_unet.gui.layers.geometry import (
    lay_on,
    misalignment,
    result_geometry,
    to_layer_order,
    to_world,
)
from napari_unet.gui.layers.pairs import match_layers, pair_from_layers
from napari_unet.gui.layers.proxies import unwrapped
from napari_unet.gui.layers.reading import (
    current_plane,
    image_from_layers,
    labels_from_layer,
    plane_of,
)
from napari_unet.gui.layers.seals import is_ours, was_edited
from napari_unet.gui.layers.view import (
    jump_to,
    restore_view,
    show_overlay,
    show_side_by_side,
)
from napari_unet.gui.layers.writing import (
    METADATA_KEY,
    add_errors,
    add_labels,
    add_probability,
    feature_columns,
    our_metadata,
    set_features,
    update_labels,
)

__all__ = [
    "METADATA_KEY",
    "add_errors",
    "add_labels",
    "add_probability",
    "annotated_area",
    "check_axes",
    "current_plane",
    "feature_columns",
    "image_from_layers",
    "is_ours",
    "jump_to",
    "labels_from_layer",
    "lay_on",
    "match_layers",
    "misalignment",
    "our_metadata",
    "pair_from_layers",
    "plane_of",
    "propose_axes",
    "restore_view",
    "result_geometry",
    "set_features",
    "show_overlay",
    "show_side_by_side",
    "to_layer_order",
    "to_world",
    "unwrapped",
    "update_labels",
    "was_edited",
]
