"""A trained model: its weights, and the header that describes how to use them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field

from napari_unet.core.errors import ModelFileError, SettingsError
from napari_unet.core.images.image import Image
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.settings import Settings
from napari_unet.core.tasks.any_task import AnyTask

if TYPE_CHECKING:
    from torch import Tensor

    from napari_unet.core.models.unet import UNet

__all__ = ["FORMAT_VERSION", "Model", "ModelInfo", "TrainedOn"]

FORMAT_VERSION = 1


class TrainedOn(Settings):
    """One image that a model was trained or validated on.

    Parameters
    ----------
    name, group
        Its name and group in the training data.
    role
        Whether it was used for training or validation; ``"both"`` if a part of it was held out for
        validation.
    sha256
        Hash of its raw pixels, shape and type.
    planes
        Short hashes of its YX planes, one for each channel, if there are several.
    """

    name: str
    group: str
    role: Literal["training", "validation", "both"]
    sha256: str
    planes: tuple[str, ...] = ()


class ModelInfo(Settings):
    """The header of a model file: everything needed to use the weights.

    Parameters
    ----------
    unet
        Architecture of the network.
    task
        Meaning of the labels, with the settings of the decoder.
    normalization
        Normalisation of the input intensities.
    name, description, licence
        Texts to show to people.
    channel_names
        Names of the input channels in their order, if known.
    rgb
        Whether the input channels are red, green and blue.
    pixel_size_um
        Pixel size of the training images along Y and X in µm, if known.
    object_diameter_px
        Median diameter of the training objects in pixels, if the labels are objects.
    contrast
        Whether the training objects are brighter or darker than their surroundings; None: unknown,
        or not the same in all images.
    scores
        Validation scores by name; empty without validation.
    trained_on
        The images of training and validation.
    provenance
        Version, date, settings and duration, as plain values.

    Examples
    --------
    >>> from napari_unet import find_model, load_model
    >>> info = load_model(find_model("nuclei")).info
    >>> info.name, info.contrast, info.unet.in_channels
    ('nuclei', 'bright', 1)
    """

    format_version: Annotated[int, Field(ge=1)] = FORMAT_VERSION
    unet: UNetConfig
    task: AnyTask
    normalization: Normalization
    name: str = "model"
    description: str = ""
    licence: str = ""
    channel_names: tuple[str, ...] | None = None
    rgb: bool = False
    pixel_size_um: tuple[float, float] | None = None
    object_diameter_px: float | None = None
    contrast: Literal["bright", "dark"] | None = None
    scores: dict[str, float] = Field(default_factory=dict)
    trained_on: tuple[TrainedOn, ...] = ()
    provenance: dict[str, Any] = Field(default_factory=dict)

    def adjusted(self, adjustments: Mapping[str, float]) -> Self:
        """Return the header with other decoder settings.

        Parameters
        ----------
        adjustments
            Values by name, as for `napari_unet.core.tasks.Task.adjusted`.

        Raises
        ------
        SettingsError
            If a value is out of range, or the task has no setting of that name.
        """
        if not adjustments:
            return self
        try:
            task = self.task.adjusted(adjustments)
        except SettingsError as error:
            raise SettingsError(f"Model '{self.name}': {error}") from None
        return self.model_copy(update={"task": task})

    def check_image(self, image: Image) -> None:
        """Raise `ModelFileError` if the model cannot be used on an image."""
        wanted = self.unet.in_channels
        if image.channels != wanted and not self.takes_grey(image):
            names = f" ({', '.join(self.channel_names)})" if self.channel_names else ""
            raise ModelFileError(
                f"'{image.name}' has {image.channels} channel(s), but the model '{self.name}' was "
                f"trained on {wanted}{names}. Choose {wanted} channel(s) of the image, or "
                "another model."
            )
        if (
            self.channel_names
            and image.channel_names
            and sorted(self.channel_names) == sorted(image.channel_names)
            and self.channel_names != image.channel_names
        ):
            raise ModelFileError(
                f"'{image.name}' has the channels {', '.join(image.channel_names)}, but the model "
                f"'{self.name}' expects them in the order {', '.join(self.channel_names)}. Choose "
                "the channels in that order."
            )
        self._check_depth(image)

    def takes_grey(self, image: Image) -> bool:
        """Return whether an image is grey and must be converted to grey RGB for this model."""
        return self.rgb and image.channels == 1

    def check_start(self, image: Image) -> None:
        """Raise `ModelFileError` if training on an image like this cannot start from the model.

        The image may have other channels; if it has the same ones, their order must match.
        """
        if image.channels == self.unet.in_channels:
            self.check_image(image)
        self._check_depth(image)

    def _check_depth(self, image: Image) -> None:
        if self.unet.ndim == 3 and "Z" not in image.axes:
            raise ModelFileError(
                f"'{image.name}' has axes {image.axes}, but the model '{self.name}' was trained on "
                "ZYX. Name the depth axis Z, or choose a 2-D model."
            )


@dataclass(frozen=True)
class Model:
    """A trained network: header and weights.

    Parameters
    ----------
    info
        Header of the model.
    weights
        Tensors by name, as in the network's ``state_dict``.

    Examples
    --------
    >>> from napari_unet import find_model, load_model
    >>> model = load_model(find_model("nuclei"))
    >>> model.info.task.kind
    'instances'
    >>> sum(tensor.numel() for tensor in model.weights.values()) > 1_000_000
    True
    """

    info: ModelInfo
    weights: dict[str, Tensor]

    def network(self) -> UNet:
        """Build the network with these weights, in evaluation mode."""
        import torch

        from napari_unet.core.models.unet import UNet

        with torch.device("meta"):
            net = UNet(self.info.unet)
        net.load_state_dict({k: w.clone() for k, w in self.weights.items()}, assign=True)
        return net.eval()
