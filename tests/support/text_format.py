"""A file format unknown to the package: a matrix of numbers as text."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from napari_unet.core.io.format import Format, ReadOptions
from napari_unet.core.io.formats import FORMATS, register_format
from napari_unet.core.io.raw_image import RawImage

SPACING_UM = {"Z": 2.0, "Y": 0.5, "X": 0.25}


def read(path: Path, options: ReadOptions) -> RawImage:
    with path.open() as file:
        axes, *shape = file.readline().removeprefix("# ").split()
        values = np.loadtxt(file, dtype=np.int32)
    return RawImage(values.reshape([int(n) for n in shape]), axes, SPACING_UM)


def write(path: Path, image: RawImage) -> None:
    header = " ".join([image.axes or "", *map(str, image.data.shape)])
    np.savetxt(path, np.asarray(image.data).reshape(-1), fmt="%d", header=header)


TEXT_MATRIX = Format(
    name="text matrix",
    suffixes=(".matrix", ".mx.txt"),
    read=read,
    write=write,
    names_axes=True,
)


@contextmanager
def registered(format: Format = TEXT_MATRIX) -> Iterator[Format]:
    register_format(format)
    try:
        yield format
    finally:
        FORMATS.remove(format)
