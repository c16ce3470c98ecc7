"""Bad inputs: each function creates one in a folder and returns the call that reads it."""

import errno
import json
import os
import pickle
import struct
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as Picture

from napari_unet.core.augmentation.settings import Augmentation
from napari_unet.core.datasets.pairs import Split, find_pairs, load_pairs, pairs_from_arrays
from napari_unet.core.datasets.split_choice import choose_split
from napari_unet.core.evaluation.evaluation import evaluate
from napari_unet.core.evaluation.label_files import evaluate_files
from napari_unet.core.images.image import Image, PixelSize
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.images.pair import Pair
from napari_unet.core.io.image_files import read_image, read_labels, write_image, write_labels
from napari_unet.core.models.catalogue import find_model
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.model_file import load_model, save_model
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.models.unet import UNet
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.prediction.batch import BatchOptions, predict_files
from napari_unet.core.prediction.batch_inputs import find_inputs
from napari_unet.core.prediction.prediction import predict
from napari_unet.core.settings import parse_settings
from napari_unet.core.system.atomic_files import atomic_write_csv
from napari_unet.core.system.device import choose_compute
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import Semantic
from napari_unet.core.training.run_folder import RunFolder
from napari_unet.core.training.settings import Budget, TrainingSettings
from napari_unet.core.training.training import resume, train

Call = Callable[[], object]

SIZE = (40, 48)

TINY = {
    "budget": {"steps": 1},
    "depth": 1,
    "base_channels": 1,
    "patch_px": 16,
    "batch_size": 1,
    "validation_fraction": 0,
    "epoch_steps": 1,
    "augmentation": Augmentation.preset("none"),
    "device": "cpu",
    "precision": "float32",
}
"""Settings of a very short training run."""


# -- valid inputs, to be damaged in one way -----------------------------------------------------


def pixels(shape: Sequence[int] = SIZE, dtype: str = "uint8") -> np.ndarray:
    return np.random.default_rng(1).integers(0, 200, tuple(shape)).astype(dtype)


def objects(shape: Sequence[int] = SIZE) -> np.ndarray:
    labels = np.zeros(tuple(shape), np.uint16)
    labels[..., 5:15, 5:15], labels[..., 20:32, 22:40] = 1, 2
    return labels


