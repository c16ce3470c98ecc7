"""Values of the Predict form, their validation, and the requests made from them.

This module does not depend on Qt, so that everything can be tested without a click.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from napari_unet.core.errors import ModelFileError, SettingsError
from napari_unet.core.models.predict_options import LARGEST_SCALE, PredictOptions
from napari_unet.core.records.prediction_record import FileSource, PredictionRecord, today

if TYPE_CHECKING:
    from napari_unet.compute import FilesRequest, PredictRequest
    from napari_unet.core.images.image import Image
    from napari_unet.core.models.model import ModelInfo
    from napari_unet.core.tasks.base import Task

__all__ = [
    "PredictForm",
    "Rescale",
    "channel_layers",
    "rescale_offer",
    "short",
    "summary",
]

Scope = Literal["plane", "stack", "selected", "folder"]


@dataclass(frozen=True)
class PredictForm:
    """Values of the form.

    Parameters
    ----------
    model, info
        The model's file and its header; None if none is chosen.
    scope
        Extent of the prediction: the plane in view, the whole image, every selected layer, or a
        folder.
    options
        Options of the prediction of each image.
    probabilities
        Whether to show or write probabilities as well.
    rescale
        Whether to resize files to the model's pixel size, if both are known.
    source, out, overwrite
        Folder or pattern of files to predict, folder of their results, and whether to replace
        existing results.
    channels
        Channels of one layer, by number or name; None: all.
    axes
        One letter per dimension of the layer; None: as proposed.
    """

    model: Path | None = None
    info: ModelInfo | None = None
    scope: Scope = "plane"
    options: PredictOptions = field(default_factory=PredictOptions)
    probabilities: bool = False
    rescale: bool = False
    source: str = ""
    out: str = ""
    overwrite: bool = False
    channels: tuple[str | int, ...] | None = None
    axes: str | None = None

    @property
    def task(self) -> Task | None:
        """The model's task with the settings of the form."""
        return None if self.info is None else self.info.adjusted(self.options.adjustments).task

    def problem(self, images: Sequence[Image] = ()) -> str:
        """Describe in a sentence what is missing or does not fit; empty if all is well.

        Parameters
        ----------
        images
            Images to predict; none for a folder.
        """
        if self.model is None or self.info is None:
            return "No model is chosen: train one, or choose a model file."
        if self.options.scale == "auto" and (problem := self._estimate_problem()):
            return problem
        if self.scope == "folder":
            return self._folder_problem()
        if self.scope == "plane" and self.info.unet.ndim == 3:
            return "The model predicts volumes, not planes: choose 'the whole image'."
        if not images:
            what = "layer is selected in the layer list" if self.scope == "selected" else "is open"
            return f"No image {what}: open one (File > Open Sample has some), or choose a folder."
        try:
            for image in images:
                self.info.check_image(image)
        except ModelFileError as error:
            return str(error)
        return ""

    def _estimate_problem(self) -> str:
        from napari_unet.core.prediction.diameter import check_estimable

        assert self.info is not None
        try:
            check_estimable(self.info)
        except SettingsError as error:
            return str(error)
        return ""

    def _folder_problem(self) -> str:
        if not self.source:
            return "Choose the folder with the images."
        if not self.out:
            return "Choose the folder for the results."
        source = Path(self.source)
        if not any(c in self.source for c in "*?[") and not source.exists():
            return f"There is no folder '{source}'. Check the name."
        if source.is_dir() and source.resolve() == Path(self.out).resolve():
            return "Images and results are in the same folder: choose another one for the results."
        return ""

    def request(self, image: Image, *, keep_outputs: bool = True) -> PredictRequest:
        """Make the request to predict one image."""
        from napari_unet.compute import PredictRequest

        return PredictRequest(
            model=self._model(),
            image=image,
            options=self.options,
            probabilities=self.probabilities,
            keep_outputs=keep_outputs,
        )

    def files_request(self) -> FilesRequest:
        """Make the request to predict a folder."""
        from napari_unet.compute import FilesRequest
        from napari_unet.core.prediction.batch import BatchOptions

        options = BatchOptions(
            folder=Path(self.out),
            prediction=self.options,
            channels=self.channels,
            axes=self.axes,
            probabilities=self.probabilities,
            overwrite=self.overwrite,
            rescale=self.rescale,
        )
        return FilesRequest(self._model(), (self.source,), options)

    def record(self, image: str, sha256: str, **facts: Any) -> PredictionRecord:
        """Make the record of a result; `facts` are the other fields of the record."""
        from napari_unet import __version__

        if self.info is None:
            raise ModelFileError(self.problem())
        if self.scope == "folder":
            reading = FileSource(path=self.source, axes=self.axes, channels=self.channels)
            facts |= {"folder": self.source, "out": self.out, "file": reading}
            facts["rescale"] = self.rescale
        return PredictionRecord(
            version=__version__,
            date=today(),
            model=str(self._model().absolute()),
            model_name=self.info.name,
            model_sha256=sha256,
            task=self.task or self.info.task,
            image=image,
            probabilities=self.probabilities,
            **self.options.model_dump(exclude={"adjustments"}) | facts,
        )

    def _model(self) -> Path:
        if self.model is None:
            raise ModelFileError(self.problem())
        return self.model


