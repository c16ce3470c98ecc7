"""Follows what the user paints and views in napari, and sends changes to the training. No Qt."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.core.errors import UNetError
from napari_unet.core.live import commands
from napari_unet.gui.live.classes import LiveClasses
from napari_unet.gui.live.planes import (
    LivePlane,
    is_turned,
    key_of,
    painted_positions,
    plane_in_view,
    region_in_view,
    view_state,
)
from napari_unet.gui.live.previews import LivePreviews
from napari_unet.gui.live.run import LiveRun, painted_ids
from napari_unet.gui.live.suggestions import Suggestions

if TYPE_CHECKING:
    import napari

    from napari_unet.gui.layers.pair_row import PairRow
    from napari_unet.gui.live.notices import Notices
    from napari_unet.gui.live.sender import CommandSender

__all__ = ["PaintFollower"]

_SEARCH_S = 0.5
_LONGEST_UNSEARCHED_S = 2.0


class PaintFollower:
    """Follows the layers of one live training.

    Parameters
    ----------
    viewer
        The viewer whose layers are painted on.
    run
        The live training; its planes are added and removed with the layers.
    sender
        Sends the changes.
    notices
        Show errors.
    proposed
        As in `Suggestions`.

    Attributes
    ----------
    classes, previews, suggestions
        Classes, preview layers and suggestions of the same training.
    view
        Name of the plane in view, and its visible part; None: nothing is previewed.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        run: LiveRun,
        sender: CommandSender,
        notices: Notices,
        proposed: Callable[[bool], None],
    ) -> None:
        self._viewer, self._run = viewer, run
        self._sender, self._notices = sender, notices
        self.previews = LivePreviews(viewer)
        self.classes = LiveClasses(run, sender, self.previews, notices)
        self.suggestions = Suggestions(viewer, run, sender, notices, proposed)
        self.view: tuple[str, tuple[int, int, int, int]] | None = None
        self._seen: object = None
        self._row: PairRow | None = None
        self._search_s = math.inf

    def look(self) -> None:
        """Send all changes since the last call.

        Raises
        ------
        UNetError
            If images and labels do not match.
        """
        self.suggestions.notice_removed()
        self._remove_others()
        self._follow_view()
        for plane in list(self._run.planes.values()):
            try:
                self.send_strokes(plane)
            except UNetError as error:  # continue with the other planes
                self._notices.complain(str(error))
            self._note(plane)
        if self.view is not None:
            shown = self._run.planes.get(self.view[0])
            if shown is not None and is_turned(self._viewer, shown):
                self.search_within(_LONGEST_UNSEARCHED_S)
        if time.monotonic() > self._search_s:
            self.search()

    def use_rows(self, rows: Sequence[PairRow]) -> None:
        """Follow these images and labels from now on: add new ones and remove all others.

        Raises
        ------
        UNetError
            If images and labels do not match.
        """
        self._run.form = replace(self._run.form, rows=tuple(rows))
        self._seen = None
        self._remove_others()
        known = {plane.key for plane in self._run.planes.values()}
        for row in rows:
            if key_of(row.images, row.labels) not in known:
                for plane in self.planes_of(row):
                    self._add(plane)

    def view_again(self) -> None:
        """Request a preview of the plane in view even if the view has not changed."""
        self.view = self._seen = None

    def planes_of(self, row: PairRow) -> list[LivePlane]:
        """Return the plane in view and, for a stack, every painted plane.

        Raises
        ------
        UNetError
            If images and labels do not match.
        """
        seen = self._plane_of(row)
        painted = painted_positions(row.images, row.labels, self._run.form.axes)
        others = [self._plane_of(row, at) for at in painted if at != seen.position]
        return [seen, *others]

    def send_strokes(self, plane: LivePlane, *, judged: bool = True) -> None:
        """Send the strokes painted on a plane since the last call.

        Parameters
        ----------
        plane
            The plane.
        judged
            Whether the strokes count in the score.
        """
        change = plane.change()
        continues, plane.drawing = judged and plane.drawing, judged and change is not None
        if change is None:
            return
        painted = np.unique(change[1]).tolist()
        self.classes.add(painted)
        self.classes.check(painted)
        self._sender.send(commands.Paint(plane.name, *change, judged=judged, continues=continues))

    def accept(self) -> None:
        """Send the corrected proposal to the training; it does not count in the score."""
        plane = self.suggestions.accept()
        if plane is not None:
            self.send_strokes(plane, judged=False)
            self.suggestions.forget_proposal()

    def search_within(self, seconds: float) -> None:
        """Call `search` after `seconds` at the latest."""
        self._search_s = min(self._search_s, time.monotonic() + seconds)

    def search(self) -> None:
        """Add painted planes that were never in view, for example painted with a brush in 3D.

        Raises
        ------
        UNetError
            If images and labels do not match.
        """
        self._search_s = math.inf
        for row in self._open_rows():
            known = self._run.positions(key_of(row.images, row.labels))
            for at in painted_positions(row.images, row.labels, self._run.form.axes):
                if at not in known:
                    self._add(self._plane_of(row, at))

    # -- adding and removing planes ---------------------------------------------------------------

    def _open_rows(self) -> list[PairRow]:
        return [row for row in self._run.form.rows if row.labels in self._viewer.layers]

    def _note(self, plane: LivePlane) -> None:
        """Schedule a search after a stroke through several planes; drop planes only viewed."""
        if plane.drawing and plane.layer.n_edit_dimensions > 2:
            self._search_s = time.monotonic() + _SEARCH_S
        in_view = self.view is not None and self.view[0] == plane.name
        needed = in_view or self.suggestions.needs(plane)
        if not needed and not plane.sent.any() and plane.position:  # a stack has many planes
            self._remove(plane)

    def _remove_others(self) -> None:
        """Remove planes whose layers or pairs were removed; the session keeps their strokes."""
        wanted = {key_of(row.images, row.labels) for row in self._open_rows()}
        for plane in [p for p in self._run.planes.values() if p.key not in wanted]:
            self._remove(plane)

    def _remove(self, plane: LivePlane) -> None:
        if not self._run.remove(plane):
            return  # already removed together with another plane
        others = any(p.key == plane.key for p in self._run.planes.values())
        self.previews.forget(plane, image=not others)
        self.suggestions.forget(plane)
        if self.view is not None and self.view[0] == plane.name:
            self.view_again()
            self._sender.send(commands.ShowView(""))
        self._sender.send(commands.RemoveImage(plane.name))

    def _add(self, plane: LivePlane) -> None:
        """Add a plane to the training."""
        self._run.add(plane)
        self.classes.add(painted_ids([plane]))
        image = plane.live_image(self._run.known_scopes)
        self._sender.send(commands.PutImage(plane.name, image))
        self._run.describe()

    # -- what is in view --------------------------------------------------------------------------

    def _follow_view(self) -> None:
        """Preview the plane in view, of the selected image if it belongs to a pair."""
        rows, seen = self._open_rows(), view_state(self._viewer)
        if not rows or seen == self._seen:
            return
        self._seen = seen
        self._row = self._row_in_view(rows)
        plane = self._known(self._plane_of(self._row))
        view = plane.name, region_in_view(self._viewer, plane)
        if view != self.view:
            self.view = view
            probable = "probability" in self.previews.wanted
            self._sender.send(commands.ShowView(*view, probability=probable))

    def _row_in_view(self, rows: Sequence[PairRow]) -> PairRow:
        """Return the row of the selected layer, else the previous row, else the first."""
        active: Any = self._viewer.layers.selection.active
        last = next((r for r in rows if self._row is not None and r.same(self._row)), rows[0])
        return next((r for r in rows if active is r.labels or active in r.images), last)

    def _known(self, plane: LivePlane) -> LivePlane:
        """Return the followed plane of the same layers and position, else add this one."""
        for known in self._run.planes.values():
            if known.key == plane.key and known.position == plane.position:
                return known
        self._add(plane)
        return plane

    def _plane_of(self, row: PairRow, position: Mapping[str, int] | None = None) -> LivePlane:
        form = self._run.form
        return plane_in_view(
            self._viewer, row.images, row.labels, form.axes, form.channels, position
        )
