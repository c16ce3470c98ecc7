"""Repairing labels, either in a new layer or when a folder is read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_unet.core.errors import UNetError
from napari_unet.gui.app.background import Background
from napari_unet.gui.train.prepare import make_repaired_labels

if TYPE_CHECKING:
    import napari

    from napari_unet.gui.layers.pair_row import PairRow
    from napari_unet.gui.train.layout import TrainLayout
    from napari_unet.gui.train.summary_view import SummaryView

__all__ = ["LabelRepair"]


class LabelRepair:
    """Repairs the problems that the label check found, without changing the user's data.

    Parameters
    ----------
    viewer
        The viewer that gets the new layers.
    layout
        The controls of the Train widget.
    view
        Shows the result of the label check.
    tell
        Shows a message of a kind.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        layout: TrainLayout,
        view: SummaryView,
        tell: Callable[[str, Any], None],
    ) -> None:
        self._viewer, self._layout = viewer, layout
        self._view, self._tell = view, tell

    def repair(self) -> None:
        """Repair all repairable labels; those in files are repaired the next time they are read."""
        kinds = self._kinds_by_row()
        layout = self._layout
        if layout.from_folder:
            layout.repair = tuple(sorted(set(layout.repair).union(*kinds.values())))
            return
        for index, which in kinds.items():
            row = layout.pairs.rows[index]
            task = partial(make_repaired_labels, row, layout.choice().axes, sorted(which))
            Background(task, partial(self._add, row), layout.native)

    def _kinds_by_row(self) -> dict[int, set[str]]:
        kinds: dict[int, set[str]] = {}
        for index, issue in self._view.summary.issues:
            if issue.repairable:
                kinds.setdefault(self._view.pairs[index].row, set()).add(issue.kind)
        return kinds

    def _add(self, row: PairRow, labels: Any) -> None:
        from napari_unet.gui.layers import add_labels

        if isinstance(labels, UNetError):
            self._tell(str(labels), "error")
            return
        before, pairs = row.labels, self._layout.pairs
        layer = add_labels(
            self._viewer,
            row.images[0],
            labels,
            name=f"{before.name} repaired",
            metadata={"kind": "repaired", "from": before.name},
            axes=self._layout.choice().axes,
        )
        before.visible = False
        for index, other in enumerate(pairs.rows):
            if other.same(row):
                pairs.show_labels(layer)
                pairs.change_row(index, labels=layer)
        self._tell(f"Train now uses '{layer.name}'; '{before.name}' is unchanged.", "info")