# -- pixels and objects of another size -----------------------------------------------------------


class Rescale(NamedTuple):
    """An offer to resize: the reason, and the factor."""

    why: str
    scale: float


def rescale_offer(
    info: ModelInfo,
    image: Image | None,
    diameter_px: float | None = None,
    scale: float = 1.0,
    tolerance: float = 1.25,
) -> Rescale | None:
    """Offer to resize if pixels or objects differ in size from those of the training images.

    Parameters
    ----------
    info
        Header of the model.
    image
        The image, for its pixel size.
    diameter_px
        Diameter of the objects in this image, if it was entered or measured.
    scale
        Current scale; there is no offer if it fits.
    tolerance
        There is no offer for objects larger or smaller by less than this factor.
    """
    from napari_unet.core.prediction.scale import (
        pixel_size_note,
        scale_for_diameter,
        scale_for_pixel_size,
    )

    if diameter_px and info.object_diameter_px:
        fitting = scale_for_diameter(info, diameter_px)
        if 1 / tolerance < fitting / scale < tolerance:
            return None
        why = (
            f"Objects here are about {diameter_px:.3g} px wide, but the model was trained on "
            f"{info.object_diameter_px:.3g} px."
        )
        return _offer(why, fitting)
    if image is not None:
        image = replace(image, name=short(image.name))
    note = "" if image is None else pixel_size_note(info, image, scale)
    size = None if image is None else scale_for_pixel_size(info, image)
    return None if not note or size is None else _offer(note, size)


def _offer(why: str, scale: float) -> Rescale | None:
    possible = 1 / LARGEST_SCALE <= scale <= LARGEST_SCALE
    return Rescale(why, float(f"{scale:.3g}")) if possible else None


# -- channels -------------------------------------------------------------------------------------


def channel_layers(
    chosen: str, names: Sequence[str], info: ModelInfo | None, channels: Sequence[str | int] | None
) -> tuple[str, ...]:
    """Choose the layers that are the channels of an image without a channel axis.

    Parameters
    ----------
    chosen
        Name of the chosen layer.
    names
        Names of the image layers of its shape.
    info
        Header of the model.
    channels
        Channels entered by the user.

    Returns
    -------
    tuple of str
        Names of layers in the order of the model's channels: those entered by the user, or those
        named like the model's channels; otherwise only the chosen layer.
    """
    wanted = tuple(map(str, channels or (info.channel_names if info else None) or ()))
    if wanted and set(wanted) <= set(names) and (channels or len(wanted) > 1):
        return wanted
    return (chosen,)


# -- in words -------------------------------------------------------------------------------------


def summary(
    form: PredictForm, images: Sequence[Image], position: Mapping[str, int] | None = None
) -> str:
    """Describe what will be predicted, and the position of the plane if it is one of a stack."""
    if form.scope == "folder":
        return f"Every image in '{form.source}'; results go to '{form.out}'."
    ndim = form.info.unet.ndim if form.info is not None else 2
    text = _describe(images[0]) if len(images) == 1 else f"{len(images)} images"
    planes = sum(_planes(image, ndim) for image in images)
    if planes > len(images):
        text += f"; {planes} planes, one by one" if ndim == 2 else f"; {planes} volumes"
    if position:
        text += "; " + ", ".join(f"{axis} = {index}" for axis, index in position.items())
    scale = form.options.scale
    if scale == "auto":
        text += "; resized to fit the estimated diameter"
    elif scale != 1:
        text += f"; resized by {scale:g}"
    return text + "."


def _describe(image: Image) -> str:
    return replace(image, name=short(image.name)).describe()


def short(name: str, most: int = 24) -> str:
    """Shorten a long name in its middle, as a narrow dock does not wrap it."""
    if len(name) <= most:
        return name
    head = most // 2
    return f"{name[:head]}…{name[head + 1 - most :]}"


def _planes(image: Image, ndim: int) -> int:
    leading = [n for a, n in image.sizes.items() if a in ("T" if ndim == 3 else "TZ")]
    product = 1
    for n in leading:
        product *= n
    return product
