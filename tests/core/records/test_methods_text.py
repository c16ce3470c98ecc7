"""The paragraph for a paper is complete and claims nothing that was not done."""

from napari_unet.core.images.normalization import Normalization
from napari_unet.core.models.model import ModelInfo
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.records.methods_text import methods_text
from napari_unet.core.records.prediction_record import (
    PredictionRecord,
)
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import ClassInfo, Semantic

BINARY = Semantic(
    classes=(ClassInfo(id=0, name="background", background=True), ClassInfo(id=3, name="cell"))
)
COUNTS = {
    "train_images": 380,
    "train_groups": 371,
    "train_objects": 16829,
    "validation_images": 67,
    "validation_groups": 66,
    "validation_objects": 2543,
}


def described(info: ModelInfo, **kwargs) -> str:
    record = PredictionRecord(
        version="0.1.0",
        date="2026-11-21",
        model="m.safetensors",
        model_name="nuclei",
        model_sha256="abc123",
        task=kwargs.pop("task", info.task),
        image="cells",
        **kwargs,
    )
    return methods_text(record, info)


def info_of(task: Instances | Semantic, **kwargs) -> ModelInfo:
    return ModelInfo(unet=UNetConfig(), task=task, normalization=Normalization(), **kwargs)


def test_the_paragraph_says_what_a_reader_must_know() -> None:
    scores = {"ap50_by_image": 0.8407, "ap50_pooled": 0.8542, "mean_iou_with_background_pooled": 1}
    provenance = {"version": "0.0.9", "validation": "groups", "counts": COUNTS, "steps": 1876}
    info = info_of(Instances(), scores=scores, provenance=provenance, pixel_size_um=(0.5, 0.5))
    decoder = Instances().decoder.model_copy(update={"threshold": 0.35, "min_area_px": 99})
    text = described(info, scale=0.5, task=Instances(decoder=decoder))
    for part in (
        "napari-unet-live 0.1.0",
        "'nuclei' (SHA-256 abc123)",
        "trained from scratch with version 0.0.9 on 380 images of 371 groups with 16,829 objects",
        "67 images of 66 groups with 2,543 objects, sharing no group with the training images",
        "AP at IoU 0.5 0.841 by image and 0.854 pooled",
        "TP / (TP + FP + FN)",
        "above 0.35",
        "below 99 pixels after resizing",
        "factor of 0.5",
        "0.5 x 0.5 µm",
    ):
        assert part in text
    assert "\n" not in text
    assert "mean IoU" not in text


def test_the_paragraph_does_not_claim_a_validation_that_was_none() -> None:
    text = described(info_of(BINARY, provenance={"validation": "none", "started_from": "base"}))
    assert "fine-tuned from the model 'base'" in text
    assert "No images were held out" in text
    assert "background, cell" in text
    block = info_of(
        BINARY, provenance={"validation": "block"}, scores={"dice_foreground_pooled": 1}
    )
    assert "A block of each image" in described(block)


def test_a_stack_and_a_single_plane_are_told_apart() -> None:
    info = info_of(BINARY)
    assert "plane by plane" in described(info, axes="TYX")
    assert "plane by plane" not in described(info, axes="TYX", position={"T": 3})