def save(path: Path, array: np.ndarray) -> Path:
    """Write an array in the format of the suffix, with the format's own library."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".tif":
        tifffile.imwrite(path, array)
    else:
        Picture.fromarray(array).save(path)
    return path


def folder_of_pairs(here: Path, names: Sequence[str] = ("a", "b")) -> Path:
    for name in names:
        save(here / "data" / "images" / f"{name}.tif", pixels())
        save(here / "data" / "masks" / f"{name}.tif", objects())
    return here / "data"


def pairs(**changes: object) -> list[Pair]:
    return pairs_from_arrays([pixels()], [objects()], names=["cells"], **changes)


def tiny(**changes: object) -> TrainingSettings:
    return parse_settings(TrainingSettings, TINY | changes)


def tiny_model(ndim: int = 2, channels: int = 1, **header: object) -> Model:
    unet = UNetConfig(
        ndim=ndim, in_channels=channels, out_channels=2 + ndim, depth=1, base_channels=1
    )
    fields = {"unet": unet, "task": Instances(ndim=ndim), "normalization": Normalization()}
    return Model(ModelInfo(**(fields | {"name": "tiny"} | header)), UNet(unet).state_dict())


def model_file(here: Path) -> Path:
    save_model(here / "model.safetensors", tiny_model())
    return here / "model.safetensors"


def run_training(here: Path, data: list[Pair], task: object = None, **settings: object) -> Call:
    return lambda: list(train(data, task or Instances(), here / "run", tiny(**settings)))


def finished_run(here: Path) -> Path:
    list(train(pairs(), Instances(), here / "run", tiny()))
    return here / "run"


# -- files that cannot be read ------------------------------------------------------------------


def missing_file(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: read_image(here / "cells.tif")


def empty_file(here: Path, patch: pytest.MonkeyPatch) -> Call:
    (here / "cells.tif").touch()
    return lambda: read_image(here / "cells.tif")


def folder_as_file(here: Path, patch: pytest.MonkeyPatch) -> Call:
    (here / "cells.tif").mkdir()
    return lambda: read_image(here / "cells.tif")


def truncated_tiff(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = save(here / "cells.tif", pixels())
    path.write_bytes(path.read_bytes()[:900])
    return lambda: read_image(path)


def truncated_stack(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = here / "stack.tif"
    write_image(path, Image(pixels((5, *SIZE)), "ZYX"))
    path.write_bytes(path.read_bytes()[:6000])
    return lambda: read_image(path)


def truncated_tiff_lazily(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = save(here / "cells.tif", pixels())
    path.write_bytes(path.read_bytes()[:900])
    return lambda: read_image(path, lazy=True)


def text_named_tiff(here: Path, patch: pytest.MonkeyPatch) -> Call:
    (here / "cells.tif").write_text("<html>404 Not Found</html>")
    return lambda: read_image(here / "cells.tif")


def truncated_png(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = save(here / "cells.png", pixels())
    path.write_bytes(path.read_bytes()[:700])
    return lambda: read_image(path)


def truncated_jpeg(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = save(here / "cells.jpg", pixels())
    path.write_bytes(path.read_bytes()[:900])
    return lambda: read_image(path)


def png_of_16_bit_colour(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = save(here / "stain.png", pixels((*SIZE, 3)))
    content = bytearray(path.read_bytes())
    content[24:26] = struct.pack("BB", 16, 2)
    path.write_bytes(content)
    return lambda: read_image(path)


def microscope_format(here: Path, patch: pytest.MonkeyPatch) -> Call:
    (here / "plate.czi").write_bytes(b"ZISRAWFILE" + bytes(100))
    return lambda: read_image(here / "plate.czi")


def several_images_in_a_tiff(here: Path, patch: pytest.MonkeyPatch) -> Call:
    with tifffile.TiffWriter(here / "positions.ome.tif", ome=True) as tif:
        for _ in range(3):
            tif.write(pixels(), metadata={"axes": "YX"})
    return lambda: read_image(here / "positions.ome.tif")


def pickle_named_npy(here: Path, patch: pytest.MonkeyPatch) -> Call:
    np.save(here / "cells.npy", np.array({"masks": 1}, object), allow_pickle=True)
    return lambda: read_image(here / "cells.npy")


def complex_numbers(here: Path, patch: pytest.MonkeyPatch) -> Call:
    save(here / "fft.npy", np.fft.fft2(pixels()))
    return lambda: read_image(here / "fft.npy")


def text_array(here: Path, patch: pytest.MonkeyPatch) -> Call:
    save(here / "words.npy", np.full(SIZE, "a"))
    return lambda: read_image(here / "words.npy")


def no_pixels(here: Path, patch: pytest.MonkeyPatch) -> Call:
    save(here / "crop.npy", np.zeros((0, 48), np.uint8))
    return lambda: read_image(here / "crop.npy")


def a_single_number(here: Path, patch: pytest.MonkeyPatch) -> Call:
    save(here / "mean.npy", np.array(3.5))
    return lambda: read_image(here / "mean.npy")


def empty_zarr(here: Path, patch: pytest.MonkeyPatch) -> Call:
    import zarr

    zarr.open_group(str(here / "cells.zarr"), mode="w")
    return lambda: read_image(here / "cells.zarr")


def zarr_with_damaged_metadata(here: Path, patch: pytest.MonkeyPatch) -> Call:
    (here / "cells.zarr").mkdir()
    (here / "cells.zarr" / "zarr.json").write_text('{"zarr_format": 3, "node')
    return lambda: read_image(here / "cells.zarr")


def no_permission_to_read(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = save(here / "cells.npy", pixels())

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    patch.setattr(np, "load", refuse)
    return lambda: read_image(path)


# -- axes and channels --------------------------------------------------------------------------


def stack_without_axes(here: Path, patch: pytest.MonkeyPatch) -> Call:
    save(here / "stack.npy", pixels((5, *SIZE)))
    return lambda: read_image(here / "stack.npy")


def too_few_axes_named(here: Path, patch: pytest.MonkeyPatch) -> Call:
    save(here / "stack.npy", pixels((5, *SIZE)))
    return lambda: read_image(here / "stack.npy", axes="YX")


def unknown_axis(here: Path, patch: pytest.MonkeyPatch) -> Call:
    save(here / "stack.npy", pixels((5, *SIZE)))
    return lambda: read_image(here / "stack.npy", axes="QYX")


def axis_named_twice(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: Image.from_array(pixels((5, *SIZE)), "YYX", name="stack")


def array_with_five_axes(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: Image.from_array(pixels((2, 3, 4, 8, 8)), name="movie")


def unknown_channel_name(here: Path, patch: pytest.MonkeyPatch) -> Call:
    image = Image(pixels((2, *SIZE)), "CYX", "cells", channel_names=("DAPI", "GFP"))
    return lambda: image.select_channels(("dapi",))


def channel_number_too_high(here: Path, patch: pytest.MonkeyPatch) -> Call:
    save(here / "cells.tif", pixels())
    return lambda: read_image(here / "cells.tif", channels=[1])


def pixel_size_of_zero(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: PixelSize((0.0, 0.65))


# -- labels -------------------------------------------------------------------------------------


def cellpose_pickle(here: Path, patch: pytest.MonkeyPatch) -> Call:
    np.save(here / "a_seg.npy", np.array({"masks": objects()}, object), allow_pickle=True)
    return lambda: read_labels(here / "a_seg.npy")


def probability_map_as_labels(here: Path, patch: pytest.MonkeyPatch) -> Call:
    save(here / "a_mask.tif", pixels(dtype="float32") / 200)
    return lambda: read_labels(here / "a_mask.tif")


def nan_in_labels(here: Path, patch: pytest.MonkeyPatch) -> Call:
    labels = objects().astype(np.float32)
    labels[0, 0] = np.nan
    save(here / "a_mask.tif", labels)
    return lambda: read_labels(here / "a_mask.tif")


def negative_labels(here: Path, patch: pytest.MonkeyPatch) -> Call:
    save(here / "a_mask.tif", objects().astype(np.int16) - 1)
    return lambda: read_labels(here / "a_mask.tif")


def mask_in_colour(here: Path, patch: pytest.MonkeyPatch) -> Call:
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)
    save(here / "a_mask.png", colours[objects()])
    return lambda: read_labels(here / "a_mask.png")


def mask_with_channels(here: Path, patch: pytest.MonkeyPatch) -> Call:
    write_image(here / "a_mask.tif", Image(pixels((2, *SIZE)), "CYX"))
    return lambda: read_labels(here / "a_mask.tif")


def mask_of_another_size(here: Path, patch: pytest.MonkeyPatch) -> Call:
    source = folder_of_pairs(here)
    save(source / "masks" / "b.tif", objects((41, 48)))
    return lambda: load_pairs(find_pairs(source))


def annotated_area_of_another_size(here: Path, patch: pytest.MonkeyPatch) -> Call:
    image = Image(pixels(), "YX", "cells")
    return lambda: Pair(image, objects(), annotated=np.ones((4, 4), bool))


def nothing_painted(here: Path, patch: pytest.MonkeyPatch) -> Call:
    data = pairs_from_arrays([pixels()], [np.zeros(SIZE, np.uint8)])
    return run_training(here, data)


def painted_outside_of_the_area(here: Path, patch: pytest.MonkeyPatch) -> Call:
    area = np.zeros(SIZE, bool)
    pair = Pair(Image(pixels(), "YX", "cells"), objects(), annotated=area)
    return run_training(here, [pair])


def nothing_painted_in_classes(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: Semantic.from_labels([np.zeros(SIZE, np.uint8)], sparse=True)


def one_class_only(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: Semantic.from_labels([(objects() > 0) * np.uint8(3)], sparse=True)


def objects_taken_for_classes(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: Semantic.from_labels([np.arange(400).reshape(20, 20)])


def class_that_is_not_in_the_table(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return run_training(here, pairs(), Semantic.from_labels([objects() > 0]))


def sparse_objects_without_area(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return run_training(here, pairs(), Instances(sparse=True))


def unknown_repair(here: Path, patch: pytest.MonkeyPatch) -> Call:
    source = folder_of_pairs(here)
    return lambda: load_pairs(find_pairs(source), repair=["holes"])


def labels_beyond_32_bits(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: write_labels(here / "a.tif", np.full(SIZE, 2**32, np.uint64))


def too_many_objects_for_png(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: write_labels(here / "a.png", np.arange(65_537).reshape(1, -1))


# -- folders and tables -------------------------------------------------------------------------


def missing_folder(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: find_pairs(here / "nuclei")


def empty_folder(here: Path, patch: pytest.MonkeyPatch) -> Call:
    (here / "nuclei").mkdir()
    return lambda: find_pairs(here / "nuclei")


def images_without_masks(here: Path, patch: pytest.MonkeyPatch) -> Call:
    save(here / "nuclei" / "a.tif", pixels())
    return lambda: find_pairs(here / "nuclei")


def names_that_do_not_match(here: Path, patch: pytest.MonkeyPatch) -> Call:
    save(here / "nuclei" / "images" / "img_1.tif", pixels())
    save(here / "nuclei" / "masks" / "lab_1.tif", objects())
    return lambda: find_pairs(here / "nuclei")


def two_masks_for_one_image(here: Path, patch: pytest.MonkeyPatch) -> Call:
    for name in ("a.tif", "a_mask.tif", "a_labels.tif"):
        save(here / "nuclei" / name, objects())
    return lambda: find_pairs(here / "nuclei")


def masks_and_labels(here: Path, patch: pytest.MonkeyPatch) -> Call:
    source = folder_of_pairs(here)
    save(source / "labels" / "a.tif", objects())
    return lambda: find_pairs(source)


def only_cellpose_pickles(here: Path, patch: pytest.MonkeyPatch) -> Call:
    save(here / "nuclei" / "a.tif", pixels())
    np.save(here / "nuclei" / "a_seg.npy", np.array({}, object), allow_pickle=True)
    return lambda: find_pairs(here / "nuclei")


def folder_one_level_too_high(here: Path, patch: pytest.MonkeyPatch) -> Call:
    folder_of_pairs(here / "download")
    return lambda: find_pairs(here / "download")


def images_of_different_channels(here: Path, patch: pytest.MonkeyPatch) -> Call:
    source = folder_of_pairs(here)
    save(source / "images" / "b.tif", pixels((*SIZE, 3)))
    return lambda: load_pairs(find_pairs(source))


def arrays_of_different_channels(here: Path, patch: pytest.MonkeyPatch) -> Call:
    data = pairs_from_arrays([pixels(), pixels((*SIZE, 3))], [objects()] * 2)
    return run_training(here, data)


def fewer_labels_than_images(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: pairs_from_arrays([pixels(), pixels()], [objects()])


def no_pairs(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return run_training(here, [])


def table(here: Path, text: str) -> Path:
    folder_of_pairs(here)
    (here / "table.csv").write_text(text)
    return here / "table.csv"


def table_without_columns(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = table(here, "picture,mask\ndata/images/a.tif,data/masks/a.tif\n")
    return lambda: find_pairs(path)


def empty_table(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = table(here, "")
    return lambda: find_pairs(path)


def table_with_a_missing_file(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = table(here, "image,mask\ndata/images/a.tif,data/masks/c.tif\n")
    return lambda: find_pairs(path)


def table_with_empty_cells(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = table(here, "image,mask\ndata/images/a.tif,\n")
    return lambda: find_pairs(path)


def table_from_a_spreadsheet(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = here / "table.csv"
    path.write_bytes(b"PK\x03\x04\x14\x00\xff\xfe\x00\x9c")
    return lambda: find_pairs(path)


def groups_without_an_image(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = table(here, "id,field\na,1\n")
    return lambda: find_pairs(here / "data", groups=path)


def groups_without_columns(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = table(here, "well,plate\na,1\n")
    return lambda: find_pairs(here / "data", groups=path)


def missing_group_table(here: Path, patch: pytest.MonkeyPatch) -> Call:
    source = folder_of_pairs(here)
    return lambda: find_pairs(source, groups=here / "fields.csv")


def broken_group_pattern(here: Path, patch: pytest.MonkeyPatch) -> Call:
    source = folder_of_pairs(here)
    return lambda: find_pairs(source, group_pattern="^(.+_tile")


def split_table_without_an_image(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = table(here, "id,split\na,train\n")
    return lambda: choose_split(str(path), ["a", "b"], ["a", "b"])


def split_table_with_an_unknown_side(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = table(here, "id,split\na,train\nb,test\n")
    return lambda: choose_split(str(path), ["a", "b"], ["a", "b"])


def split_table_with_an_image_on_both_sides(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = table(here, "id,split\na,train\na,validation\nb,train\n")
    return lambda: choose_split(str(path), ["a", "b"], ["a", "b"])


def unknown_split(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: choose_split("random", ["a", "b"], ["a", "b"])


def image_in_two_groups(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = table(here, "id,field\na,1\na,2\nb,3\n")
    return lambda: find_pairs(here / "data", groups=path)


def table_with_an_image_in_two_groups(here: Path, patch: pytest.MonkeyPatch) -> Call:
    row = "data/images/a.tif,data/masks/a.tif"
    path = table(here, f"image,mask,group\n{row},1\n{row},2\n")
    return lambda: find_pairs(path)


def table_with_an_endless_cell(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = table(here, f'image,mask\n"{"a" * 200_000}\n')
    return lambda: find_pairs(path)


def no_permission_to_list_a_folder(here: Path, patch: pytest.MonkeyPatch) -> Call:
    (here / "nuclei").mkdir()

    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    patch.setattr(Path, "iterdir", refuse)
    return lambda: find_pairs(here / "nuclei")


def only_unlabelled_planes_to_train_on(here: Path, patch: pytest.MonkeyPatch) -> Call:
    stack, painted = pixels((2, *SIZE)), objects((2, *SIZE))
    data = pairs_from_arrays([stack, stack], [painted, np.zeros_like(painted)], axes="TYX")
    split = Split((1,), (0,), "given")
    return lambda: list(train(data, Instances(), here / "run", tiny(), split=split))


def split_beyond_the_data(here: Path, patch: pytest.MonkeyPatch) -> Call:
    split = Split((0,), (1,), "given")
    return lambda: list(train(pairs(), Instances(), here / "run", tiny(), split=split))


# -- settings -----------------------------------------------------------------------------------


def settings(**values: object) -> Call:
    return lambda: parse_settings(TrainingSettings, values)


def patch_that_is_no_multiple(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return settings(patch_px=100)


def patch_in_words(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return settings(patch_px="large")


def misspelt_setting(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return settings(batchsize=4)


def negative_learning_rate(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return settings(learning_rate=-0.001)


def too_deep_a_network(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return settings(depth=20)


def percentiles_reversed(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return settings(normalization={"low": 99.8, "high": 1})


def manual_range_missing(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return settings(normalization={"mode": "manual"})


def manual_range_without_end(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return settings(normalization={"mode": "manual", "manual": (0, np.inf)})


def magnification_reversed(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return settings(augmentation={"scale": (1.25, 0.8)})


def no_steps(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return settings(budget={"steps": 0})


def no_budget(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return settings(budget={})


def block_of_no_size(here: Path, patch: pytest.MonkeyPatch) -> Call:
    image = Image(pixels(), "YX", "cells")
    return lambda: predict(tiny_model(), image, PredictOptions(device="cpu", block_px=0))


def unknown_device(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return run_training(here, pairs(), device="gpu")


def unknown_device_number(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: choose_compute("cpu:first")


def half_precision_on_cpu(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return run_training(here, pairs(), precision="float16")


def unknown_augmentation(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: Augmentation.preset("heavy")


def two_budgets(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: parse_settings(Budget, {"minutes": 5, "epochs": 10})


def threshold_above_one(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: tiny_model().info.adjusted({"threshold": 50})


def validation_share_of_one(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: choose_split("random42", ["a", "b"], ["a", "b"], fraction=1.0)


# -- values of pixels ---------------------------------------------------------------------------


def nan_in_a_training_image(here: Path, patch: pytest.MonkeyPatch) -> Call:
    image = pixels(dtype="float32")
    image[3, 4] = np.nan
    return run_training(here, pairs_from_arrays([image], [objects()], names=["cells"]))


def nan_in_one_plane(here: Path, patch: pytest.MonkeyPatch) -> Call:
    movie = pixels((3, *SIZE), "float32")
    movie[1, 3, 4] = np.nan
    return lambda: predict(tiny_model(), Image(movie, "TYX", "movie"), PredictOptions(device="cpu"))


def infinity_in_an_image(here: Path, patch: pytest.MonkeyPatch) -> Call:
    image = pixels(dtype="float32")
    image[3] = np.inf
    return lambda: predict(tiny_model(), Image(image, "YX", "cells"), PredictOptions(device="cpu"))


def values_that_mean_no_data(here: Path, patch: pytest.MonkeyPatch) -> Call:
    image = pixels(dtype="float32")
    image[3, :5] = np.finfo(np.float32).min
    return lambda: predict(tiny_model(), Image(image, "YX", "cells"), PredictOptions(device="cpu"))


# -- models -------------------------------------------------------------------------------------


def missing_model(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: load_model(here / "model.safetensors")


def unknown_model_name(here: Path, patch: pytest.MonkeyPatch) -> Call:
    patch.setenv("NAPARI_UNET_MODELS", str(here))
    return lambda: find_model("nucleii")


def folder_without_a_model(here: Path, patch: pytest.MonkeyPatch) -> Call:
    (here / "run").mkdir()
    return lambda: find_model(here / "run")


def empty_model(here: Path, patch: pytest.MonkeyPatch) -> Call:
    (here / "model.safetensors").touch()
    return lambda: load_model(here / "model.safetensors")


def truncated_model(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = model_file(here)
    path.write_bytes(path.read_bytes()[:-100])
    return lambda: load_model(path)


def pickled_model(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = here / "model.safetensors"
    path.write_bytes(pickle.dumps({"state_dict": Trap(here / "ran")}))
    return lambda: load_model(path)


class Trap:
    """Object that leaves a folder behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def keras_model(here: Path, patch: pytest.MonkeyPatch) -> Call:
    (here / "weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    return lambda: load_model(here / "weights.h5")


def changed_header(here: Path, **changes: object) -> Path:
    """Write a model file whose header does not match its weights."""
    from safetensors.torch import save_file

    model = tiny_model()
    header = json.loads(model.info.model_dump_json()) | changes
    save_file(model.weights, here / "model.safetensors", {"napari_unet": json.dumps(header)})
    return here / "model.safetensors"


def newer_model(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = changed_header(here, format_version=99)
    return lambda: load_model(path)


def model_of_another_size(here: Path, patch: pytest.MonkeyPatch) -> Call:
    unet = {"in_channels": 1, "out_channels": 4, "depth": 2, "base_channels": 1}
    path = changed_header(here, unet=unet)
    return lambda: load_model(path)


def foreign_weights(here: Path, patch: pytest.MonkeyPatch) -> Call:
    from safetensors.torch import save_file

    save_file(tiny_model().weights, here / "sam.safetensors")
    return lambda: load_model(here / "sam.safetensors")


def colour_image_for_a_grey_model(here: Path, patch: pytest.MonkeyPatch) -> Call:
    image = Image.from_array(pixels((*SIZE, 3)), name="stain")
    return lambda: predict(tiny_model(), image, PredictOptions(device="cpu"))


def plane_for_a_model_of_volumes(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: predict(
        tiny_model(ndim=3), Image(pixels(), "YX", "cells"), PredictOptions(device="cpu")
    )


def start_from_a_model_of_volumes(here: Path, patch: pytest.MonkeyPatch) -> Call:
    start = tiny_model(ndim=3)
    return lambda: list(train(pairs(), Instances(), here / "run", tiny(), start=start))


# -- runs ---------------------------------------------------------------------------------------


def resume_of_nothing(here: Path, patch: pytest.MonkeyPatch) -> Call:
    (here / "run").mkdir()
    return lambda: list(resume(here / "run", pairs()))


def run_that_is_there_already(here: Path, patch: pytest.MonkeyPatch) -> Call:
    finished_run(here)
    return run_training(here, pairs())


def damaged_run_settings(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = finished_run(here) / "settings.json"
    path.write_text(path.read_text()[:200])
    return lambda: list(resume(here / "run", pairs()))


def truncated_state(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = finished_run(here) / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-50])
    return lambda: list(resume(here / "run", pairs()))


def model_as_state(here: Path, patch: pytest.MonkeyPatch) -> Call:
    run = finished_run(here)
    (run / "state.safetensors").write_bytes((run / "last.safetensors").read_bytes())
    return lambda: list(resume(here / "run", pairs()))


def state_of_another_network(here: Path, patch: pytest.MonkeyPatch) -> Call:
    run = finished_run(here)
    list(train(pairs(), Instances(), here / "other", tiny(base_channels=2)))
    (run / "state.safetensors").write_bytes((here / "other/state.safetensors").read_bytes())
    return lambda: list(resume(here / "run", pairs()))


def run_without_state(here: Path, patch: pytest.MonkeyPatch) -> Call:
    (finished_run(here) / "state.safetensors").unlink()
    return lambda: list(resume(here / "run", pairs()))


def run_without_label_snapshot(here: Path, patch: pytest.MonkeyPatch) -> Call:
    (finished_run(here) / "labels.npz").unlink()
    return lambda: list(resume(here / "run", pairs()))


def truncated_label_snapshot(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = finished_run(here) / "labels.npz"
    path.write_bytes(path.read_bytes()[:-80])
    return lambda: list(resume(here / "run", pairs()))


def labels_painted_on_since(here: Path, patch: pytest.MonkeyPatch) -> Call:
    finished_run(here)
    data = pairs()
    data[0].labels[0, 0] = 7
    return lambda: list(resume(here / "run", data))


def damaged_history(here: Path, patch: pytest.MonkeyPatch) -> Call:
    (here / "run").mkdir()
    (here / "run" / "history.csv").write_text("epoch,train_loss\n1,abc\n")
    return lambda: RunFolder(here / "run").read_history()


# -- places that cannot be written to -----------------------------------------------------------


@contextmanager
def full_disk(after_bytes: int):
    """Limit the size of files, so that the kernel refuses to write half-way through."""
    resource = pytest.importorskip("resource", reason="limits on files are POSIX only")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (after_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def with_full_disk(call: Call, after_bytes: int = 1000) -> Call:
    def limited() -> object:
        with full_disk(after_bytes):
            return call()

    return limited


def no_space(patch: pytest.MonkeyPatch) -> None:
    """Make `Path.write_bytes` fail half-way through every file."""

    def break_off(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    patch.setattr(Path, "write_bytes", break_off)


def disk_full_while_labels_are_written(here: Path, patch: pytest.MonkeyPatch) -> Call:
    write_labels(here / "a.tif", objects())
    return with_full_disk(lambda: write_labels(here / "a.tif", pixels()))


def disk_full_while_zarr_is_written(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return with_full_disk(lambda: write_image(here / "a.zarr", Image(pixels(), "YX")))


def disk_full_while_png_is_written(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return with_full_disk(lambda: write_image(here / "a.png", Image(pixels(), "YX")))


def disk_full_while_a_model_is_saved(here: Path, patch: pytest.MonkeyPatch) -> Call:
    path = model_file(here)
    no_space(patch)
    return lambda: save_model(path, tiny_model())


def disk_full_at_the_start_of_a_run(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return with_full_disk(run_training(here, pairs()), after_bytes=50)


def disk_full_at_a_checkpoint(here: Path, patch: pytest.MonkeyPatch) -> Call:
    """Resume a run whose disk fills up; the last checkpoint must stay intact."""
    stop = iter([False, True])
    settings = tiny(budget={"steps": 2}, epoch_steps=5)
    list(train(pairs(), Instances(), here / "run", settings, should_stop=lambda: next(stop)))
    no_space(patch)
    return lambda: list(resume(here / "run", pairs()))


def read_only_place(here: Path, patch: pytest.MonkeyPatch) -> Call:
    def refuse(path: Path, *args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    patch.setattr(Path, "mkdir", refuse)
    return run_training(here, pairs())


def no_permission_to_write(here: Path, patch: pytest.MonkeyPatch) -> Call:
    def refuse(*args: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    patch.setattr(os, "replace", refuse)
    patch.setattr(Path, "replace", refuse)
    return lambda: atomic_write_csv(here / "objects.csv", [{"id": 1}])


def file_instead_of_a_run_folder(here: Path, patch: pytest.MonkeyPatch) -> Call:
    (here / "run").write_text("notes")
    return run_training(here, pairs())


def file_instead_of_a_results_folder(here: Path, patch: pytest.MonkeyPatch) -> Call:
    save(here / "cells.tif", pixels())
    (here / "results").write_text("notes")
    return predict_into(here, [here / "cells.tif"])


def results_folder_without_permission(here: Path, patch: pytest.MonkeyPatch) -> Call:
    save(here / "cells.tif", pixels())
    (here / "results").mkdir()

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    patch.setattr(tempfile, "mkdtemp", refuse)
    return predict_into(here, [here / "cells.tif"])


def name_that_is_too_long(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: write_labels(here / ("a" * 300 + ".tif"), objects())


def labels_over_a_folder(here: Path, patch: pytest.MonkeyPatch) -> Call:
    save(here / "a.zarr" / "cells.tif", pixels())
    return lambda: write_labels(here / "a.zarr", objects())


def unknown_format_to_write(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: write_labels(here / "a.jpg", objects())


# -- many files ---------------------------------------------------------------------------------


def predict_into(here: Path, inputs: Sequence[Path], **options: object) -> Call:
    values = {"device": "cpu", "precision": "float32"} | options
    own = {k: v for k, v in values.items() if k in PredictOptions.model_fields}
    others = {k: v for k, v in values.items() if k not in own}
    files = find_inputs(inputs).files
    return lambda: list(
        predict_files(
            tiny_model(), files, BatchOptions(here / "results", PredictOptions(**own), **others)
        )
    )


def no_images_in_a_folder(here: Path, patch: pytest.MonkeyPatch) -> Call:
    (here / "notes.txt").write_text("Monday")
    return lambda: find_inputs([here])


def pattern_without_a_match(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: find_inputs([here / "*_dapi.tif"])


def results_that_are_there_already(here: Path, patch: pytest.MonkeyPatch) -> Call:
    save(here / "cells.tif", pixels())
    save(here / "results" / "cells_labels.tif", objects())
    return predict_into(here, [here / "cells.tif"])


def disk_full_while_predicting(here: Path, patch: pytest.MonkeyPatch) -> Call:
    save(here / "cells.tif", pixels())
    (here / "results").mkdir()
    return with_full_disk(predict_into(here, [here / "cells.tif"]))


def unknown_device_for_a_prediction(here: Path, patch: pytest.MonkeyPatch) -> Call:
    save(here / "cells.tif", pixels())
    return predict_into(here, [here / "cells.tif"], device="tpu")


# -- evaluation ---------------------------------------------------------------------------------


def prediction_of_another_size(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: evaluate(objects(), objects((41, 48)), name="cells")


def prediction_in_floats(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: evaluate(pixels(dtype="float32") / 200, objects(), name="cells")


def negative_prediction(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: evaluate(objects().astype(np.int32) - 1, objects(), name="cells")


def classes_of_other_names(here: Path, patch: pytest.MonkeyPatch) -> Call:
    tables = {"classes": {1: "gland", 2: "stroma"}, "prediction_classes": {1: "Drüse"}}
    return lambda: evaluate(objects(), objects(), kind="semantic", **tables)


def objects_scored_as_classes(here: Path, patch: pytest.MonkeyPatch) -> Call:
    many = np.arange(3000).reshape(50, 60)
    return lambda: evaluate(many, many, kind="semantic", name="cells")


def sparse_truth_for_objects(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return lambda: evaluate(objects(), objects(), sparse=True)


def stack_without_any_truth(here: Path, patch: pytest.MonkeyPatch) -> Call:
    stack = np.zeros((3, *SIZE), np.uint8)
    return lambda: evaluate(stack, stack)


def area_that_covers_nothing(here: Path, patch: pytest.MonkeyPatch) -> Call:
    area = np.zeros(SIZE, bool)
    return lambda: evaluate(objects(), objects(), annotated=area, name="cells")


def two_folders_for_evaluation(here: Path, predicted: str, true: str) -> Call:
    save(here / "results" / predicted, objects())
    save(here / "truth" / true, objects())
    return lambda: evaluate_files(here / "results", here / "truth")


def predictions_of_other_names(here: Path, patch: pytest.MonkeyPatch) -> Call:
    return two_folders_for_evaluation(here, "a_labels.tif", "b.tif")


def empty_folder_of_predictions(here: Path, patch: pytest.MonkeyPatch) -> Call:
    call = two_folders_for_evaluation(here, "a.tif", "a.tif")
    (here / "results" / "a.tif").unlink()
    return call


def folder_against_file(here: Path, patch: pytest.MonkeyPatch) -> Call:
    two_folders_for_evaluation(here, "a.tif", "a.tif")
    return lambda: evaluate_files(here / "results", here / "truth" / "a.tif")


def truth_that_is_missing(here: Path, patch: pytest.MonkeyPatch) -> Call:
    save(here / "a.tif", objects())
    return lambda: evaluate_files(here / "a.tif", here / "truth.tif")


def same_folder_twice(here: Path, patch: pytest.MonkeyPatch) -> Call:
    save(here / "truth" / "a.tif", objects())
    return lambda: evaluate_files(here / "truth", here / "truth")
