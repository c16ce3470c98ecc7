"""What the train form is set to, and the settings, task and request that follow. No Qt here."""

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
"""What labels can mean, as the form says it."""

EFFORTS: dict[Effort, str] = {"quick": "quick", "standard": "standard", "thorough": "thorough"}

_PREVIEW_S = 5.0
_PREVIEW_S_PER_PX = 1.3e-5
"""Twenty times what a pixel takes on two CPU cores: previews may cost a twentieth of the time."""

_SMALLEST_EPOCH = 20
_MOST_CLASSES = 50


@dataclass(frozen=True)
class TrainForm:
    """The values of the form; None is "as the effort says".

    Parameters
    ----------
    meaning
        What the labels mean.
    classes
        The class table; empty: as found in the labels.
    start, start_info
        Model file to start from and its header; None: from scratch.
    effort
        Preset of budget, learning rate, augmentation and how often to validate.
    name
        Name of the model.
    budget, augmentation, base_channels, depth, patch_px, learning_rate
        See `TrainingSettings`; network sizes are those of the start model where there is one.
    validation_fraction, seed, device
        See `TrainingSettings`.
    """

    meaning: Meaning = "objects"
    classes: tuple[ClassInfo, ...] = ()
    start: Path | None = None
    start_info: ModelInfo | None = None
    effort: Effort = "quick"
    name: str = "model"
    budget: Mapping[str, float] | None = None
    augmentation: str | None = None
    base_channels: int | None = None
    depth: int | None = None
    patch_px: int | None = None
    learning_rate: float | None = None
    validation_fraction: float = 0.15
    seed: int = 0
    device: str = "auto"
    sources: Mapping[str, Any] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        """What the effort stands for, from scratch or from a model."""
        return plan_for(self.effort, fine_tuning=self.start is not None)


def efforts_in_minutes(fine_tuning: bool) -> dict[str, float]:
    """How long each effort takes, from scratch or from a model."""
    return {name: plan_for(name, fine_tuning=fine_tuning).minutes for name in EFFORTS}


def training_settings(form: TrainForm, pixels: int = 0) -> TrainingSettings:
    """Make the settings.

    Parameters
    ----------
    form
        The form.
    pixels
        Pixels of all planes to train on: an epoch sees each about once, but is short enough for
        a validation score to appear several times in the budget.

    Raises
    ------
    SettingsError
        When a value is not allowed, or values contradict each other.
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
    values |= {
        "validation_fraction": form.validation_fraction,
        "seed": form.seed,
        "device": form.device.strip() or "auto",
    }
    values |= _network_values(form)
    settings = parse_settings(TrainingSettings, values)
    patch = settings.patch_px**2 * settings.batch_size
    steps = max(_SMALLEST_EPOCH, min(form.plan.longest_epoch, round(pixels / patch)))
    return settings.model_copy(update={"epoch_steps": steps})


def _network_values(form: TrainForm) -> dict[str, Any]:
    chosen = {
        "depth": form.depth,
        "base_channels": form.base_channels,
        "patch_px": form.patch_px,
    }
    if form.start_info is not None:
        unet = form.start_info.unet
        chosen |= {"depth": unet.depth, "base_channels": unet.base_channels}
    values = {k: v for k, v in chosen.items() if v is not None}
    depth = values.get("depth", TrainingSettings.model_fields["depth"].default)
    if "patch_px" not in values and depth > 6:
        values["patch_px"] = 256
    return values


def task_from(form: TrainForm, counts: Mapping[int, int], *, any_area: bool = False) -> Any:
    """Make the task: what the labels mean.

    Parameters
    ----------
    form
        The form.
    counts
        Pixels of each id in all labels.
    any_area
        Whether an annotated area is drawn: only inside it every object is outlined.

    Returns
    -------
    Semantic or Instances

    Raises
    ------
    LabelsError
        When there are no two classes, or as many as there would be objects.
    """
    painted = {i: n for i, n in counts.items() if i and n}
    if not painted:
        raise LabelsError(
            "Nothing is painted yet. Choose the paint brush of the Labels layer and paint "
            + ("some objects, each with a number of its own." if form.meaning == "objects" else
               "examples of each class.")
        )  # fmt: skip
    if form.meaning == "objects":
        return Instances(sparse=any_area)
    sparse = form.meaning == "strokes"
    if sparse and len(painted) == 1:
        (only,) = painted
        raise LabelsError(
            f"Only class {only} is painted, and 0 counts as not painted: expected at least two "
            "classes. Paint some of the background with a number of its own."
        )
    if len(painted) > _MOST_CLASSES and not form.classes:
        raise LabelsError(
            f"The labels hold {len(painted)} different numbers, which would be as many classes. If "
            "each number is an object, choose objects."
        )
    return Semantic(classes=form.classes or propose_classes(counts, sparse), sparse=sparse)


def propose_classes(
    counts: Mapping[int, int],
    sparse: bool,
    *,
    known: Sequence[ClassInfo] = (),
    colours: Mapping[int, str] | None = None,
) -> tuple[ClassInfo, ...]:
    """List the classes that are painted.

    Parameters
    ----------
    counts
        Pixels of each id.
    sparse
        Whether 0 is "not painted", and so no class.
    known
        Classes whose names, colours and background are kept: of the table, or of a model.
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
    """Make the request that the engine gets.

    Parameters
    ----------
    form
        The form.
    pairs
        Images with a snapshot of their labels.
    run_folder
        Where the run will be.
    counts
        Pixels of each id in all labels.

    Raises
    ------
    UNetError
        Where something does not fit; `napari_unet.gui.train.run_summary.summarise_run` says it
        before.
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
    """How often to show a preview: seldom where it is large."""
    height, width = preview.label_shape[-2:]
    return max(_PREVIEW_S, _PREVIEW_S_PER_PX * height * width)


def _labelled_pixels(pair: Pair) -> int:
    """Pixels of the planes that will be trained on."""
    planes = pair.labels.reshape(-1, *pair.labels.shape[-2:])
    if pair.empty_planes == "background" or len(planes) == 1:
        return int(planes.size)
    return sum(plane.size for plane in planes if plane.any())
