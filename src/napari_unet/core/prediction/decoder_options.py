"""TODO: core/prediction/decoder_options.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_unet.core.errors import SettingsError

if TYPE_CHECKING:
    from napari_unet.core.models.model import Model

__all__ = ["decode_with"]


def decode_with(
    model: Model,
    threshold: float | None = None,
    min_area_px: int | None = None,
    min_votes: float | None = None,
) -> Model:
    """Give the same model with other decoder settings.

    Parameters
    ----------
    model
        A model.
    threshold
        Probability above which a pixel is foreground.
    min_area_px
        Smaller objects are dropped.
    min_votes
        Votes that the centre of an object needs: more merge touching objects, fewer split them.

    Raises
    ------
    SettingsError
        When a value is out of range, or the model's task does not know it.
    """
    from dataclasses import replace

    from napari_unet.core.settings import parse_settings

    task = model.info.task
    changes: dict[str, Any] = {
        "threshold": threshold,
        "min_area_px": min_area_px,
        "min_votes": min_votes,
    }
    changes = {k: v for k, v in changes.items() if v is not None}
    if not changes:
        return model
    if task.kind == "instances":
        decoder = parse_settings(type(task.decoder), task.decoder.model_dump() | changes)
        changed: Any = task.model_copy(update={"decoder": decoder})
    elif not task.binary or {"min_area_px", "min_votes"} & changes.keys():
        name, why = ("min-area", "classes have no objects")
        if min_area_px is None and min_votes is not None:
            name = "min-votes"
        elif min_area_px is None:
            name, why = ("threshold", "the most probable of its classes is taken")
        raise SettingsError(f"The model '{model.info.name}' has no {name}: {why}. Leave it out.")
    else:
        changed = parse_settings(type(task), task.model_dump() | changes)
    return replace(model, info=model.info.model_copy(update={"task": changed}))
