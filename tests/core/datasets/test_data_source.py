"""Data sources: location of the data, options for reading it, and checks of its labels."""

from pathlib import Path

import numpy as np

from napari_unet.core.datasets.data_source import DataSource
from napari_unet.core.datasets.label_check import check_pairs
from napari_unet.core.images.image import Image
from napari_unet.core.images.pair import Pair
from napari_unet.core.io.image_files import write_image, write_labels


def test_a_source_reads_the_same_data_after_it_was_saved(tmp_path: Path) -> None:
    pixels = np.arange(2 * 20 * 30, dtype=np.uint16).reshape(2, 20, 30)
    labels = np.zeros((20, 30), np.uint16)
    labels[2:8, 2:8] = labels[12:18, 12:18] = 255
    image = Image(pixels, "CYX", channel_names=("actin", "DAPI"))
    write_image(tmp_path / "images" / "x.tif", image)
    write_labels(tmp_path / "masks" / "x.tif", labels)
    source = DataSource(source=tmp_path, channels=("DAPI",), repair=("0_255",), groups="folder")
    again = DataSource.model_validate_json(source.model_dump_json())
    (pair,) = again.load(again.find())
    np.testing.assert_array_equal(np.squeeze(pair.image.data), pixels[1])
    assert np.unique(pair.labels).tolist() == [0, 1, 2]
    assert pair.group == str(tmp_path)


def test_trouble_is_gathered_by_kind() -> None:
    good = np.zeros((20, 20), np.uint8)
    good[2:8, 2:8], good[12:18, 12:18] = 1, 2
    bad = np.where(good > 0, 255, 0)
    pairs = [
        Pair(Image(good, "YX", name=name), labels)
        for name, labels in (("good", good), ("bad", bad), ("worse", bad))
    ]
    found = check_pairs(pairs, instances=True, sparse=False)
    assert list(found) == ["0_255"]
    assert ["'bad'" in i.message or "'worse'" in i.message for i in found["0_255"]] == [True, True]
