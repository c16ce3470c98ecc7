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

    task = model.info.task
    changes: dict[str, Any] = {
        "threshold": threshold,
        "min_area_px": min_area_px,
        "min_votes": min_votes,
    }
    changes = {k: v for k, v in changes.items() if v is not None}
    if not changes:
        return model
    try:
        changed = task.adjusted(changes)
    except SettingsError as error:
        raise SettingsError(
            str(error).replace("The task has", f"The model '{model.info.name}' has")
        ) from None
    return replace(model, info=model.info.model_copy(update={"task": changed}))
