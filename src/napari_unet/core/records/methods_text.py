"""Methods paragraph for a paper: the prediction, its model, and the scores of that model."""

from __future__ import annotations

from napari_unet.core.evaluation.report import DEFINITIONS
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.models.model import ModelInfo
from napari_unet.core.records.prediction_record import PredictionRecord

__all__ = ["methods_text", "trained_on_text"]


def methods_text(record: PredictionRecord, info: ModelInfo) -> str:
    """Write the methods paragraph for a paper.

    Parameters
    ----------
    record
        Record of the result.
    info
        Header of the model.

    Returns
    -------
    str
        Version, model and its hash, training data, validation, settings, and scores with their
        definitions.
    """
    sentences = [_what_was_done(record, info), _training(info), *_live(info), *_validation(info)]
    sentences += [_normalization(info.normalization), *_settings(record, info)]
    return " ".join(s for s in sentences if s)


def trained_on_text(info: ModelInfo) -> str:
    """Describe the training and validation of a model, with its scores and their definitions."""
    return " ".join([_training(info), *_live(info), *_validation(info)])


def _what_was_done(record: PredictionRecord, info: ModelInfo) -> str:
    task, unet = record.task, info.unet
    inputs = "colour images" if info.rgb else _count(unet.in_channels, "input channel")
    return (
        f"{task.words.done} with napari-unet-live {record.version}, using a {unet.ndim}-D U-Net "
        f"(depth {unet.depth}, {unet.base_channels} base channels, {inputs}), the model "
        f"'{record.model_name}' (SHA-256 {record.model_sha256})."
    )


def _training(info: ModelInfo) -> str:
    counts, about = info.provenance.get("counts", {}), info.provenance
    start = about.get("started_from")
    if not about:
        return "The training of the model is not recorded."
    text = f"It was fine-tuned from the model '{start}'" if start else "It was trained from scratch"
    if "version" in about:
        text += f" with version {about['version']}"
    text += f" on {about['date']}" if "date" in about else ""
    if "train_images" in counts:
        text += f" on {_side(counts, 'train', info)}"
    if "steps" in about:
        text += f" for {_count(about['steps'], 'step')}"
    size = " x ".join(f"{s:g}" for s in info.pixel_size_um or ())
    if size:
        text += f"; the pixel size was {size} µm"
    elif info.object_diameter_px:
        text += f"; the median object diameter was {info.object_diameter_px:g} px"
    return text + "."


def _side(counts: dict[str, int], side: str, info: ModelInfo) -> str:
    images, groups = counts.get(f"{side}_images", 0), counts.get(f"{side}_groups", 0)
    text = f"{_count(images, 'image')} of {_count(groups, 'group')}"
    if info.task.labels_are_objects:
        text += f" with {_count(counts.get(f'{side}_objects', 0), 'object')}"
    return text


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _live(info: ModelInfo) -> list[str]:
    """Describe training while labels were being painted; see `napari_unet.core.live`."""
    if not info.provenance.get("live"):
        return []
    sentences = ["It was trained live, while the labels were being painted."]
    if info.task.class_targets:
        sentences.append(
            "Its outputs were corrected for classes that were painted more or less often than they "
            "occur (Saerens, Latinne and Decaestecker, Neural Computation 14(1), 2002)."
        )
    return sentences


def _validation(info: ModelInfo) -> list[str]:
    counts, kind = info.provenance.get("counts", {}), info.provenance.get("validation")
    if not info.scores or kind == "none":
        return ["No images were held out for validation."] if kind == "none" else []
    if kind == "block":
        held = "A block of each image, separated by a gap from the training area, was held out"
    else:
        side = _side(counts, "validation", info) if counts else "Whole groups of images"
        shared = counts.get("shared_groups", 0)
        apart = f"sharing {_count(shared, 'group')}" if shared else "sharing no group"
        held = f"{side}, {apart} with the training images, were held out"
    return [
        f"{held} for validation and for selection of the best epoch.",
        *_scores(info),
    ]


_SCORES = {
    "ap50": ("AP at IoU 0.5", "ap"),
    "ap75": ("AP at IoU 0.75", "ap"),
    "mean_ap": ("mean AP over IoU 0.5 to 0.95", "mean_ap"),
    "f1_50": ("F1 at IoU 0.5", "f1"),
    "pq_50": ("PQ at IoU 0.5", "pq"),
    "mean_iou_with_background": ("mean IoU with background", "mean_iou"),
    "mean_dice_without_background": ("mean Dice without background", "mean_dice"),
    "dice_foreground": ("Dice of the foreground", "dice"),
}


def _scores(info: ModelInfo) -> list[str]:
    pixels = ("mean_iou_with_background", "mean_dice_without_background")
    objects = "ap50_by_image" in info.scores or "ap50_pooled" in info.scores
    found, definitions = [], {}
    for key, (label, definition) in _SCORES.items():
        by_image = info.scores.get(f"{key}_by_image")
        pooled = info.scores.get(f"{key}_pooled")
        if by_image is None or pooled is None or (objects and key in pixels):
            continue
        found.append(f"{label} {by_image:.3f} by image and {pooled:.3f} pooled")
        definitions[label.split(" at ")[0].split(" over ")[0]] = DEFINITIONS[definition]
    if not found:
        return []
    if "PQ" in definitions:
        definitions |= {"SQ": DEFINITIONS["sq"], "RQ": DEFINITIONS["rq"]}
    explained = [f"{name}: {text}" for name, text in definitions.items()]
    explained += [f"By image: {DEFINITIONS['by_image']}", f"Pooled: {DEFINITIONS['pooled']}"]
    return [f"The validation scores were: {'; '.join(found)}.", *explained]


def _normalization(normalization: Normalization) -> str:
    if normalization.mode == "none":
        return "Intensities were not rescaled."
    if normalization.manual is not None:
        low, high = normalization.manual
        return f"Intensities were scaled linearly so that {low:g} became 0 and {high:g} became 1."
    return (
        f"Intensities were scaled linearly so that the percentiles {normalization.low:g} and "
        f"{normalization.high:g} of the whole image became 0 and 1."
    )


def _fitted(record: PredictionRecord) -> list[str]:
    """Describe how images were fitted to the model."""
    sentences = []
    if record.contrast == "inverted":
        sentences.append("Intensities were inverted for the network.")
    if record.scale == "auto":
        sentences.append(
            "Each image was resized for the network if the diameter of its objects, estimated "
            "with the network at several scales, differed from that of the training objects."
        )
    elif record.scale != 1:
        why = ""
        if record.diameter_px is not None:
            why = f" (estimated diameter of the objects: {record.diameter_px:.3g} pixels)"
        sentences.append(
            f"Images were resized by a factor of {record.scale:.3g} for the network{why}."
        )
    return sentences


def _settings(record: PredictionRecord, info: ModelInfo) -> list[str]:
    sentences = []
    if info.unet.ndim == 2 and set("TZ") & set(record.axes) and not record.position:
        sentences.append("Stacks were segmented plane by plane.")
    sentences += _fitted(record)
    if record.test_time_augmentation:
        sentences.append("Outputs were averaged over flips and quarter turns.")
    sentences.append(record.task.describe_decoding(resized=record.scale != 1))
    return sentences
