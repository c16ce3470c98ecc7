"""Layers that the table of pairs offers, and pairs that it proposes. No Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_unet.gui.layers.pair_row import PairRow

if TYPE_CHECKING:
    import napari

    from napari_unet.gui.train.layer_changes import LayerChanges
    from napari_unet.gui.train.pair_table import PairTable

__all__ = ["PairProposal"]


class PairProposal:
    """Keeps the table of pairs in sync with the layer list.

    Parameters
    ----------
    viewer
        The viewer whose layers are offered.
    table
        The table of pairs.
    changes
        Watches predictions for a first stroke, after which they count as labels.
    """

    def __init__(self, viewer: napari.Viewer, table: PairTable, changes: LayerChanges) -> None:
        self._viewer, self._table, self._changes = viewer, table, changes
        self._passed_over: list[Any] | None = None

    def update(self, *, live: bool) -> None:
        """Offer the open layers; propose pairs unless the user chose some or Live runs."""
        from napari_unet.gui.live.previews import is_live_map

        layers = list(self._viewer.layers)
        images = [x for x in layers if x._type_string == "image" and not is_live_map(x)]
        shapes = [x for x in layers if x._type_string == "shapes"]
        labels = self._drawn_or_chosen()
        self._table.set_layers(images, labels, shapes)
        alone = live and not self._table.rows  # Live's layers were removed
        if not alone:
            self._passed_over = None
        elif self._passed_over is None:
            self._passed_over = labels
        if not self._table.touched and (alone or not live):
            self._propose(shapes)

    def _drawn_or_chosen(self) -> list[Any]:
        """Return the Labels layers, except predictions that have no strokes yet."""
        from napari_unet.gui.layers import was_edited

        chosen = [row.labels for row in self._table.rows]
        labels = [x for x in self._viewer.layers if x._type_string == "labels"]
        untouched = [x for x in labels if not was_edited(x, thorough=False)]
        self._changes.wait_for_edits(untouched)
        return [x for x in labels if x in chosen or x not in untouched]

    def _propose(self, shapes: list[Any]) -> None:
        from napari_unet.gui.layers import match_layers

        found = match_layers(self._viewer)
        found = [pair for pair in found if pair[1] not in (self._passed_over or ())]
        area = shapes[0] if len(shapes) == 1 and len(found) == 1 else None
        self._table.set_rows([PairRow((image,), label, area) for image, label in found])
