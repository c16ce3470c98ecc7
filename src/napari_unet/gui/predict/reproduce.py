"""Choice of the run to reproduce, and its description."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from napari_unet.core.errors import ImageError, ModelFileError
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.records.prediction_record import LOCAL_OPTIONS, PredictionRecord
from napari_unet.gui.predict.form import PredictForm, short
from napari_unet.gui.predict.results import Result, hash_of

if TYPE_CHECKING:
    import napari
    from napari.layers import Image as ImageLayer

    from napari_unet.gui.predict.run import PredictRun

__all__ = ["Reproducible", "check_model", "find_reproducible"]


class Reproducible(NamedTuple):
    """A run to reproduce.

    Parameters
    ----------
    record
        Record of the run.
    run
        Description of the run, such as "the last run".
    note
        A sentence if the form has different settings; otherwise empty.
    """

    record: PredictionRecord
    run: str
    note: str = ""

    @property
    def about(self) -> str:
        """Description of the run with its image or folder and its model."""
        record = self.record
        what = f"image '{short(record.image)}'"
        if record.folder is not None:
            what = f"folder '{short(record.folder, 48)}'"
        return f"{self.run}: {what}, model '{short(record.model_name)}'"


def find_reproducible(
    viewer: napari.Viewer,
    form: PredictForm,
    run: PredictRun,
    chosen: ImageLayer | None,
    inputs: Callable[[], list[Result]],
) -> Reproducible:
    """Find the run to reproduce.

    If the form is set to a folder, it is the last predicted folder. Otherwise it is the selected
    result, or else the last run, of layers or of a folder. If nothing was predicted yet, it is the
    run that the form would start.

    Parameters
    ----------
    viewer, form, run
        Viewer, form and runs of the widget.
    chosen
        Image layer chosen in the form.
    inputs
        Returns the images that the form would predict.

    Raises
    ------
    UNetError
        If there is nothing to predict.
    """
    record, words = _finished(viewer, form, run)
    if record is None:
        return Reproducible(_planned(form, inputs), "the current settings, not predicted yet")
    image = chosen.name if chosen is not None and form.scope in ("stack", "plane") else None
    same = not _differs(form, record) and image in (None, record.image)
    note = "" if same else "The form has changed since; the copy has the settings of the run."
    return Reproducible(record, words, note)


def check_model(record: PredictionRecord) -> None:
    """Check that the model file has not changed since the result was made.

    Raises
    ------
    ModelFileError
        If the file contains another model now.
    """
    now = hash_of(Path(record.model))
    if now and record.model_sha256 and now != record.model_sha256:
        raise ModelFileError(
            f"'{record.model}' no longer contains the model that was used (SHA-256 "
            f"{record.model_sha256[:12]}…). Restore that model, or predict again."
        )


def _finished(
    viewer: napari.Viewer, form: PredictForm, run: PredictRun
) -> tuple[PredictionRecord | None, str]:
    """Return the record of the finished run to reproduce, and its description; None if none."""
    if form.scope == "folder":
        return run.files, "the last folder run"
    shown = [r for r in run.history if r.layer is not None and r.layer in viewer.layers]
    if (selected := _selected(viewer, shown)) is not None:
        return selected, "the selected result"
    if run.files_last:
        return run.files, "the last run"
    return (shown[-1].located(), "the last run") if shown else (None, "")


def _selected(viewer: napari.Viewer, shown: list[Result]) -> PredictionRecord | None:
    from napari_unet.gui.layers import our_metadata

    active = viewer.layers.selection.active
    if active is None:
        return None
    for result in shown:
        if active is result.layer or any(active is layer for layer in result.probability):
            return result.located()
    found = our_metadata(active)
    if found is None or found.get("kind") not in ("prediction", "probability"):
        return None
    return PredictionRecord.model_validate({k: v for k, v in found.items() if k != "kind"})


def _planned(form: PredictForm, inputs: Callable[[], list[Result]]) -> PredictionRecord:
    if form.model is None:
        raise ModelFileError(form.problem())
    found = inputs()
    if problem := form.problem([result.image for result in found]):
        raise ImageError(problem)
    if form.scope == "folder":
        return form.record(Path(form.source).name, hash_of(form.model))
    return found[0].located()


def _differs(form: PredictForm, record: PredictionRecord) -> bool:
    """Return whether the form would predict an image of this name with different settings."""
    if form.model is None or form.info is None:
        return True
    planned = form.record(record.image, record.model_sha256)
    names = ["model", "task", "folder", "out", "rescale"]
    names += PredictOptions.model_fields.keys() - {"scale", "contrast", *LOCAL_OPTIONS}
    if not (planned.scale == "auto" and record.diameter_px is not None):  # scale was estimated
        names.append("scale")
    if (planned.contrast, record.contrast) != ("auto", "inverted"):  # contrast was detected
        names.append("contrast")
    names += ["file"] if record.folder is not None else []  # files of images are found later
    return any(getattr(planned, name) != getattr(record, name) for name in names)
