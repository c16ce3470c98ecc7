"""The network applied to planes of any size: blocks with a halo, combined in one dask array.

+---------------------+
|        halo         |   Each block is read with a halo as wide as the network's receptive
|    +-----------+    |   field, and the halo is cut off the result. Block origins are
|    |   block   |    |   multiples of 2^depth. Every output pixel therefore depends on the same
|    +-----------+    |   input pixels at the same phase, whatever the block size: a tiled
|                     |   prediction equals an untiled one.
+---------------------+
"""

from __future__ import annotations

import copy
import operator
import threading
import uuid
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_unet.core.errors import SettingsError
from napari_unet.core.images.normalization import IntensityRange, apply_ranges
from napari_unet.core.models.model import Model
from napari_unet.core.models.unet import crop_to, fold_batch_norm, pad_to_multiple
from napari_unet.core.system.device import Compute, translated_errors
from napari_unet.core.tasks.losses import activate

if TYPE_CHECKING:
    import dask.array as da

__all__ = ["BlockNetwork", "block_chunks", "block_network", "network_outputs"]

Maps = NDArray[np.float32]

_ADVICE = "Choose a smaller block size or the device 'cpu'."
_built: weakref.WeakSet[BlockNetwork] = weakref.WeakSet()
_built_lock = threading.Lock()


