"""Where training data lies and how it is read: enough to find the same data again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_unet.core.training.settings import Settings
from napari_unet.core.errors import SettingsError

if TYPE_CHECKING:
    from napari_unet.core.datasets.pairs import Dataset
    from napari_unet.core.images.image import Pair
    from napari_unet.core.datasets.label_check import LabelIssue
    from napari_unet.core.datasets.splits import Split

__all__ = ["DataSource", "check_pairs", "choose_split"]

_SIDES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
}
"""What tables call the two sides."""


class DataSource(Settings):
    """A folder or table of images with labels, and how to read it; saved with a run.

    Parameters
    ----------
    source
        The folder or the CSV table.
    channels, axes
        As in `napari_unet.core.io.image_files.read_image`.
    groups, group_pattern, annotated
        As in `napari_unet.core.datasets.pairs.find_pairs`.
    repair
        Kinds of trouble to repair in the labels, see `napari_unet.core.datasets.label_check`.
    empty_planes
        As in `napari_unet.core.images.image.Pair`.
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


def choose_split(
    how: str, names: Sequence[str], groups: Sequence[str], fraction: float = 0.15, seed: int = 0
) -> Split | None:
    """Split in one of the ways that a user can name.

    Parameters
    ----------
    how
        ``"group"``: by group, or a block of a single image (None is returned: training decides);
        ``"random42"``: as StarDist's examples do; else the path of a CSV table with the columns id
        (or name, or image) and split (or side, or role), whose values are train and validation.
    names, groups
        Of the pairs, in their order.
    fraction, seed
        For the first two.

    Raises
    ------
    SettingsError
        When there is no such way or table, or the table leaves out or invents images.
    """
    from napari_unet.core.datasets.splits import split_random_state

    if how == "group":
        return None
    if how == "random42":
        if not fraction:
            return None
        return split_random_state(len(names), fraction, seed=42)
    if how.lower().endswith(".csv"):
        return _split_of_table(Path(how), names)
    raise SettingsError(
        f"There is no split {how!r}: expected 'group', 'random42' or the name of a .csv table."
    )


def check_pairs(
    pairs: Sequence[Pair], *, instances: bool, sparse: bool
) -> dict[str, list[LabelIssue]]:
    """Check the labels of all pairs: what was found in each kind of trouble, image by image."""
    from napari_unet.core.datasets.label_check import check_labels

    found: dict[str, list[LabelIssue]] = {}
    for pair in pairs:
        issues = check_labels(
            pair.labels, instances=instances, sparse=sparse, name=pair.name, is_colour=False
        )
        for issue in issues:
            found.setdefault(issue.kind, []).append(issue)
    return found


def _split_of_table(path: Path, names: Sequence[str]) -> Split:
    from napari_unet.core.io.image_files import bare_name
    from napari_unet.core.datasets.groups import read_column
    from napari_unet.core.datasets.splits import Split

    said = "split (or side, role)"
    column = read_column(path, ("split", "side", "role"), said, "on two sides,")
    sides = {image: side.lower() for image, side in column.items()}
    if wrong := sorted(set(sides.values()) - set(_SIDES)):
        raise SettingsError(
            f"The table '{path.name}' has the split {wrong[0]!r}: expected train or validation."
        )
    found = [sides.get(n) or sides.get(bare_name(Path(n))) for n in names]
    if missing := [n for n, where in zip(names, found, strict=True) if where is None]:
        raise SettingsError(
            f"The table '{path.name}' does not say where {len(missing)} of {len(names)} images "
            f"belong, for example '{missing[0]}'. Add a line for each."
        )
    places: dict[str, list[int]] = {"train": [], "validation": []}
    for index, where in enumerate(found):
        places[_SIDES[where or ""]].append(index)
    if not places["train"]:
        raise SettingsError(f"The table '{path.name}' leaves no image to train on.")
    return Split(tuple(places["train"]), tuple(places["validation"]), "table")
