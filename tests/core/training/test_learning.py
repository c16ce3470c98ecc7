"""Training on real images: a few are enough to learn something within seconds."""

import numpy as np
import pytest
import tifffile
from scipy import ndimage
from skimage.draw import line
from skimage.segmentation import find_boundaries

from napari_unet.core.evaluation.metrics import foreground_counts, pixel_counts, pixel_summary
from napari_unet.core.images.image import Image
from napari_unet.core.images.pair import Pair
from napari_unet.core.models.model_file import load_model
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.prediction.prediction import predict
from napari_unet.core.tasks.semantic import Semantic
from napari_unet.core.training.settings import Budget, TrainingSettings
from napari_unet.core.training.training import train

CPU = {"device": "cpu", "precision": "float32"}
SETTINGS = {
    "depth": 3,
    "base_channels": 8,
    "patch_px": 96,
    "batch_size": 4,
    "learning_rate": 5e-3,
    "average_decay": 0.95,
    "validation_fraction": 0,
} | CPU


@pytest.fixture(scope="module")
def nuclei(dsb2018):
    """Read eight real images to train on and eight others, as (image, labels)."""
    files = sorted((dsb2018 / "images").glob("*.tif"))[::28][:16]
    pictures = []
    for file in files:
        image, labels = tifffile.imread(file), tifffile.imread(dsb2018 / "masks" / file.name)
        pictures.append((image[:256, :256], labels[:256, :256]))
    assert len(pictures) == 16
    return pictures[::2], pictures[1::2]


def learned(folder, task, images, labels, steps):
    pairs = [
        Pair(Image(image, "YX", name=str(i)), truth)
        for i, (image, truth) in enumerate(zip(images, labels, strict=True))
    ]
    settings = TrainingSettings(**SETTINGS, budget=Budget(steps=steps), epoch_steps=steps)
    *_, last = train(pairs, task, folder / "run", settings)
    return load_model(last.last_model)


def predicted(model, images):
    return [predict(model, Image(image, "YX"), PredictOptions(**CPU)).labels for image in images]


def three_classes(labels):
    """Convert to background 0, interior 1, border 2 (two pixels on either side of an outline)."""
    border = ndimage.binary_dilation(find_boundaries(labels, mode="thick"))
    return np.where(border, 2, labels > 0).astype(np.uint8)


def test_background_interior_and_border_are_learned(tmp_path, nuclei):
    to_learn, others = nuclei
    truths = [three_classes(labels) for _, labels in others]
    task = Semantic.from_labels(truths, names={1: "interior", 2: "border"})
    model = learned(
        tmp_path, task, [i for i, _ in to_learn], [three_classes(t) for _, t in to_learn], 110
    )
    counts = [
        pixel_counts(found, truth, classes=[0, 1, 2], background=0)
        for found, truth in zip(predicted(model, [i for i, _ in others]), truths, strict=True)
    ]
    scores = pixel_summary(counts, {0: "background", 1: "interior", 2: "border"})
    print(scores)
    # Observed: 0.99, 0.90 to 0.92, 0.62 to 0.71; a single class would score 0.94, 0.2, 0.1.
    assert scores["dice_background_pooled"] > 0.97
    assert scores["dice_interior_pooled"] > 0.8
    assert scores["dice_border_pooled"] > 0.5


def scribbles(labels, rng, strokes=3, length_px=12):
    """Paint a few short strokes: 1 on the background, 2 in nuclei; 0 is not painted."""
    painted = np.zeros(labels.shape, np.uint8)
    away = ndimage.distance_transform_edt(labels == 0) > 4
    inside = ndimage.distance_transform_edt(labels > 0) > 1
    for value, mask in ((1, away), (2, inside)):
        candidates = np.argwhere(mask)
        if not len(candidates):
            continue
        for y, x in rng.choice(candidates, strokes):
            angle = rng.uniform(0, 2 * np.pi)
            y1 = int(np.clip(y + length_px * np.sin(angle), 0, labels.shape[0] - 1))
            x1 = int(np.clip(x + length_px * np.cos(angle), 0, labels.shape[1] - 1))
            stroke = line(y, x, y1, x1)
            keep = mask[stroke]
            painted[stroke[0][keep], stroke[1][keep]] = value
    return painted


def test_a_few_scribbles_are_enough_to_find_nuclei(tmp_path, nuclei, rng):
    to_learn, others = nuclei
    painted = [scribbles(labels, rng) for _, labels in to_learn]
    share = np.mean([p > 0 for p in painted])
    assert share < 0.005  # only a few scribbles
    task = Semantic.from_labels(painted, sparse=True, names={1: "background", 2: "nucleus"})
    model = learned(tmp_path, task, [i for i, _ in to_learn], painted, 60)
    found = predicted(model, [i for i, _ in others])
    assert all(set(np.unique(f)) <= {1, 2} for f in found)
    counts = [
        foreground_counts(f == 2, labels) for f, (_, labels) in zip(found, others, strict=True)
    ]
    scores = pixel_summary(counts)
    print(scores)
    # Observed: 0.86 to 0.91; foreground everywhere would score 0.2.
    assert scores["dice_foreground_pooled"] > 0.75
