"""A network that keeps learning from what is painted at the moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_unet.core.errors import LabelsError, SettingsError
from napari_unet.core.evaluation.measure import median_diameter_px
from napari_unet.core.images.normalization import IntensityRange, Normalization, apply_ranges
from napari_unet.core.live.label_meaning import (
    BACKGROUND_ID,
    LabelMeaning,
    label_meaning,
)
from napari_unet.core.live.patches import Patches
from napari_unet.core.live.prior import Prior, patches_near_strokes
from napari_unet.core.live.settings import LiveSettings
from napari_unet.core.live.sources import Sources, origin
from napari_unet.core.live.strokes import Canvas, StrokeScores
from napari_unet.core.live.uncertainty import least_certain_window
from napari_unet.core.live.warm_start import warm_weights
from napari_unet.core.models.blocks import BlockNetwork
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.system.device import Compute, choose_compute
from napari_unet.core.tasks.base import Task
from napari_unet.core.training.learner import Learner
from napari_unet.core.training.model_header import choose_normalization
from napari_unet.core.training.settings import TrainingSettings

__all__ = ["LiveTraining"]

_WARMING_BATCHES = 6
_SETTLED_STEPS, _REST_STEPS, _FEW_PX = 100, 3, 200
_CONTEXT_PX = 64
_TILE_PX = 512
_JUDGED_PX, _MOST_TILES = 1024, 16
"""What is asked of a large image must not keep strokes waiting."""


class LiveTraining:
    """Trains on images whose labels change.

    Nothing here runs by itself: the caller calls `step` for as long as it likes, and in between
    `put`, `edit`, `remove`, `set_task` and `outputs`.

    Parameters
    ----------
    task
        Classes, or objects on a background (see `ObjectMeaning`); 0 is "not painted". Objects are
        decoded as the start model does it, where it knows objects.
    start
        Model to start from; None: from scratch.
    settings
        How to train.
    name
        Of the model.

    Raises
    ------
    SettingsError
        When the task is not sparse, or the start model one of volumes.

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
        if start is not None and start.info.unet.ndim != 2:
            raise SettingsError(
                f"'{start.info.name}' is a model of volumes, Live learns from planes. Choose a 2-D "
                "model to start from, or none."
            )
        self._settings = settings or LiveSettings()
        self._start = start
        self._name = name
        self._sources = Sources()
        self._meaning = self._meaning_of(task)
        self._canvases: dict[str, Canvas] = {}
        self._in_colour: dict[str, bool] = {}
        self._patches = Patches(self._canvases, self._settings)
        self._compute: Compute = choose_compute(self._settings.device, self._settings.precision)
        self._learner: Learner | None = None
        self._info: ModelInfo | None = None
        self._network: BlockNetwork | None = None
        self._judge: BlockNetwork | None = None
        self._judging = False
        self._held: Mapping[str, Tensor] | None = None
        self._measured: tuple[float | None, int] = None, 0
        self._warmed_with_px = self._steps_since_edit = 0
        self._prior = Prior()
        self.scores = StrokeScores()
        self.steps = 0

    # -- what is painted -------------------------------------------------------------------------

    def put(
        self,
        name: str,
        image: NDArray[Any],
        labels: NDArray[np.integer[Any]],
        rgb: bool = False,
        ranges: Sequence[IntensityRange] | None = None,
        known: NDArray[np.integer[Any]] | None = None,
    ) -> None:
        """Add an image, or replace it.

        Parameters
        ----------
        name
            What it is called in the other methods.
        image
            Raw values, axes CYX.
        labels
            Axes YX, 0 where nothing is painted.
        rgb
            Whether the channels are red, green and blue.
        ranges
            What `ranges` gave of the depth stack that it is a plane of; None: its own.
        known
            Labels, axes YX, that were learned from before it was saved: where they are the same
            nothing is new. None: nothing was.

        Raises
        ------
        LabelsError
            When image and labels differ in shape, labels are negative, or the channels are others
            than those of other images, also of those that were learned from before.
        """
        channels = {c.image.shape[0] for n, c in self._canvases.items() if n != name}
        others = {self._in_colour[n] for n in self._canvases if n != name}
        if self._learner is not None and self._info is not None:
            channels, others = {self._info.unet.in_channels}, {self._info.rgb}
        if channels and image.shape[0] not in channels:
            raise LabelsError(
                f"'{name}' has {image.shape[0]} channel(s), the other images {min(channels)}: "
                "expected the same. Choose images of one kind."
            )
        if others and rgb not in others:
            raise LabelsError(
                f"'{name}' and the other images are not alike: some are in colour, others not. "
                "Choose images of one kind."
            )
        ranges = ranges or self.ranges(image, rgb, name)
        self._canvases[name] = Canvas(apply_ranges(image, list(ranges)), labels, known)
        self._in_colour[name] = rgb
        self._sources.put(name, image)

    def ranges(self, image: NDArray[Any], rgb: bool, name: str = "image") -> list[IntensityRange]:
        """Find what an image is normalised with.

        Parameters
        ----------
        image
            Raw values, axes CYX or CZYX.
        rgb, name
            As in `put`.
        """
        return self._normalization(rgb).ranges(image, rgb, name)

    def remove(self, name: str) -> None:
        """Take an image away; what was learned from it stays for a while."""
        self._measure()
        self._canvases.pop(name, None)

    def edit(
        self,
        name: str,
        origin: tuple[int, int],
        block: NDArray[np.integer[Any]],
        *,
        judged: bool = True,
        continues: bool = False,
    ) -> None:
        """Replace a block of an image's labels; what is newly painted is judged first.

        Parameters
        ----------
        name
            The image.
        origin
            Where the block begins, (y, x).
        block
            The labels there from now on, axes YX.
        judged
            Whether the model is scored on it; false of proposals of its own that were accepted.
        continues
            Whether it is a further piece of the stroke before, told while that was still drawn:
            judged as that was, though the network may have learned from it since.
        """
        canvas = self._canvases[name]
        pixels = canvas.edit(origin, block)
        self._steps_since_edit = 0
        if not continues:  # a stroke that was begun before the network was is learned from by it
            self._judge, self._judging = None, judged and self._learner is not None
            self.scores.begin_stroke()
        if self._judging and judged and pixels.size:
            pixels = self._near_each_other(pixels, canvas.labels.shape)
            kinds = self._meaning.kinds_of(canvas.labels.ravel()[pixels])
            known = kinds > 0
            self._judge = self._judge or self._predictor()
            foreseen = self._foreseen(name, pixels, self._judge)
            self.scores.add(kinds[known], foreseen[known], continues=continues)
        if self._learner is not None:
            self._learner.follow_quickly()

    def set_task(self, task: Task) -> None:
        """Change the classes; the features that were learned stay."""
        meaning = self._meaning_of(task)
        if not task.shares_outputs(self._task) and self._learner is not None:
            self._start, self._held = self._as_learned(), self._learner.held
            self._learner = self._network = self._judge = None
            self._judging = False
        elif self._info is not None:
            self._info = self._info.model_copy(update={"task": meaning.task})
            self._network = None
        self._meaning = meaning

    def digest(self, name: str) -> str:
        """Hash of an image's labels, see `Canvas.digest`."""
        return self._canvases[name].digest()

    @property
    def ready(self) -> bool:
        """Whether two classes, or background and an object, are painted."""
        return len(self._patches.kinds(self._meaning)) >= 2

    @property
    def score(self) -> float | None:
        """How well strokes of what is painted now were foreseen, see `StrokeScores`."""
        return self.scores.balanced_accuracy(self._patches.kinds(self._meaning))

    # -- learning --------------------------------------------------------------------------------

    def step(self) -> float:
        """Learn from one batch and give its loss.

        Raises
        ------
        LabelsError
            When fewer than two classes are painted.
        """
        if not self.ready:
            raise LabelsError(
                "Fewer than two classes are painted: paint a stroke of at least two of them "
                "(background is one; so is any object)."
            )
        if self._learner is None or self._outgrown():
            self._begin()
        assert self._learner is not None
        batch = self._patches.batch(self._meaning)
        if classes := self._meaning.classes:
            self._prior.note(batch, classes)
        loss = self._learner.learn(batch, self.steps, self._settings.learning_rate)
        self.steps += 1
        self._network = None
        self._note_images()
        return loss

    def outputs(self, name: str, region: tuple[slice, slice] | None = None) -> NDArray[np.float32]:
        """Predict an image, or a region of it, with what has been learned.

        Parameters
        ----------
        name
            The image.
        region
            Slices along Y and X; None: all of it.

        Returns
        -------
        float32 array
            Probability of each class, axes (classes, Y, X); see `Semantic.ids` for their order. Of
            objects the maps of `Instances.heads`.
        """
        return self._outputs_of(self._predictor(), name, region)

    def _outputs_of(
        self, network: BlockNetwork, name: str, region: tuple[slice, slice] | None
    ) -> NDArray[np.float32]:
        image = self._canvases[name].image
        top, bottom, left, right = _bounds(region, image.shape[1:])
        multiple = network.unet.multiple  # blocks begin where the whole image's would
        first = [max(0, start - _CONTEXT_PX) // multiple * multiple for start in (top, left)]
        near = (slice(first[0], bottom + _CONTEXT_PX), slice(first[1], right + _CONTEXT_PX))
        maps = network(np.ascontiguousarray(image[(slice(None), *near)]))
        maps = maps[:, top - first[0] :, left - first[1] :]
        maps = maps[:, : bottom - top, : right - left]
        return self._meaning.outputs(maps)

    def least_certain(self, name: str, window_px: int | None = None) -> tuple[slice, slice] | None:
        """Find where an image is least certain and not painted: `least_certain_window` of it.

        Of a large image only some parts are looked at, others each time.
        """
        canvas = self._canvases[name]
        shape = canvas.labels.shape
        tiles = [
            (slice(y, y + _TILE_PX), slice(x, x + _TILE_PX))
            for y in range(0, shape[0], _TILE_PX)
            for x in range(0, shape[1], _TILE_PX)
        ]
        tiles = [tile for tile in tiles if not canvas.labels[tile].all()]
        doubt, passed_over = np.zeros(shape, np.float32), np.ones(shape, bool)
        for i in self._patches.rng.permutation(len(tiles))[:_MOST_TILES]:
            region = tiles[i]
            doubt[region] = self._meaning.doubt(self.outputs(name, region))
            passed_over[region] = False
        side_px = window_px or self._meaning.window_px
        return least_certain_window(doubt, passed_over | (canvas.labels > 0), side_px)

    def proposal(
        self, name: str, window: tuple[slice, slice]
    ) -> tuple[tuple[int, int], NDArray[np.integer[Any]]]:
        """Say what might be painted in a window of an image.

        Returns
        -------
        origin, labels
            Where it begins, (y, x), and labels, axes YX, 0 where nothing is proposed: classes, or
            see `ObjectMeaning.proposal`.
        """
        margin = self._meaning.margin_px
        labels = self._canvases[name].labels
        top, bottom, left, right = _bounds(window, labels.shape)
        first = max(0, top - margin), max(0, left - margin)
        around = slice(first[0], bottom + margin), slice(first[1], right + margin)
        inner = (
            slice(top - first[0], bottom - first[0]),
            slice(left - first[1], right - first[1]),
        )
        outputs = self.outputs(name, around)
        return first, self._meaning.proposal(outputs, labels[around], inner)

    @property
    def meaning(self) -> LabelMeaning:
        """What painted numbers stand for; turns outputs into labels."""
        return self._meaning

    def model(self) -> Model:
        """Give the model as it is now; classes count as they occur, see `Prior`.

        Raises
        ------
        SettingsError
            When nothing was learned yet.
        """
        model = self._as_learned()
        if not self._meaning.classes:
            return model
        network = BlockNetwork(model, self._compute)
        patches = patches_near_strokes(self._canvases.values(), self._settings.seed)
        self._prior.measure(self._meaning.outputs(network(patch)) for patch in patches)
        return Model(model.info, self._prior.applied(model.weights))

    def _as_learned(self) -> Model:
        if self._learner is None or self._info is None:
            raise SettingsError("Nothing was learned yet: paint two classes first.")
        return Model(self._described(self._info), self._learner.weights())

    # -- to be saved -----------------------------------------------------------------------------

    @property
    def began(self) -> bool:
        """Whether there is a network already."""
        return self._learner is not None

    def labels(self) -> dict[str, NDArray[np.integer[Any]]]:
        """Give the labels of each image by its name."""
        return {name: canvas.labels for name, canvas in self._canvases.items()}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Give what is needed to go on, beside images and labels.

        Not which strokes are the newest: what comes back by `put` is drawn as often as any other.
        """
        assert self._learner is not None
        assert self._info is not None
        tensors, learner = self._learner.state()
        values = {
            "task": self._task.model_dump(mode="json"),
            "info": self._described(self._info).model_dump(mode="json"),
            "steps": self.steps,
            "scores": self.scores.dump(),
            "random": self._patches.rng.bit_generator.state,
            "prior": self._prior.dump(),
            "learner": learner,
        }
        return tensors, values

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go back to what `state` gave."""
        info = ModelInfo.model_validate(values["info"])
        self._info = info.model_copy(update={"task": self._task})  # names may be others by now
        self._sources.load(self._info)
        objects = info.provenance.get("counts", {}).get("train_objects", 0)
        self._measured = info.object_diameter_px, objects
        self._learner = self._new_learner(self._info)
        self._learner.restore(tensors, values["learner"])
        self._held = self._learner.held
        self.steps = int(values["steps"])
        self.scores.load(values["scores"])
        self._patches.rng.bit_generator.state = values["random"]
        self._prior = Prior()
        self._prior.load(values.get("prior", {}))
        self._network = None

    # -- inside ----------------------------------------------------------------------------------

    def _normalization(self, rgb: bool) -> Normalization:
        start = None if self._start is None else self._start.info
        return choose_normalization(Normalization(), rgb, start)

    @property
    def _task(self) -> Task:
        return self._meaning.task

    def _meaning_of(self, task: Task) -> LabelMeaning:
        start = None if self._start is None else self._start.info.task
        return label_meaning(task if start is None else task.decoding_like(start))

    def _note_images(self) -> None:
        self._sources.note(name for name, canvas in self._canvases.items() if canvas.by_class)

    def _described(self, info: ModelInfo) -> ModelInfo:
        """Add what it comes from, and how wide the painted objects are."""
        if not info.task.labels_are_objects:
            return self._sources.describe(info, self.steps, None)
        self._measure()
        diameter, objects = self._measured
        info = info.model_copy(update={"object_diameter_px": diameter})
        return self._sources.describe(info, self.steps, objects)

    def _measure(self) -> None:
        """Note how wide the painted objects are, and how many; where none are left, the last."""
        areas = [
            len(pixels)
            for canvas in self._canvases.values()
            for number, pixels in canvas.by_class.items()
            if number != BACKGROUND_ID
        ]
        if areas:
            self._measured = round(median_diameter_px(areas), 1), len(areas)

    def _begin(self) -> None:
        """Make the network: statistics and head fit what is painted before the first step."""
        channels = next(iter(self._canvases.values())).image.shape[0]
        outputs = sum(head.channels for head in self._task.heads)
        changed = {"in_channels": channels, "out_channels": outputs}
        if self._start is None:
            settings = self._settings
            unet = UNetConfig(depth=settings.depth, base_channels=settings.base_channels, **changed)
        else:
            unet = self._start.info.unet.model_copy(update=changed)
        rgb = self._in_colour[next(iter(self._canvases))]
        start = None if self._start is None else self._start.info
        self._info = ModelInfo(
            unet=unet,
            task=self._task,
            normalization=self._normalization(rgb),
            name=self._name,
            rgb=rgb,
            provenance=origin(start, self._name),
        )
        self._learner = self._new_learner(self._info)
        self._prior = Prior()
        if self._start is not None:
            batches = [self._patches.batch(self._meaning) for _ in range(_WARMING_BATCHES)]
            weights = warm_weights(self._start, self._info, batches)
            self._learner.take(weights)
            self._learner.anchor_to(weights if self._held is None else self._held)
        self._warmed_with_px = self._patches.painted_px

    def _outgrown(self) -> bool:
        """Whether it began in the midst of a stroke, and should begin anew now that it is whole."""
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

    def _predictor(self) -> BlockNetwork:
        if self._network is None:
            self._network = BlockNetwork(self.model(), self._compute)
        return self._network

    def _near_each_other(
        self, pixels: NDArray[np.int64], shape: tuple[int, ...]
    ) -> NDArray[np.int64]:
        """Of what was filled across a large image, take a part that is judged in a moment."""
        places = np.stack(np.unravel_index(pixels, shape))
        if (np.ptp(places, axis=1) < _JUDGED_PX).all():
            return pixels
        one = places[:, [int(self._patches.rng.integers(pixels.size))]]
        near: NDArray[np.int64] = pixels[(np.abs(places - one) < _JUDGED_PX // 2).all(0)]
        return near

    def _foreseen(
        self, name: str, pixels: NDArray[np.int64], network: BlockNetwork
    ) -> NDArray[Any]:
        """Kinds that a network predicts at pixels."""
        y, x = np.unravel_index(pixels, self._canvases[name].labels.shape)
        region = (slice(int(y.min()), int(y.max()) + 1), slice(int(x.min()), int(x.max()) + 1))
        kinds = self._meaning.foreseen_kinds(self._outputs_of(network, name, region))
        found: NDArray[np.integer[Any]] = kinds[y - y.min(), x - x.min()]
        return found


def _bounds(region: Sequence[slice] | None, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    if region is None:
        return 0, shape[0], 0, shape[1]
    (top, bottom, _), (left, right, _) = (
        part.indices(n) for part, n in zip(region, shape, strict=True)
    )
    return top, bottom, left, right
