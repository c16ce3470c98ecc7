"""Choice of a split by name: by group, as in StarDist's examples, or from a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_unet.core.errors import SettingsError

if TYPE_CHECKING:
    from napari_unet.core.datasets.splits import Split

__all__ = ["choose_split"]

_SIDES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
}
"""Names of the two sides in tables."""


def choose_split(
    how: str, names: Sequence[str], groups: Sequence[str], fraction: float = 0.15, seed: int = 0
) -> Split | None:
    """Split data by a method that is chosen by name.

    Parameters
    ----------
    how
        ``"group"``: by group, or a block of a single image (None is returned: training decides);
        ``"random42"``: as in StarDist's examples; otherwise the path of a CSV table with the
        columns id
        (or name, or image) and split (or side, or role), whose values are train and validation.
    names, groups
        Names and groups of the pairs, in order.
    fraction, seed
        Fraction to hold back and random seed, for the first two methods.

    Raises
    ------
    SettingsError
        If the split or table does not exist, or the table lacks images or has unknown values.
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


def _split_of_table(path: Path, names: Sequence[str]) -> Split:
    from napari_unet.core.datasets.groups import read_column
    from napari_unet.core.datasets.splits import Split
    from napari_unet.core.io.formats import bare_name

    expected = "split (or side, role)"
    column = read_column(path, ("split", "side", "role"), expected, "to two sides,")
    sides = {image: side.lower() for image, side in column.items()}
    if wrong := sorted(set(sides.values()) - set(_SIDES)):
        raise SettingsError(
            f"The table '{path.name}' has the split {wrong[0]!r}: expected train or validation."
        )
    found = [sides.get(n) or sides.get(bare_name(Path(n))) for n in names]
    if missing := [n for n, where in zip(names, found, strict=True) if where is None]:
        raise SettingsError(
            f"The table '{path.name}' has no split for {len(missing)} of {len(names)} images, "
            f"for example '{missing[0]}'. Add a line for each."
        )
    places: dict[str, list[int]] = {"train": [], "validation": []}
    for index, where in enumerate(found):
        places[_SIDES[where or ""]].append(index)
    if not places["train"]:
        raise SettingsError(
            f"The table '{path.name}' leaves no image to train on. Assign at least one to train."
        )
    return Split(tuple(places["train"]), tuple(places["validation"]), "table")