class BlockNetwork:
    """A trained network, ready to be applied to blocks.

    Parameters
    ----------
    model
        Weights and header.
    compute
        Device and precision.
    test_time_augmentation
        Average the outputs over the eight flips and quarter turns of the YX plane.
    """

    def __init__(
        self,
        model: Model,
        compute: Compute,
        test_time_augmentation: bool = False,
    ) -> None:
        self._weights = [weakref.ref(weight) for weight in model.weights.values()]
        net = compute.lowered_network(fold_batch_norm(model.network()))
        with translated_errors(compute, _ADVICE):
            self._net = compute.place_network(net)
        self._task = model.info.task
        self.unet = model.info.unet
        self._compute = compute
        self._turns = _turns(test_time_augmentation)

    def is_of(self, model: Model, compute: Compute) -> bool:
        """Return whether it was built from this model's weights, whatever its decoder settings."""
        if compute != self._compute:
            return False
        mine, weights = [ref() for ref in self._weights], [*model.weights.values()]
        same = len(mine) == len(weights) and all(map(operator.is_, mine, weights))
        return same and self.unet == model.info.unet and self._task.heads == model.info.task.heads

    def augmented(self, test_time_augmentation: bool) -> BlockNetwork:
        """Return this network with or without test-time augmentation; the weights are shared."""
        turns = _turns(test_time_augmentation)
        if turns == self._turns:
            return self
        other = copy.copy(self)
        other._turns = turns
        return other

    @property
    def channels(self) -> int:
        """Number of output channels."""
        return self.unet.out_channels

    @property
    def halo_px(self) -> int:
        """Width of the halo: the receptive radius, rounded up to a multiple of 2^depth."""
        multiple = self.unet.multiple
        return -(-self.unet.receptive_radius_px // multiple) * multiple

    def __call__(self, image: Maps) -> Maps:
        """Compute the activated outputs (channels, ...) of a normalised image (C, ...)."""
        with translated_errors(self._compute, _ADVICE), torch.inference_mode():
            return cast(Maps, self._outputs(torch.from_numpy(image)[None])[0].cpu().numpy())

    def logits(self, image: Maps) -> Maps:
        """Compute the logits (channels, ...) of a normalised image (C, ...)."""
        with translated_errors(self._compute, _ADVICE), torch.inference_mode():
            return cast(Maps, self._logits(torch.from_numpy(image)[None])[0].cpu().numpy())

    def _logits(self, x: Tensor) -> Tensor:
        x = self._compute.to_inference_dtype(self._compute.place(x))
        return cast(Tensor, self._net(x)).float()

    def _outputs(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        # Padded before the image is rotated, so that the phase of the down-sampling stays the same.
        x = self._compute.place(pad_to_multiple(x, self.unet.multiple))
        total: Tensor | None = None
        for turns, flip in self._turns:
            turned = torch.rot90(x.flip(-1) if flip else x, turns, (-2, -1))
            outputs = activate(self._task, self._logits(turned))
            outputs = self._turn_back(outputs, turns, flip).div_(len(self._turns))
            total = outputs if total is None else total.add_(outputs)
        assert total is not None
        return crop_to(total, size)

    def _turn_back(self, outputs: Tensor, turns: int, flip: bool) -> Tensor:
        """Undo a flip and quarter turns, including those of vector directions."""
        if not turns and not flip:
            return outputs
        outputs = torch.rot90(outputs, -turns, (-2, -1))
        outputs = outputs.flip(-1) if flip else outputs
        start = 0
        for head in self._task.heads:
            stop = start + head.channels
            if head.vector:
                y, x = outputs[:, stop - 2].clone(), outputs[:, stop - 1].clone()
                for _ in range(turns):
                    y, x = x, -y
                outputs[:, stop - 2], outputs[:, stop - 1] = y, -x if flip else x
            start = stop
        return outputs


def _turns(augmented: bool) -> list[tuple[int, bool]]:
    """List quarter turns, each with whether the image is flipped first."""
    return [(k, flip) for k in range(4) for flip in (False, True)] if augmented else [(0, False)]


def block_network(
    model: Model, compute: Compute, test_time_augmentation: bool = False
) -> BlockNetwork:
    """Build a `BlockNetwork`, or return an existing one with the same weights on the same device.

    A network is reused only while a caller keeps a reference to it: keep the returned network while
    you predict many images with one model.
    """
    with _built_lock:
        found = (n for n in _built if n.is_of(model, compute))
        network = next(found, None) or BlockNetwork(model, compute, test_time_augmentation)
        network = network.augmented(test_time_augmentation)
        _built.add(network)
    return network


def network_outputs(
    network: BlockNetwork,
    plane: Any,
    ranges: list[IntensityRange],
    block_px: int,
    on_block: Callable[[], None] = lambda: None,
    *,
    activated: bool = True,
) -> da.Array:
    """Build the lazy array of a plane's outputs; nothing is computed yet.

    Parameters
    ----------
    network
        The network to apply.
    plane
        Raw values, axes CYX or CZYX; a numpy, memory-mapped or dask array.
    ranges
        Intensity range of each channel, (low, high), to normalise with.
    block_px
        Side of the blocks in pixels; rounded up to a multiple of 2^depth.
    on_block
        Function called before each block; it may raise an exception to stop.
    activated
        Whether to return activated outputs instead of logits.

    Returns
    -------
    dask.array.Array
        Outputs, (channels, ...) float32.
    """
    import dask.array as da
    from dask.array.overlap import overlap, trim_overlap

    def apply(block: NDArray[Any]) -> Maps:
        on_block()
        image = apply_ranges(block, ranges)
        return network(image) if activated else network.logits(image)

    chunks = tuple(block_chunks(n, block_px, network) for n in plane.shape[1:])
    if not isinstance(plane, da.Array):
        plane = da.from_array(plane, chunks=(-1, *chunks), name=False)
    source = plane.rechunk((-1, *chunks))
    # An axis of one block needs no halo, and may be shorter than the halo.
    halos = (network.halo_px if len(sizes) > 1 else 0 for sizes in chunks)
    depth = {0: 0} | dict(enumerate(halos, start=1))
    padded = overlap(source, depth=depth, boundary="none", allow_rechunk=False)
    outputs = padded.map_blocks(
        apply,
        name=f"outputs-{uuid.uuid4().hex}",  # otherwise dask pickles and hashes the whole network
        dtype=np.float32,
        chunks=((network.channels,), *padded.chunks[1:]),
        meta=np.empty((0,) * padded.ndim, np.float32),
    )
    return cast("da.Array", trim_overlap(outputs, depth=depth, boundary="none"))


def block_chunks(length: int, block_px: int, network: BlockNetwork) -> tuple[int, ...]:
    """Split an axis into blocks that start at multiples of 2^depth and are not below the halo."""
    if block_px < 1:
        raise SettingsError(
            f"The block size is {block_px} px: expected at least 1. Choose a larger one."
        )
    multiple = network.unet.multiple
    size = max(-(-block_px // multiple) * multiple, network.halo_px)
    blocks = [size] * (length // size)
    rest = length - sum(blocks)
    if rest and (rest >= network.halo_px or not blocks):
        blocks.append(rest)
    elif rest:
        blocks[-1] += rest
    return tuple(blocks)
