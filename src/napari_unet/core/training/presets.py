"""Presets: named training settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from napari_unet.core.augmentation.settings import Augmentation
from napari_unet.core.training.settings import Budget

__all__ = ["PRESETS", "Effort", "Plan", "Preset", "plan_for", "preset_values"]

Effort = Literal["quick", "standard", "thorough"]
Preset = Literal["quick", "standard", "thorough", "nuclei", "nuclei-brightfield"]


@dataclass(frozen=True)
class Plan:
    """Settings of an effort.

    Parameters
    ----------
    minutes
        Budget in minutes.
    learning_rate, patience
        See `TrainingSettings`.
    augmentation
        Name of an augmentation, see `Augmentation.preset`.
    longest_epoch
        Largest number of steps between two validations in the form, in which a user waits for
        scores.
    """

    minutes: float
    learning_rate: float
    augmentation: Literal["light", "standard"]
    longest_epoch: int
    patience: int | None = None


_FROM_SCRATCH: dict[Effort, Plan] = {
    "quick": Plan(3, 3e-3, "light", 40),
    "standard": Plan(15, 3e-3, "light", 100),
    "thorough": Plan(60, 3e-3, "standard", 250, patience=30),
}
_FINE_TUNING: dict[Effort, Plan] = {
    "quick": Plan(1, 5e-4, "light", 20),
    "standard": Plan(5, 5e-4, "light", 50),
    "thorough": Plan(20, 5e-4, "standard", 100, patience=30),
}
"""Plans of fine-tuning: short, with a low learning rate, to preserve earlier training."""

_RECIPES: dict[str, dict[str, Any]] = {
    "nuclei": {
        "budget": Budget(minutes=50),
        "learning_rate": 2e-3,
        "augmentation": Augmentation.preset("light").model_copy(
            update={
                "warp_probability": 0.25,
                "rotation_deg": 180,
                "scale": (0.7, 1.4),
                "gamma": 1.2,
                "background": 0.3,
                "blur_px": 0.8,
                "noise": 0.05,
                "empty": 0.04,
            }
        ),
        "average_decay": 0.997,
    },
    "nuclei-brightfield": {
        "budget": Budget(steps=3000),
        "learning_rate": 2e-3,
        "augmentation": Augmentation.preset("light").model_copy(
            update={
                "warp_probability": 0.4,
                "rotation_deg": 180,
                "scale": (0.7, 1.4),
                "brightness": 0.15,
                "contrast": 1.5,
                "gamma": 1.3,
                "channel_jitter": 0.2,
                "blur_px": 0.8,
                "noise": 0.04,
            }
        ),
        "average_decay": 0.997,
    },
}
"""Last training stage of the shipped models, which started from a 20-minute model; see the model
cards."""

PRESETS: tuple[Preset, ...] = (*_FROM_SCRATCH, "nuclei", "nuclei-brightfield")


def plan_for(effort: Effort, *, fine_tuning: bool) -> Plan:
    """Return the plan of an effort, from scratch or from a trained model."""
    return (_FINE_TUNING if fine_tuning else _FROM_SCRATCH)[effort]


def preset_values(preset: Preset, *, fine_tuning: bool) -> dict[str, Any]:
    """Return the fields of `TrainingSettings` that a preset sets.

    Parameters
    ----------
    preset
        One of `PRESETS`: an effort, or the recipe of a shipped model.
    fine_tuning
        Whether training starts from a trained model; efforts are then shorter, with a lower
        learning rate.
    """
    if preset in _RECIPES:
        return dict(_RECIPES[preset])
    plan = plan_for(preset, fine_tuning=fine_tuning)  # type: ignore[arg-type]
    return {
        "budget": Budget(minutes=plan.minutes),
        "learning_rate": plan.learning_rate,
        "augmentation": Augmentation.preset(plan.augmentation),
        "patience": plan.patience,
    }
