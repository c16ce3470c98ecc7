"""Values of the Train form, and the settings, task and request made from them. No Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_unet.core.errors import LabelsError
from napari_unet.core.settings import parse_settings
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import ClassInfo, Semantic
from napari_unet.core.training.presets import Effort, Plan, plan_for, preset_values
from napari_unet.core.training.settings import Budget, TrainingSettings

if TYPE_CHECKING:
    from napari_unet.compute import TrainRequest
    from napari_unet.core.images.image import Image
    from napari_unet.core.images.pair import Pair
    from napari_unet.core.models.model import ModelInfo

__all__ = [
    "EFFORTS",
    "MEANINGS",
    "Effort",
    "Meaning",
    "TrainForm",
    "efforts_in_minutes",
    "preview_interval_s",
    "propose_classes",
    "request_from",
    "task_from",
    "training_settings",
]

Meaning = Literal["objects", "classes", "strokes"]

MEANINGS: dict[str, str] = {
    "objects": "objects, one id each",
    "classes": "classes, 0 background",
    "strokes": "classes, 0 unpainted",
}
"""Meanings of labels, as the form shows them."""

EFFORTS: dict[Effort, str] = {"quick": "quick", "standard": "standard", "thorough": "thorough"}

_PREVIEW_S = 5.0
_PREVIEW_S_PER_PX = 1.3e-5
"""Twenty times the time per pixel on two CPU cores, so that previews cost a twentieth of it."""

_SMALLEST_EPOCH = 20
_MOST_CLASSES = 50


@dataclass(frozen=True)
class TrainForm:
    """The values of the form; None stands for the value of the preset.

    Parameters
    ----------
    meaning
        Meaning of the labels.
    classes
        Classes of the class table; empty: those found in the labels.
    start, start_info
        Path of the model file to start from, and its header; None: from scratch.
    effort
        Preset of budget, learning rate, augmentation and validation.
    name
        Name of the model.
    budget, augmentation, learning_rate, device
        See `TrainingSettings`.
    settings
        Other fields of `TrainingSettings` by name; missing ones keep their defaults. A start model
        determines the size of the network.
    """

    meaning: Meaning = "objects"
    classes: tuple[ClassInfo, ...] = ()
    start: Path | None = None
    start_info: ModelInfo | None = None
    effort: Effort = "quick"
    name: str = "model"
    budget: Mapping[str, float] | None = None
    augmentation: str | None = None
    learning_rate: float | None = None
    device: str = "auto"
    settings: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Any] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        """The plan of the preset, from scratch or from a model."""
        return plan_for(self.effort, fine_tuning=self.start is not None)


def efforts_in_minutes(fine_tuning: bool) -> dict[str, float]:
    """Return the minutes that each preset takes, from scratch or from a model."""
    return {name: plan_for(name, fine_tuning=fine_tuning).minutes for name in EFFORTS}


def training_settings(form: TrainForm, pixels: int = 0) -> TrainingSettings:
    """Return the settings of the training.

    Parameters
    ----------
    form
        The form.
    pixels
        Number of pixels of all planes to train on. An epoch covers each about once, but is short
        enough for several validations in the budget.

    Raises
    ------
    SettingsError
        If a value is not allowed, or values contradict each other.
    """
    from napari_unet.core.augmentation.settings import Augmentation

    values = preset_values(form.effort, fine_tuning=form.start is not None)
    if form.budget:
        values["budget"] = parse_settings(Budget, dict(form.budget))
    if form.augmentation:
        preset: Any = form.augmentation
        values["augmentation"] = Augmentation.preset(preset)
    if form.learning_rate:
        values["learning_rate"] = form.learning_rate
    values |= _chosen_settings(form) | {"device": form.device.strip() or "auto"}
    settings = parse_settings(TrainingSettings, values)
    patch = settings.patch_px**2 * settings.batch_size
    steps = max(_SMALLEST_EPOCH, min(form.plan.longest_epoch, round(pixels / patch)))
    return settings.model_copy(update={"epoch_steps": steps})


def _chosen_settings(form: TrainForm) -> dict[str, Any]:
    values = dict(form.settings)
    if form.start_info is not None:
        unet = form.start_info.unet
        values |= {"depth": unet.depth, "base_channels": unet.base_channels}
    depth = values.get("depth", TrainingSettings.model_fields["depth"].default)
    if "patch_px" not in values and depth > 6:
        values["patch_px"] = 256
    return values


def task_from(form: TrainForm, counts: Mapping[int, int], *, any_area: bool = False) -> Any:
    """Return the task, which defines the meaning of the labels.

    Parameters
    ----------
    form
        The form.
    counts
        Number of pixels of each id in all labels.
    any_area
        Whether there is an annotated area, in which alone all objects are outlined.

    Returns
    -------
    Semantic or Instances

    Raises
    ------
    LabelsError
        If there are fewer than two classes, or as many as if they were objects.
    """
    painted = {i: n for i, n in counts.items() if i and n}
    if not painted:
        raise LabelsError(
            "Nothing is painted yet. Select the brush of the Labels layer and paint "
            + ("some objects, each with its own number." if form.meaning == "objects" else
               "some examples of each class.")
        )  # fmt: skip
    if form.meaning == "objects":
        return Instances(sparse=any_area)
    sparse = form.meaning == "strokes"
    if sparse and len(painted) == 1:
        (only,) = painted
        raise LabelsError(
            f"Only class {only} is painted, and 0 means unpainted: expected at least two classes. "
            "Paint some of the background with its own number."
        )
    if len(painted) > _MOST_CLASSES and not form.classes:
        raise LabelsError(
            f"The labels contain {len(painted)} different numbers: expected at most "
            f"{_MOST_CLASSES} classes. If each number is an object, choose objects."
        )
    return Semantic(classes=form.classes or propose_classes(counts, sparse), sparse=sparse)


def propose_classes(
    counts: Mapping[int, int],
    sparse: bool,
    *,
    known: Sequence[ClassInfo] = (),
    colours: Mapping[int, str] | None = None,
) -> tuple[ClassInfo, ...]:
    """Return the painted classes.

    Parameters
    ----------
    counts
        Number of pixels of each id.
    sparse
        Whether 0 means unpainted, and therefore is no class.
    known
        Classes of the table or of a model, whose names, colours and background are kept.
    colours
        Colour of each id in the viewer.
    """
    ids = {i for i, n in counts.items() if n and i}
    if not sparse:
        ids.add(0)
    before = {c.id: c for c in known if c.id in ids}
    flagged = [c.id for c in before.values() if c.background]
    background = flagged[0] if flagged and sparse else min(ids, default=0)
    classes = []
    for i in sorted(ids):
        old = before.get(i)
        name = "background" if i == background else f"class {i}"
        if old is not None and old.name not in ("background", f"class {i}"):
            name = old.name
        colour = (colours or {}).get(i) or (old.color if old else None)
        classes.append(ClassInfo(id=i, name=name, color=colour, background=i == background))
    return tuple(classes)


def request_from(
    form: TrainForm,
    pairs: Sequence[Pair],
    run_folder: Path,
    counts: Mapping[int, int],
) -> TrainRequest:
    """Return the request for the engine.

    Parameters
    ----------
    form
        The form.
    pairs
        Images with a snapshot of their labels.
    run_folder
        Folder for the run.
    counts
        Number of pixels of each id in all labels.

    Raises
    ------
    UNetError
        If data and settings do not match; `napari_unet.gui.train.run_summary.summarise_run`
        reports this beforehand.
    """
    from napari_unet.compute import TrainRequest
    from napari_unet.core.models.catalogue import checked_name

    pixels = sum(_labelled_pixels(pair) for pair in pairs)
    return TrainRequest(
        pairs=tuple(pairs),
        task=task_from(form, counts, any_area=any(p.annotated is not None for p in pairs)),
        run_folder=run_folder,
        settings=training_settings(form, pixels),
        start=form.start,
        name=checked_name(form.name),
        sources=dict(form.sources),
    )


def preview_interval_s(preview: Image) -> float:
    """Return the seconds between previews: more for a large image."""
    height, width = preview.label_shape[-2:]
    return max(_PREVIEW_S, _PREVIEW_S_PER_PX * height * width)


def _labelled_pixels(pair: Pair) -> int:
    """Return the number of pixels of the planes that will be trained on."""
    planes = pair.labels.reshape(-1, *pair.labels.shape[-2:])
    if pair.empty_planes == "background" or len(planes) == 1:
        return int(planes.size)
    return sum(plane.size for plane in planes if plane.any())
