"""Which images of a data set a model is scored on, and which of them it has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_unet.core.errors import LabelsError

if TYPE_CHECKING:
    from napari_unet.core.images.pair import Pair
    from napari_unet.core.models.model import ModelInfo

__all__ = ["ChosenImages", "ImageChoice", "choose_images", "what_model_saw"]


@dataclass(frozen=True)
class ImageChoice:
    """Which images are scored.

    Parameters
    ----------
    how
        ``"model"``: those that the model was validated on, or all where it has seen none;
        ``"all"``; else the validation side of a split as `data_source.choose_split` names it.
    fraction, seed
        Of the split.
    """

    how: str = "model"
    fraction: float = 0.15
    seed: int = 0


@dataclass(frozen=True)
class ChosenImages:
    """Indices of the images that are scored, and what to know about them (or nothing)."""

    indices: tuple[int, ...]
    warning: str = ""


def choose_images(
    info: ModelInfo, pairs: Sequence[Pair], groups: Sequence[str], choice: ImageChoice
) -> ChosenImages:
    """Choose the images to score a model on.

    Parameters
    ----------
    info
        Header of the model, which lists what it was trained on.
    pairs, groups
        All images, and the group of each.
    choice
        Which of them.

    Raises
    ------
    LabelsError
        If no image is left.
    SettingsError
        If the split does not exist.
    """
    seen = what_model_saw(info, pairs)
    if choice.how == "all":
        chosen = list(range(len(pairs)))
    elif choice.how == "model":
        chosen = _validated(info, seen)
    else:
        chosen = _of_split(pairs, groups, choice)
    trained = sum(seen[i] in ("training", "both") for i in chosen)
    warning = (
        f"{trained} of these {len(chosen)} images were used to train this model: the scores say "
        "little about new images."
        if trained
        else ""
    )
    return ChosenImages(tuple(chosen), warning)


def what_model_saw(info: ModelInfo, pairs: Sequence[Pair]) -> list[str]:
    """Return how the model used each image: training, validation, both or unseen.

    Images are recognised by their pixels, whatever they are called; see `independence.seen_by`.
    """
    from napari_unet.core.evaluation.leakage import seen_by

    return [seen_by(info, pair.image) for pair in pairs]


def _validated(info: ModelInfo, seen: list[str]) -> list[int]:
    validated = [i for i, role in enumerate(seen) if role == "validation"]
    if validated:
        return validated
    if all(role == "unseen" for role in seen):
        return list(range(len(seen)))
    if "both" in seen:
        raise LabelsError(
            f"The model '{info.name}' was validated on a block of an image that it was trained on "
            "too: that score is in its run. Choose other images, or all of them (--split all), "
            "knowing that they were trained on."
        )
    raise LabelsError(
        f"The model '{info.name}' was validated on none of these {len(seen)} images and trained "
        "on some. Choose other images, or all of them (--split all)."
    )


def _of_split(pairs: Sequence[Pair], groups: Sequence[str], choice: ImageChoice) -> list[int]:
    from napari_unet.core.datasets.split_choice import choose_split
    from napari_unet.core.datasets.splits import split_by_group

    names = [pair.name for pair in pairs]
    split = choose_split(choice.how, names, groups, choice.fraction, choice.seed)
    split = split or split_by_group(groups, choice.fraction, choice.seed)
    if not split.validation:
        raise LabelsError(
            f"The split '{choice.how}' leaves no image to score: choose all of them (--split all)."
        )
    return list(split.validation)
