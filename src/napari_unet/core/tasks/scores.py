"""The validation scores of a task, including the one by which the best model is chosen."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CLASS_SCORES", "OBJECT_SCORES", "ScoreName", "TaskScores"]


@dataclass(frozen=True)
class ScoreName:
    """A score among those that an evaluation computes.

    Parameters
    ----------
    key
        Flat name of the score, as in ``history.csv`` and in the header of a model.
    label
        Short name.
    title
        Long name; empty: the same as the label.

    Examples
    --------
    >>> from napari_unet.core.tasks import ScoreName
    >>> ScoreName("ap50_by_image", "AP50", "AP at IoU 0.5 by image").label
    'AP50'
    """

    key: str
    label: str
    title: str = ""


@dataclass(frozen=True)
class TaskScores:
    """The scores of a task to show; higher is better for all of them.

    Parameters
    ----------
    curves
        Scores drawn during training; the best model is chosen by the first.
    line
        Scores printed in one line.
    card
        Scores shown with a model.

    Examples
    --------
    >>> from napari_unet import Instances
    >>> Instances().scores.primary.key
    'mean_ap_by_image'
    """

    curves: tuple[ScoreName, ...]
    line: tuple[ScoreName, ...]
    card: tuple[ScoreName, ...]

    @property
    def primary(self) -> ScoreName:
        """Score by which the best model is chosen."""
        return self.curves[0]


_DICE = ScoreName("dice_foreground_by_image", "Dice", "Dice, foreground, by image")
_MEAN_AP = ScoreName("mean_ap_by_image", "mean AP", "mean AP 0.50:0.95 by image")
_AP_50 = ScoreName("ap50_by_image", "AP50", "AP at IoU 0.5 by image")
_MEAN_IOU = ScoreName("mean_iou_with_background_pooled", "mean IoU", "mean IoU, pooled")

OBJECT_SCORES = TaskScores(
    curves=(_MEAN_AP, _AP_50, _DICE),
    line=(_AP_50, _MEAN_AP, _DICE),
    card=(
        ScoreName("ap50_pooled", "AP at IoU 0.5"),
        ScoreName("ap75_pooled", "AP at IoU 0.75"),
        ScoreName("f1_50_pooled", "F1 at IoU 0.5"),
    ),
)
"""Scores for labels that are objects."""

CLASS_SCORES = TaskScores(
    curves=(
        _MEAN_IOU,
        ScoreName(
            "mean_iou_without_background_pooled",
            "mean IoU without background",
            "… without background",
        ),
        _DICE,
    ),
    line=(_MEAN_IOU, _DICE),
    card=(
        _MEAN_IOU,
        ScoreName("mean_dice_without_background_pooled", "mean Dice without background"),
    ),
)
"""Scores for labels that are classes."""
