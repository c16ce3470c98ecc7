"""Choice of the images of a data set to score a model on, and their use in its training."""

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
    """How to choose the images to score.

    Parameters
    ----------
    how
        ``"model"``: the images that the model was validated on, or all if it was trained on none;
        ``"all"``: all images; otherwise the name of a split for
        `napari_unet.core.datasets.split_choice.choose_split`, of which the validation images are
        scored.
    fraction, seed
        Validation fraction and seed of the split.
    """

    how: str = "model"
    fraction: float = 0.15
    seed: int = 0


@dataclass(frozen=True)
class ChosenImages:
    """Indices of the images to score, and a warning about them; empty if there is none."""

    indices: tuple[int, ...]
    warning: str = ""


def choose_images(
    info: ModelInfo, pairs: Sequence[Pair], groups: Sequence[str], choice: ImageChoice
) -> ChosenImages:
    """Choose the images to score a model on.

    Parameters
    ----------
    info
        Header of the model, which lists its training and validation images.
    pairs, groups
        All images, and the group of each.
    choice
        How to choose among them.

    Raises
    ------
    LabelsError
        If there is no image to score.
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
        f"{trained} of these {len(chosen)} images were used to train this model, so expect lower "
        "scores on new images."
        if trained
        else ""
    )
    return ChosenImages(tuple(chosen), warning)


def what_model_saw(info: ModelInfo, pairs: Sequence[Pair]) -> list[str]:
    """Return how the model used each image: training, validation, both or unseen.

    Images are recognised by their pixels, not by their names; see
    `napari_unet.core.evaluation.leakage.seen_by`.
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
            f"The model '{info.name}' was validated on a part of an image and trained on the rest "
            "of it; its run folder contains that score. Choose other images, or score all of them "
            "(--split all), including those used for training."
        )
    raise LabelsError(
        f"The model '{info.name}' was trained on some of these {len(seen)} images and validated on "
        "none of them. Choose other images, or score all of them (--split all)."
    )


def _of_split(pairs: Sequence[Pair], groups: Sequence[str], choice: ImageChoice) -> list[int]:
    from napari_unet.core.datasets.split_choice import choose_split
    from napari_unet.core.datasets.splits import split_by_group

    names = [pair.name for pair in pairs]
    split = choose_split(choice.how, names, groups, choice.fraction, choice.seed)
    split = split or split_by_group(groups, choice.fraction, choice.seed)
    if not split.validation:
        raise LabelsError(
            f"The split '{choice.how}' has no validation images to score. Choose another split, or "
            "score all images (--split all)."
        )
    return list(split.validation)
