"""Settings, task and start model from the options of ``train``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_unet.cli.options import TaskKind
from napari_unet.core.errors import SettingsError

if TYPE_CHECKING:
    from napari_unet.core.images.pair import Pair
    from napari_unet.core.models.model import Model
    from napari_unet.core.tasks.base import Task
    from napari_unet.core.tasks.semantic import Semantic
    from napari_unet.core.training.settings import TrainingSettings

__all__ = ["Meaning", "parse_range", "parse_weights", "start_model", "training_settings"]


@dataclass(frozen=True)
class Meaning:
    """Meaning of labels as far as the options define it; names and weights of classes by id."""

    kind: TaskKind | None = None
    sparse: bool = False
    background: int | None = None
    names: dict[int, str] = field(default_factory=dict)
    weights: dict[int, float] = field(default_factory=dict)

    def task(self, pairs: list[Pair], start: Model | None) -> Task:
        """Choose the task; that of the start model if no option defines it."""
        from napari_unet.core.tasks.instances import Instances

        of_classes = bool(self.names or self.weights) or self.background is not None
        if self.kind is None and start is not None and not (of_classes or self.sparse):
            return start.info.task
        if self.kind is TaskKind.SEMANTIC or (self.kind is None and of_classes):
            return self._classes(pairs)
        if of_classes:
            raise SettingsError(
                "Objects have no classes: omit --class, --class-weight and --background, or "
                "choose --task semantic."
            )
        return Instances(sparse=self.sparse)

    def _classes(self, pairs: list[Pair]) -> Semantic:
        from napari_unet.core.tasks.semantic import Semantic

        task = Semantic.from_labels(
            [pair.labels for pair in pairs],
            sparse=self.sparse,
            names=self.names,
            background=self.background,
        )
        ids = [c.id for c in task.classes]
        if unknown := sorted({*self.names, *self.weights} - set(ids)):
            raise SettingsError(
                f"--class or --class-weight {unknown[0]}: this class does not exist; the labels "
                f"contain {', '.join(map(str, ids))}. Correct or omit it."
            )
        if not self.weights:
            return task
        weights = tuple(self.weights.get(i, 1.0) for i in ids)
        return task.model_copy(update={"class_weights": weights})


def parse_weights(texts: list[str] | None) -> dict[int, float]:
    """Read class weights by id from texts such as ``"2=0.5"``."""
    weights: dict[int, float] = {}
    for text in texts or []:
        number, _, weight = text.partition("=")
        try:
            weights[int(number)] = float(weight)
        except ValueError:
            weights[-1] = -1.0
        if not all(i >= 0 and 0 <= w < float("inf") for i, w in weights.items()):
            raise SettingsError(
                f"--class-weight {text!r}: expected a label and a number of at least 0, such as "
                "2=0.5."
            )
    return weights


def parse_range(text: str | None) -> dict[str, Any] | None:
    """Convert a range of raw intensities such as ``"0,4095"`` to settings of the normalisation."""
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise SettingsError(
            f"--intensity-range {text!r}: expected two numbers, such as 0,4095."
        ) from None
    return {"mode": "manual", "manual": (low, high)}


def training_settings(
    values: dict[str, Any],
    budget: dict[str, Any],
    preset: str,
    augmentation: str | None,
    fine_tuning: bool,
) -> TrainingSettings:
    """Build the settings from the given values and the preset."""
    from napari_unet.core.augmentation.settings import Augmentation
    from napari_unet.core.settings import parse_settings
    from napari_unet.core.training.presets import preset_values
    from napari_unet.core.training.settings import Budget, TrainingSettings

    named: Any = preset
    given = preset_values(named, fine_tuning=fine_tuning)
    given |= {k: v for k, v in values.items() if v is not None}
    if budget:
        given["budget"] = parse_settings(Budget, budget)
    if augmentation is not None:
        varied: Any = augmentation
        given["augmentation"] = Augmentation.preset(varied)
    return parse_settings(TrainingSettings, given)


def start_model(name: str | None) -> Model | None:
    """Load the start model, if there is one."""
    if name is None:
        return None
    from napari_unet.core.models.catalogue import find_model
    from napari_unet.core.models.model_file import load_model

    return load_model(find_model(name))
