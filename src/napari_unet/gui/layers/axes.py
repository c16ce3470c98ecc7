"""Meaning of the dimensions of a layer: time, depth, channel, height or width."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.core.errors import ImageError, UNetError
from napari_unet.core.images.image import AXES

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_unet.core.io.raw_image import RawImage

__all__ = ["FileFacts", "check_axes", "file_facts", "layer_shape", "propose_axes"]

_WORDS = {
    "T": ("t", "time", "frame", "frames", "timepoint", "n", "p", "s", "scene", "sample", "series",
          "position", "field", "image", "batch"),
    "Z": ("z", "depth", "plane", "planes", "slice", "slices", "section"),
    "C": ("c", "ch", "channel", "channels", "colour", "color", "wavelength"),
    "Y": ("y", "height", "row", "rows"),
    "X": ("x", "width", "col", "column", "columns"),
}  # fmt: skip
_LETTERS = {word: letter for letter, words in _WORDS.items() for word in words}
_MOST_CHANNELS = 4
"""An unnamed leading axis of at most this length is more often channels than a stack."""


class FileFacts:
    """Facts from the file of a layer: a letter per axis, shape, and µm per pixel by letter."""

    def __init__(self, axes: str, shape: tuple[int, ...], spacing_um: dict[str, float]) -> None:
        self.axes, self.shape, self.spacing_um = axes, shape, spacing_um


def layer_shape(layer: Layer) -> tuple[int, ...]:
    """Return the shape of a layer's data at full resolution, without RGB colours."""
    data: Any = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    return tuple(int(n) for n in data.shape[: layer.ndim])


def propose_axes(layer: Layer) -> str:
    """Propose the meaning of each dimension of an Image or Labels layer.

    The proposal uses the layer's axis labels, or the file of the layer if they are missing.
    Otherwise the last two axes are height and width, a short leading axis (2 to 4) holds channels,
    and the others are depth, then time. As this is a guess, show it and let users change it.

    Parameters
    ----------
    layer
        Image or Labels layer.

    Returns
    -------
    str
        One letter of ``"TZCYX"`` per dimension of the layer, in its order. The colours of an RGB
        layer do not count as a dimension: an RGB picture has the axes ``YX``.
    """
    shape = layer_shape(layer)
    named = _from_labels(layer)
    if "" in named and (facts := file_facts(layer)) is not None:
        from_file = _fit(facts, shape)
        if from_file is not None and all(
            a in ("", b) for a, b in zip(named, from_file, strict=True)
        ):
            return from_file
    return _fill(named, shape, rgb=bool(getattr(layer, "rgb", False)) or _is_labels(layer))


def check_axes(layer: Layer, axes: str | None) -> str:
    """Check the axes entered by the user, or propose axes if there are none.

    Raises
    ------
    ImageError
        If they are not one letter of ``"TZCYX"`` per dimension of the layer, with Y and X.
    """
    if axes is None:
        return propose_axes(layer)
    letters = axes.strip().upper()
    if getattr(layer, "rgb", False) and len(letters) == layer.ndim + 1 and letters[-1] in "SC":
        letters = letters[:-1]
    good = set(letters) <= set(AXES) and len(set(letters)) == len(letters)
    if not good or len(letters) != layer.ndim or not {"Y", "X"} <= set(letters):
        raise ImageError(
            f"'{layer.name}' has {layer.ndim} dimensions {layer_shape(layer)}, but the axes are "
            f"{axes!r}: expected one letter per dimension, from T (time), Z (depth), C "
            f"(channel), Y and X, for example {propose_axes(layer)!r}."
        )
    return letters


def file_facts(layer: Layer) -> FileFacts | None:
    """Read axes and pixel size from the file of a layer; None if they are not available."""
    source = getattr(layer, "source", None)
    path = getattr(source, "path", None)
    if not path:
        return None
    try:
        return _read_facts(Path(path), Path(path).stat().st_mtime_ns)
    except OSError:  # moved, or a web address
        return None


@lru_cache(maxsize=64)
def _read_facts(path: Path, _changed_ns: int) -> FileFacts | None:
    from napari_unet.core.io.raw_image import name_axes

    try:
        raw = _raw(path)
        if raw is None:
            return None
        data, letters = name_axes(raw, None, path.name)
    except UNetError:
        return None
    except Exception:  # every library fails in its own way on a foreign file
        return None
    return FileFacts(letters, tuple(int(n) for n in data.shape), dict(raw.spacing_um))


def _raw(path: Path) -> RawImage | None:
    from napari_unet.core.io.format import ReadOptions
    from napari_unet.core.io.formats import format_of

    found = format_of(path)
    if found is None or not found.names_axes:
        return None
    return found.read(path, ReadOptions(lazy=True))


def _fit(facts: FileFacts, shape: tuple[int, ...]) -> str | None:
    """Return the file's axes for a layer of this shape; None if the shapes differ."""
    pairs = [(a, n) for a, n in zip(facts.axes, facts.shape, strict=True) if a != "S"]
    if tuple(n for _, n in pairs) != shape:
        pairs = [(a, n) for a, n in pairs if n > 1 or a in "YX"]
    if tuple(n for _, n in pairs) == shape:
        return "".join(a for a, _ in pairs)
    # a reader may have made a layer of each channel
    pairs = [(a, n) for a, n in pairs if a != "C"]
    return "".join(a for a, _ in pairs) if tuple(n for _, n in pairs) == shape else None


def _is_labels(layer: Layer) -> bool:
    return getattr(layer, "selected_label", None) is not None


def _from_labels(layer: Layer) -> list[str]:
    """Return a letter per dimension, empty if its axis label is unknown or not unique."""
    labels = getattr(layer, "axis_labels", ("",) * layer.ndim)
    letters = [_LETTERS.get(str(label).strip().lower(), "") for label in labels]
    return [a if letters.count(a) == 1 else "" for a in letters]


def _fill(named: list[str], shape: tuple[int, ...], *, rgb: bool) -> str:
    """Assign letters to the unnamed axes, from the right."""
    letters = list(named)
    for letter in "XY":
        if letter not in letters:
            free = [i for i, a in enumerate(letters) if not a]
            if not free:  # no axis is left for this letter: the names were wrong
                return _fill([""] * len(shape), shape, rgb=rgb)
            letters[free[-1]] = letter
    free = [i for i, a in enumerate(letters) if not a]
    short = [i for i in free if 2 <= shape[i] <= _MOST_CHANNELS]
    if short and "C" not in letters and not rgb:
        letters[short[-1]] = "C"
    for i in reversed([i for i in free if not letters[i]]):
        left = [a for a in "ZTC" if a not in letters]
        letters[i] = left[0] if left else "?"
    return "".join(letters)
