"""An image is identified by the values, arrangement and type of its pixels, not by its
container."""

import dask.array as da
import numpy as np
import pytest

from napari_unet.core.images.fingerprint import image_hash, plane_hashes
from napari_unet.core.images.image import Image


@pytest.mark.parametrize("shape", [(3000, 5), (4, 3, 5), (2, 2, 3, 4), (7,)])
def test_chunks_do_not_matter(rng: np.random.Generator, shape: tuple[int, ...]) -> None:
    array = rng.integers(0, 9, shape).astype(np.uint16)
    chunked = da.from_array(array, chunks=tuple(max(1, n // 2) for n in shape))
    assert image_hash(chunked) == image_hash(array)
    assert image_hash(np.asfortranarray(array)) == image_hash(array)


def test_the_order_of_bytes_on_disk_does_not_matter(rng: np.random.Generator) -> None:
    array = rng.integers(0, 999, (4, 6)).astype("<u2")
    swapped = array.astype(">u2")
    assert image_hash(swapped) == image_hash(array)
    assert image_hash(da.from_array(swapped)) == image_hash(array)


def test_values_shape_and_type_matter(rng: np.random.Generator) -> None:
    array = rng.integers(0, 9, (4, 6)).astype(np.uint8)
    others = [array + np.uint8(1), array.reshape(6, 4), array.astype(np.uint16), array[::-1]]
    assert len({image_hash(a) for a in [array, *others]}) == 5


def test_each_plane_of_each_channel_is_known(rng: np.random.Generator) -> None:
    data = rng.integers(0, 9, (3, 2, 8, 8)).astype(np.uint8)
    data[1, 1] = 4  # constant: equal to that of any other image
    hashes = plane_hashes(Image(data, "TCYX"))
    assert len(hashes) == 5
    single = plane_hashes(Image(data[2, 0], "YX"))
    assert set(single) <= set(hashes)
    assert single == (image_hash(data[2, 0])[:16],)
