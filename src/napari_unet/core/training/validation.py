"""Scores of a model in training on the validation planes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.images.pair import Plane
from napari_unet.core.tasks.base import Task

if TYPE_CHECKING:
    from napari_unet.core.models.blocks import BlockNetwork

__all__ = ["ValidationSet"]


class ValidationSet:
    """Planes to score a model on, whole and without augmentation.

    Parameters
    ----------
    planes
        Normalised planes.
    task
        Task that encodes the labels and decodes the outputs.
    """

    def __init__(self, planes: list[Plane], task: Task) -> None:
        self._planes = planes
        self._task = task

    def score(self, network: BlockNetwork, block_px: int = 1024) -> tuple[float, dict[str, float]]:
        """Score a network.

        Parameters
        ----------
        network
            The network to score.
        block_px
            Side of the blocks in pixels.

        Returns
        -------
        loss
            Mean loss over the planes.
        scores
            Scores by name, as in `napari_unet.core.evaluation.object_scores.object_summary` and
            `napari_unet.core.evaluation.metrics.pixel_summary`.
        """
        from napari_unet.core.evaluation.metrics import pixel_summary
        from napari_unet.core.evaluation.object_scores import object_summary

        losses, objects, pixels = [], [], []
        for plane in self._planes:
            loss, outputs = self._run(network, plane, block_px)
            losses.append(loss)
            scored = self._score_plane(plane, self._task.decode(outputs))
            objects += scored[0]
            pixels.append(scored[1])
        names = {c.id: c.name for c in self._task.label_classes} or None
        return float(np.mean(losses)), object_summary(objects) | pixel_summary(pixels, names)

    def _run(
        self, network: BlockNetwork, plane: Plane, block_px: int
    ) -> tuple[float, NDArray[np.float32]]:
        import torch

        from napari_unet.core.models.blocks import network_outputs
        from napari_unet.core.tasks.losses import activate

        unchanged = [(0.0, 1.0)] * plane.image.shape[0]
        logits = torch.from_numpy(
            network_outputs(network, plane.image, unchanged, block_px, activated=False).compute(
                scheduler="synchronous"
            )
        )[None]
        inside = np.ones(plane.labels.shape, bool) if plane.annotated is None else plane.annotated
        targets, weight = (
            torch.from_numpy(a)[None] for a in self._task.encode(plane.labels, inside)
        )
        loss = float(self._task.loss()(logits, targets, weight))
        return loss, activate(self._task, logits)[0].numpy()

    def _score_plane(self, plane: Plane, prediction: NDArray[Any]) -> tuple[list[Any], Any]:
        from napari_unet.core.evaluation.metrics import foreground_counts, pixel_counts
        from napari_unet.core.evaluation.object_scores import object_scores

        if self._task.labels_are_objects:
            area = plane.annotated
            scores = object_scores(prediction, plane.labels, annotated=area)
            return [scores], foreground_counts(prediction, plane.labels, annotated=area)
        area = plane.annotated
        if self._task.sparse:
            painted = plane.labels > 0
            area = painted if area is None else area & painted
        counts = pixel_counts(
            prediction,
            plane.labels,
            annotated=area,
            classes=[c.id for c in self._task.label_classes],
            background=self._task.background_id,
        )
        return [], counts
