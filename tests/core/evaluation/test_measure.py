import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unet.core.errors import LabelsError
from napari_unet.core.evaluation import measure
from napari_unet.core.evaluation.measure import find_centroids, measure_objects, summarise_objects
from napari_unet.core.images.image import Image, PixelSize
from napari_unet.core.images.units import um_per_px

LABELS = np.array(
    [
        [0, 0, 0, 0, 0, 0],
        [0, 5, 5, 0, 0, 9],
        [0, 5, 5, 0, 0, 9],
        [0, 0, 0, 0, 0, 9],
        [0, 0, 0, 0, 0, 0],
    ],
    np.uint16,
)


def test_one_plane_by_hand():
    data = np.stack([np.arange(30).reshape(5, 6), np.full((5, 6), 7)]).astype(np.uint16)
    image = Image(
        data,
        "CYX",
        name="cells",
        channel_names=("DAPI", "GFP"),
        pixel_size=PixelSize((0.5, 0.5), "µm"),
    )
    rows = measure_objects(LABELS, image, confidence={5: 0.9})
    assert rows == [
        {
            "file": "cells",
            "plane": "",
            "id": 5,
            "area_px": 4,
            "area_um2": 1.0,
            "centroid_y": 1.5,
            "centroid_x": 1.5,
            "mean_DAPI": (7 + 8 + 13 + 14) / 4,
            "mean_GFP": 7.0,
            "touches_border": False,
            "confidence": 0.9,
        },
        {
            "file": "cells",
            "plane": "",
            "id": 9,
            "area_px": 3,
            "area_um2": 0.75,
            "centroid_y": 2.0,
            "centroid_x": 5.0,
            "mean_DAPI": (11 + 17 + 23) / 3,
            "mean_GFP": 7.0,
            "touches_border": True,
            "confidence": None,
        },
    ]


def test_summary_counts_with_and_without_the_border():
    rows = measure_objects(LABELS, pixel_size=PixelSize((2, 3), "µm"))
    assert summarise_objects(rows, "a.tif") == {
        "file": "a.tif",
        "objects": 2,
        "objects_inside": 1,
        "objects_at_border": 1,
        "area_px_total": 7,
        "area_px_median": 4.0,
        "area_um2_total": 42.0,
        "area_um2_median": 24.0,
    }


def test_image_without_objects_has_a_summary_and_no_rows():
    rows = measure_objects(np.zeros((4, 4), np.uint8))
    assert rows == []
    summary = summarise_objects(rows, "empty.tif")
    assert (summary["objects"], summary["area_px_total"], summary["area_px_median"]) == (0, 0, None)


def test_each_plane_of_a_stack_is_measured_for_itself():
    stack = np.stack([LABELS, np.zeros_like(LABELS), np.where(LABELS == 9, 12, 0)])
    image = Image(stack * 2.0, "TYX", name="film")
    rows = measure_objects(stack, image, file="film.tif")
    assert [(r["plane"], r["id"], r["mean_0"]) for r in rows] == [
        ("T=0", 5, 10.0),
        ("T=0", 9, 18.0),
        ("T=2", 12, 24.0),
    ]


def test_channel_order_of_a_stack_with_depth_and_channels():
    data = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    labels = np.ones((2, 4, 5), np.uint8)
    rows = measure_objects(labels, Image(data, "ZCYX"))
    for z, row in enumerate(rows):
        assert [row[f"mean_{c}"] for c in range(3)] == data[z].mean(axis=(1, 2)).tolist()


def test_volumes_have_a_volume():
    labels = np.zeros((3, 4, 5), np.uint8)
    labels[1:3, 1:3, 1:3] = 1
    (row,) = measure_objects(labels, pixel_size=PixelSize((2, 0.5, 0.5)), ndim=3)
    assert (row["volume_px"], row["volume_um3"]) == (8, 4.0)
    assert (row["centroid_z"], row["centroid_y"], row["centroid_x"]) == (1.5, 1.5, 1.5)
    assert not row["touches_border"]
    assert "area_px" not in row


def test_colour_images_name_their_channels():
    image = Image.from_array(np.zeros((5, 6, 3), np.uint8), name="slide", rgb=True, axes="YXC")
    assert {"mean_red", "mean_green", "mean_blue"} <= set(measure_objects(LABELS, image)[0])


@pytest.mark.parametrize(
    ("spacing", "unit", "area"),
    [(500, "nm", 0.25), (0.5, "micron", 0.25), (5e-4, "mm", 0.25), (2, "pixel", None)],
)
def test_areas_are_in_square_micrometres_or_absent(spacing, unit, area):
    size = PixelSize((spacing, spacing), unit)
    row = measure_objects(np.eye(1, dtype=int), pixel_size=size)[0]
    assert row.get("area_um2") == (None if area is None else pytest.approx(area))
    assert (um_per_px(size) is None) == (area is None)


def test_anisotropic_pixel_size_of_a_stack_gives_plane_areas():
    image = Image(np.zeros((2, 5, 6)), "ZYX", pixel_size=PixelSize((2.0, 0.5, 0.25)))
    rows = measure_objects(np.stack([LABELS, LABELS * 0]), image)
    assert rows[0]["area_um2"] == 4 * 0.125


@given(hnp.arrays(np.uint8, (7, 5), elements=st.integers(0, 4)), st.sampled_from([1, 10**9]))
def test_slabs_do_not_change_the_result(labels, factor):
    labels = labels.astype(np.int64) * factor
    image = Image(np.arange(35.0).reshape(7, 5), "YX")
    whole = measure_objects(labels, image)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "_SLAB_PX", 12)
        assert measure_objects(labels, image) == whole
    assert sum(row["area_px"] for row in whole) == np.count_nonzero(labels)


@given(hnp.arrays(np.uint8, (4, 5), elements=st.integers(0, 3)))
def test_centroids_agree_with_the_mean_position(labels):
    ids = np.unique(labels[labels > 0])
    expected = [np.argwhere(labels == i).mean(axis=0) for i in ids]
    centroids, areas = find_centroids(labels, ids)
    np.testing.assert_allclose(centroids, np.reshape(expected, (-1, 2)))
    assert areas.tolist() == [(labels == i).sum() for i in ids]


def test_dask_and_confidence_array():
    da = pytest.importorskip("dask.array")
    lazy = da.from_array(LABELS, chunks=2)
    image = Image(da.from_array(LABELS, chunks=3), "YX")
    rows = measure_objects(lazy, image, confidence=np.linspace(0, 0.9, 10))
    assert [(r["id"], r["mean_0"]) for r in rows] == [(5, 5.0), (9, 9.0)]
    assert [r["confidence"] for r in rows] == pytest.approx([0.5, 0.9])


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (LABELS.astype(float), "data type float64"),
        (-LABELS.astype(int), "lowest id of the labels is -9"),
        (LABELS[:, :-1], r"shape \(5, 5\) and the image 'cells' \(5, 6\)"),
    ],
)
def test_what_does_not_fit_gets_a_sentence(labels, sentence):
    with pytest.raises(LabelsError, match=sentence):
        measure_objects(labels, Image(LABELS, "YX", name="cells"))
