"""The network of live training, from its first step to the saved model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_unet.core.errors import SettingsError
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.live.canvases import Canvases
from napari_unet.core.live.label_meaning import LabelMeaning, label_meaning
from napari_unet.core.live.patches import Patches
from napari_unet.core.live.prior import Prior, patches_near_strokes
from napari_unet.core.live.regions import Region, predict_region
from napari_unet.core.live.settings import LiveSettings
from napari_unet.core.live.sources import origin
from napari_unet.core.live.strokes import Canvas
from napari_unet.core.live.warm_start import warm_weights
from napari_unet.core.models.blocks import BlockNetwork
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.system.device import Compute, choose_compute
from napari_unet.core.tasks.base import Task
from napari_unet.core.training.learner import Learner
from napari_unet.core.training.model_header import choose_normalization
from napari_unet.core.training.settings import TrainingSettings

__all__ = ["LiveNetwork"]

_WARMING_BATCHES = 6
_SETTLED_STEPS, _REST_STEPS, _FEW_PX = 100, 3, 200


class LiveNetwork:
    """A network that learns from patches of canvases; it is built at the first step.

    Parameters
    ----------
    task
        Task to learn; the label 0 means "not painted".
    start
        Model to start from; None: from scratch.
    settings
        Training settings.
    name
        Name of the model.
    canvases, patches
        Images with their labels, and the patches drawn from them.

    Attributes
    ----------
    meaning
        Meaning of the painted labels.
    steps
        Number of training steps.

    Raises
    ------
    SettingsError
        If the task is not sparse, or the start model is three-dimensional.
    """

    def __init__(
        self,
        task: Task,
        start: Model | None,
        settings: LiveSettings,
        name: str,
        canvases: Canvases,
        patches: Patches,
    ) -> None:
        if start is not None and start.info.unet.ndim != 2:
            raise SettingsError(
                f"'{start.info.name}' is a 3-D model, but Live trains on 2-D planes. Choose a 2-D "
                "model to start from, or start from scratch."
            )
        self._start = start
        self._settings = settings
        self._name = name
        self._canvases = canvases
        self._patches = patches
        self._compute: Compute = choose_compute(settings.device, settings.precision)
        self._learner: Learner | None = None
        self._info: ModelInfo | None = None
        self._predictor: BlockNetwork | None = None
        self._held: Mapping[str, Tensor] | None = None
        self._warmed_with_px = self._steps_since_edit = 0
        self._prior = Prior()
        self.meaning: LabelMeaning = self._meaning_of(task)
        self.steps = 0

    @property
    def began(self) -> bool:
        """Whether the network has been built."""
        return self._learner is not None

    @property
    def info(self) -> ModelInfo | None:
        """Header of the model; None before the first step."""
        return self._info

    def normalization(self, rgb: bool) -> Normalization:
        """Return the normalization of images, which is that of the start model if there is one."""
        return choose_normalization(Normalization(), rgb, self._start_info)

    def change_task(self, task: Task) -> None:
        """Change the task; if its outputs differ, build a new network from the current weights."""
        meaning = self._meaning_of(task)
        if self._learner is not None and self._info is not None:
            if task.shares_outputs(self.meaning.task):
                self._info = self._info.model_copy(update={"task": meaning.task})
            else:
                self._start, self._held = self._learned_model(), self._learner.held
                self._learner = self._info = None
            self._predictor = None
        self.meaning = meaning

    def note_edit(self) -> None:
        """Make the average of the weights adapt quickly, because the labels changed."""
        self._steps_since_edit = 0
        if self._learner is not None:
            self._learner.follow_quickly()

    def step(self) -> float:
        """Train on one batch and return its loss; at least two kinds must be painted."""
        if self._learner is None or self._outgrown():
            self._learner = self._begin()
        batch = self._patches.batch(self.meaning)
        if classes := self.meaning.classes:
            self._prior.note(batch, classes)
        loss = self._learner.learn(batch, self.steps, self._settings.learning_rate)
        self.steps += 1
        self._predictor = None
        self._canvases.note_learned()
        return loss

    # -- what was learned ------------------------------------------------------------------------

    def model(self) -> Model:
        """Return the current model, corrected for the frequency of classes by `Prior`.

        Raises
        ------
        SettingsError
            If nothing has been learned yet.
        """
        model = self._learned_model()
        if not self.meaning.classes:
            return model
        network = BlockNetwork(model, self._compute)
        patches = patches_near_strokes(self._canvases.by_name.values(), self._settings.seed)
        self._prior.measure(self.meaning.outputs(network(patch)) for patch in patches)
        return Model(model.info, self._prior.correct(model.weights))

    def predictor(self) -> BlockNetwork:
        """Return the network that predicts until the next step."""
        if self._predictor is None:
            self._predictor = BlockNetwork(self.model(), self._compute)
        return self._predictor

    def predict(
        self, canvas: Canvas, region: Region | None, predictor: BlockNetwork | None = None
    ) -> NDArray[np.float32]:
        """Predict an image, or a region of it.

        Parameters
        ----------
        canvas
            Image to predict.
        region
            Slices along Y and X; None: the whole image.
        predictor
            An earlier result of `predictor`; None: the current one.

        Returns
        -------
        float32 array
            Outputs, axes CYX, see `LabelMeaning.outputs`.
        """
        maps = predict_region(predictor or self.predictor(), canvas.image, region)
        return self.meaning.outputs(maps)

    # -- saving ----------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the tensors and plain values from which `restore` continues exactly."""
        assert self._learner is not None
        assert self._info is not None
        tensors, learner = self._learner.state()
        values = {
            "task": self.meaning.task.model_dump(mode="json"),
            "info": self._canvases.describe(self._info, self.steps).model_dump(mode="json"),
            "steps": self.steps,
            "prior": self._prior.dump(),
            "learner": learner,
        }
        return tensors, values

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Continue from the result of `state`."""
        info = ModelInfo.model_validate(values["info"])
        # The class names may have changed since the state was saved.
        self._info = info.model_copy(update={"task": self.meaning.task})
        self._canvases.load(self._info)
        self._learner = self._new_learner(self._info)
        self._learner.restore(tensors, values["learner"])
        self._held = self._learner.held
        self.steps = int(values["steps"])
        self._prior = Prior()
        self._prior.load(values.get("prior", {}))
        self._predictor = None

    # -- beginning -------------------------------------------------------------------------------

    @property
    def _start_info(self) -> ModelInfo | None:
        return None if self._start is None else self._start.info

    def _meaning_of(self, task: Task) -> LabelMeaning:
        start = None if self._start is None else self._start.info.task
        return label_meaning(task if start is None else task.decoding_like(start))

    def _learned_model(self) -> Model:
        if self._learner is None or self._info is None:
            raise SettingsError("Nothing has been learned yet. Paint at least two classes first.")
        info = self._canvases.describe(self._info, self.steps)
        return Model(info, self._learner.weights())

    def _begin(self) -> Learner:
        """Build the network and fit its statistics and last layer before the first step."""
        self._info = info = self._new_info()
        learner = self._new_learner(info)
        self._prior = Prior()
        if self._start is not None:
            batches = [self._patches.batch(self.meaning) for _ in range(_WARMING_BATCHES)]
            weights = warm_weights(self._start, info, batches)
            learner.take(weights)
            learner.anchor_to(weights if self._held is None else self._held)
        self._warmed_with_px = self._patches.painted_px
        return learner

    def _new_info(self) -> ModelInfo:
        outputs = sum(head.channels for head in self.meaning.task.heads)
        ends = {"in_channels": self._canvases.channels, "out_channels": outputs}
        own = {"depth": self._settings.depth, "base_channels": self._settings.base_channels}
        unet = UNetConfig.model_validate(own) if self._start is None else self._start.info.unet
        return ModelInfo(
            unet=unet.model_copy(update=ends),
            task=self.meaning.task,
            normalization=self.normalization(self._canvases.rgb),
            name=self._name,
            rgb=self._canvases.rgb,
            provenance=origin(self._start_info, self._name),
        )

    def _outgrown(self) -> bool:
        """Return whether to rebuild a network that began with only part of the first stroke."""
        self._steps_since_edit += 1
        if self._start is None or self._held is not None or self.steps >= _SETTLED_STEPS:
            return False
        if self._warmed_with_px >= _FEW_PX or self._steps_since_edit < _REST_STEPS:
            return False
        return self._patches.painted_px >= 2 * self._warmed_with_px

    def _new_learner(self, info: ModelInfo) -> Learner:
        own = self._settings
        settings = TrainingSettings(
            patch_px=own.patch_px,
            batch_size=own.batch_size,
            learning_rate=own.learning_rate,
            average_decay=own.average_decay,
            depth=info.unet.depth,
            seed=own.seed,
        )
        return Learner(info, settings, self._compute, own.pull, own.style_noise)
