"""Training on images whose labels change while the network learns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_unet.core.errors import LabelsError
from napari_unet.core.images.normalization import IntensityRange
from napari_unet.core.live.canvases import Canvases
from napari_unet.core.live.judge import StrokeJudge
from napari_unet.core.live.label_meaning import LabelMeaning
from napari_unet.core.live.network import LiveNetwork
from napari_unet.core.live.patches import Patches
from napari_unet.core.live.regions import Region
from napari_unet.core.live.settings import LiveSettings
from napari_unet.core.live.strokes import StrokeScores
from napari_unet.core.live.suggestions import find_least_certain, suggest_labels
from napari_unet.core.models.model import Model
from napari_unet.core.tasks.base import Task

__all__ = ["LiveTraining"]

Labels = NDArray[np.integer[Any]]


class LiveTraining:
    """Trains on images whose labels change.

    Call `step` repeatedly, and `put`, `edit`, `remove`, `set_task` and `outputs` between steps, or
    use `run_live`, which makes these calls.

    Parameters
    ----------
    task
        Classes, or objects on a background (see `ObjectMeaning`); the label 0 means "not painted".
        Objects are decoded with the settings of the start model, if it predicts objects.
    start
        Model to start from; None: from scratch.
    settings
        Training settings.
    name
        Name of the model.

    Raises
    ------
    SettingsError
        If the task is not sparse, or the start model is three-dimensional.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_unet import Semantic, synthetic_nuclei
    >>> from napari_unet.core.live import LiveSettings, LiveTraining
    >>> pixels, nuclei = synthetic_nuclei((64, 64), 6)
    >>> strokes = np.where(nuclei > 0, 2, 1).astype(np.uint8)
    >>> strokes[20:] = 0  # not painted
    >>> task = Semantic.from_labels([strokes], sparse=True, background=1)
    >>> settings = LiveSettings(patch_px=32, depth=1, base_channels=2, device="cpu")
    >>> training = LiveTraining(task, settings=settings)
    >>> training.put("cells", pixels[np.newaxis], strokes)
    >>> training.ready
    True
    """

    def __init__(
        self,
        task: Task,
        start: Model | None = None,
        settings: LiveSettings | None = None,
        name: str = "model",
    ) -> None:
        settings = settings or LiveSettings()
        self._canvases = Canvases()
        self._patches = Patches(self._canvases.by_name, settings)
        self._network = LiveNetwork(task, start, settings, name, self._canvases, self._patches)
        self._judge = StrokeJudge(self._network, self._patches.rng)

    # -- what is painted -------------------------------------------------------------------------

    def put(
        self,
        name: str,
        image: NDArray[Any],
        labels: Labels,
        rgb: bool = False,
        ranges: Sequence[IntensityRange] | None = None,
        known: Labels | None = None,
    ) -> None:
        """Add an image, or replace the image of the same name.

        Parameters
        ----------
        name
            Name of the image in the other methods.
        image
            Raw values, axes CYX.
        labels
            Labels, axes YX, 0 for unpainted pixels.
        rgb
            Whether the channels are red, green and blue.
        ranges
            Result of `ranges` for the stack that contains the image; None: the range of the image.
        known
            Labels that were learned before, axes YX: pixels with the same label do not count as
            new. None: all painted pixels are new.

        Raises
        ------
        LabelsError
            If image and labels differ in shape, labels are negative, or the channels differ from
            those of other images, including images that were removed.
        """
        self._canvases.check(name, image.shape[0], rgb, self._network.info)
        ranges = ranges or self.ranges(image, rgb, name)
        self._canvases.put(name, image, labels, ranges, rgb, known)

    def ranges(self, image: NDArray[Any], rgb: bool, name: str = "image") -> list[IntensityRange]:
        """Return the intensity range of each channel of an image.

        Parameters
        ----------
        image
            Raw values, axes CYX or CZYX.
        rgb, name
            As in `put`.
        """
        return self._network.normalization(rgb).ranges(image, rgb, name)

    def remove(self, name: str) -> None:
        """Remove an image; the network forgets it only gradually."""
        self._canvases.remove(name)

    def edit(
        self,
        name: str,
        origin: tuple[int, int],
        block: Labels,
        *,
        judged: bool = True,
        continues: bool = False,
    ) -> None:
        """Replace a block of an image's labels; newly painted pixels are judged first.

        Parameters
        ----------
        name
            Name of the image.
        origin
            First pixel of the block, (y, x).
        block
            New labels of the block, axes YX.
        judged
            Whether the network is scored on the block; False for accepted suggestions.
        continues
            Whether the block continues the previous stroke. It is then compared with the prediction
            of the network as it was when the stroke began.
        """
        canvas = self._canvases[name]
        pixels = canvas.edit(origin, block)
        self._network.note_edit()
        if not continues:
            self._judge.begin_stroke(judged=judged)
        if judged:
            self._judge.judge(canvas, pixels, continues=continues)

    def set_task(self, task: Task) -> None:
        """Change the task, and keep the learned features."""
        began = self._network.began
        self._network.change_task(task)
        if began and not self._network.began:
            self._judge.stop()

    def labels(self) -> dict[str, Labels]:
        """Return the labels of each image, by name."""
        return {name: canvas.labels for name, canvas in self._canvases.by_name.items()}

    def digest(self, name: str) -> str:
        """Return a hash of an image's labels, see `Canvas.digest`."""
        return self._canvases[name].digest()

    @property
    def meaning(self) -> LabelMeaning:
        """Meaning of the painted labels, which converts outputs to labels."""
        return self._network.meaning

    @property
    def scores(self) -> StrokeScores:
        """Scores of strokes that were predicted before they were learned."""
        return self._judge.scores

    @property
    def score(self) -> float | None:
        """Mean score over the painted classes, see `StrokeScores.balanced_accuracy`."""
        return self.scores.balanced_accuracy(self._patches.kinds(self.meaning))

    # -- learning --------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether two classes, or background and an object, are painted."""
        return len(self._patches.kinds(self.meaning)) >= 2

    @property
    def began(self) -> bool:
        """Whether the network has been built."""
        return self._network.began

    @property
    def steps(self) -> int:
        """Number of training steps."""
        return self._network.steps

    def step(self) -> float:
        """Train on one batch and return its loss.

        Raises
        ------
        LabelsError
            If fewer than two classes are painted.
        """
        if not self.ready:
            raise LabelsError(
                "Fewer than two classes are painted. Paint a stroke of at least two classes "
                "(background is one; so is any object)."
            )
        return self._network.step()

    def model(self) -> Model:
        """Return the current model, corrected for the frequency of classes by `Prior`.

        Raises
        ------
        SettingsError
            If nothing has been learned yet.
        """
        return self._network.model()

    # -- predicting ------------------------------------------------------------------------------

    def outputs(self, name: str, region: Region | None = None) -> NDArray[np.float32]:
        """Predict an image, or a region of it, with the current network.

        Parameters
        ----------
        name
            Name of the image.
        region
            Slices along Y and X; None: the whole image.

        Returns
        -------
        float32 array
            Probability of each class, axes (classes, Y, X), in the order of `Semantic.ids`; for
            objects, the maps of `Instances.heads`.
        """
        return self._network.predict(self._canvases[name], region)

    def least_certain(self, name: str, window_px: int | None = None) -> Region | None:
        """Find the least certain unpainted window of an image, see `find_least_certain`."""
        side_px = window_px or self.meaning.window_px
        return find_least_certain(self._network, self._canvases[name], side_px, self._patches.rng)

    def proposal(self, name: str, window: Region) -> tuple[tuple[int, int], Labels]:
        """Suggest labels for a window of an image, see `suggest_labels`."""
        return suggest_labels(self._network, self._canvases[name], window)

    # -- saving ----------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the state that `restore` needs in addition to images and labels.

        The state does not record which strokes are new.
        """
        tensors, values = self._network.state()
        values["scores"] = self.scores.dump()
        values["random"] = self._patches.rng.bit_generator.state
        return tensors, values

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Continue from the result of `state`."""
        self._network.restore(tensors, values)
        self.scores.load(values["scores"])
        self._patches.rng.bit_generator.state = values["random"]
