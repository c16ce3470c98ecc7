"""Location of training data and how to read it, so that the same data can be found again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_unet.core.settings import Settings

if TYPE_CHECKING:
    from napari_unet.core.datasets.pairs import Dataset
    from napari_unet.core.images.pair import Pair

__all__ = ["DataSource"]


class DataSource(Settings):
    """A folder or table of images with labels, and how to read it; saved with a run.

    Parameters
    ----------
    source
        Path of the folder or CSV table.
    channels, axes
        As in `napari_unet.core.io.image_files.read_image`.
    groups, group_pattern, annotated
        As in `napari_unet.core.datasets.pairs.find_pairs`.
    repair
        Kinds of issues to repair in the labels, see `napari_unet.core.datasets.label_check`.
    empty_planes
        As in `napari_unet.core.images.pair.Pair`.
    """

    source: Path
    channels: tuple[str | int, ...] | None = None
    axes: str | None = None
    groups: str | None = None
    group_pattern: str | None = None
    repair: tuple[str, ...] = ()
    annotated: Path | None = None
    empty_planes: Literal["ignore", "background"] = "ignore"

    def find(self) -> Dataset:
        """Find the pairs; errors as for `napari_unet.core.datasets.pairs.find_pairs`."""
        from napari_unet.core.datasets.pairs import find_pairs

        return find_pairs(
            self.source,
            groups=self.groups,
            group_pattern=self.group_pattern,
            annotated=self.annotated,
        )

    def load(
        self, dataset: Dataset, progress: Callable[[int, int], None] | None = None
    ) -> list[Pair]:
        """Read the pairs; errors as for `napari_unet.core.datasets.pairs.load_pairs`."""
        from napari_unet.core.datasets.pairs import load_pairs

        return load_pairs(
            dataset, self.channels, self.axes, progress, self.repair, self.empty_planes
        )
