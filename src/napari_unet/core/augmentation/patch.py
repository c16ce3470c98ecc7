"""Augmented patches of a plane, with one seeded transform for image and labels.

Cropping, flips, rotation, scale, shear and elastic deformation form one grid of coordinates, so
pixels are resampled only once, and the corners of a rotated patch are filled from the surrounding
image. Labels are looked up at rounded coordinates, never interpolated, which preserves ids of any
size and integer type.

`benchmarks/augmentation.md` compares this with augmentation libraries.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.augmentation.empty_patches import empty_patch
from napari_unet.core.augmentation.intensity import vary_intensity
from napari_unet.core.augmentation.settings import Augmentation
from napari_unet.core.augmentation.warp import crop, warp, warped_grid
from napari_unet.core.errors import ImageError, LabelsError

__all__ = ["sample_patch"]

Float = NDArray[np.float32]


@dataclass(frozen=True)
class _Geometry:
    """Random parameters of one geometric transform."""

    centre_px: tuple[int, ...]
    flips: tuple[bool, ...]
    quarter_turns: int
    warp: tuple[Float, Float] | None  # 2 x 2 matrix, displacement [2, h, w]


def sample_patch(
    plane_image: Float,
    plane_labels: NDArray[Any],
    annotated: NDArray[np.bool_] | None,
    centre_px: tuple[int, ...],
    patch_size: tuple[int, ...],
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> tuple[Float, NDArray[Any], NDArray[np.bool_]]:
    """Cut one augmented patch out of a plane.

    The cost depends on the patch, not on the plane, which may be a memory-mapped array.

    Parameters
    ----------
    plane_image
        Normalised values, float32 [C, Y, X] or [C, Z, Y, X]. Rotation, scale, shear and elastic
        deformation act in the YX plane, equally at all Z.
    plane_labels
        Integers, [Y, X] or [Z, Y, X].
    annotated
        True in the annotated area, shape of `plane_labels`; None: everywhere.
    centre_px
        The pixel at index ``size // 2`` of the patch, (y, x) or (z, y, x).
    patch_size
        Height and width, or depth, height and width, in pixels; may exceed the plane.
    augmentation
        Settings of the augmentation.
    rng
        Random number generator; the same state yields the same patch.

    Returns
    -------
    image
        float32 [C, *patch_size]; reflected outside the plane.
    labels
        Type of `plane_labels`, [*patch_size]; 0 outside the plane.
    inside
        bool [*patch_size]; False outside the plane or the annotated area.

    Raises
    ------
    ImageError
        If image, centre and patch size differ in their number of dimensions.
    LabelsError
        If labels or annotated area differ in shape from the image.
    """
    _check(plane_image, plane_labels, annotated, centre_px, patch_size)
    shape = plane_labels.shape
    geometry = _draw_geometry(shape, centre_px, patch_size, augmentation, rng)
    # A quarter turn swaps the sides, so the patch is first cut with swapped sides.
    swapped = geometry.quarter_turns % 2 == 1
    size = (*patch_size[:-2], *patch_size[:-3:-1]) if swapped else tuple(patch_size)
    starts = [c - n // 2 for c, n in zip(geometry.centre_px, size, strict=True)]
    axes = [np.arange(s, s + n) for s, n in zip(starts, size, strict=True)]
    if geometry.warp is None:
        image, labels, inside = crop(plane_image, plane_labels, annotated, axes)
    else:
        grid = warped_grid(geometry.centre_px[-2:], axes[-2:], *geometry.warp)
        image, labels, inside = warp(plane_image, plane_labels, annotated, axes[:-2], grid)
    image, labels, inside = (_turn(array, geometry) for array in (image, labels, inside))
    if augmentation.empty and rng.random() < augmentation.empty:
        return empty_patch(image.shape, rng), np.zeros_like(labels), np.ones_like(inside)
    return vary_intensity(image, augmentation, rng), labels, inside


def _check(
    image: Float,
    labels: NDArray[Any],
    annotated: NDArray[np.bool_] | None,
    centre_px: tuple[int, ...],
    patch_size: tuple[int, ...],
) -> None:
    ndim = image.ndim - 1
    if ndim not in (2, 3) or len(centre_px) != ndim or len(patch_size) != ndim:
        raise ImageError(
            f"The patch has {len(patch_size)} dimension(s), its centre {len(centre_px)} and the "
            f"image {image.ndim} axes: expected an image with axes CYX or CZYX, and one number for "
            "each axis but C."
        )
    for what, array in (("labels have", labels), ("annotated area has", annotated)):
        if array is not None and array.shape != image.shape[1:]:
            raise LabelsError(
                f"The {what} shape {array.shape}, the image {image.shape[1:]} (without C). "
                "Expected the same."
            )


def _draw_geometry(
    shape: tuple[int, ...],
    centre_px: tuple[int, ...],
    size: tuple[int, ...],
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> _Geometry:
    a = augmentation
    centre = [round(c) for c in centre_px]
    if a.shift_px:
        for axis in (-2, -1):
            n, start = shape[axis], size[axis] // 2
            moved = round(centre[axis] + rng.uniform(-a.shift_px, a.shift_px))
            low, high = min(centre[axis], start), max(centre[axis], n - size[axis] + start)
            centre[axis] = min(max(moved, low), high)
    flips = tuple(bool(f) for f in rng.random(len(size)) < 0.5) if a.flips else ()
    turns = int(rng.integers(4)) if a.quarter_turns else 0
    warp = None
    if a.warps and rng.random() < a.warp_probability:
        sides = size[-2:] if turns % 2 == 0 else size[:-3:-1]
        warp = _draw_matrix(a, rng), _draw_elastic(a, (sides[0], sides[1]), rng)
    return _Geometry(tuple(centre), flips, turns, warp)


def _draw_matrix(augmentation: Augmentation, rng: np.random.Generator) -> Float:
    """Draw the matrix that maps an offset from the centre in the patch to one in the plane."""
    a = augmentation
    angle = np.deg2rad(rng.uniform(-a.rotation_deg, a.rotation_deg))
    slant = np.tan(np.deg2rad(rng.uniform(-a.shear_deg, a.shear_deg)))
    scale = np.exp(rng.uniform(*np.log(a.scale)))  # halving as likely as doubling
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shear = np.array([[1, 0], [slant, 1]])
    matrix: Float = (rotation @ shear / scale).astype(np.float32)
    return matrix


def _draw_elastic(
    augmentation: Augmentation, size: tuple[int, int], rng: np.random.Generator
) -> Float:
    """Draw smooth random displacements, float32 [2, h, w]: a cubic B-spline on a coarse grid."""
    if not augmentation.elastic_px:
        return np.zeros((2, 1, 1), np.float32)
    rows, columns = (_spline_basis(n, augmentation.elastic_scale_px) for n in size)
    amplitude = rng.uniform(0, augmentation.elastic_px)
    points = rng.uniform(-amplitude, amplitude, (2, rows.shape[1], columns.shape[1]))
    displacement: Float = rows @ points.astype(np.float32) @ columns.T
    return displacement


@lru_cache(maxsize=64)
def _spline_basis(length: int, spacing_px: float) -> Float:
    """Compute the weight of each control point at each pixel, float32 [length, points]."""
    from scipy.interpolate import BSpline

    points = int(np.ceil(length / spacing_px)) + 3
    knots = np.arange(-3, points + 1, dtype=float)
    basis: Float = BSpline.design_matrix(np.arange(length) / spacing_px, knots, 3).toarray()
    basis = basis.astype(np.float32)
    basis.flags.writeable = False
    return basis


def _turn(array: NDArray[Any], geometry: _Geometry) -> NDArray[Any]:
    """Apply quarter turns and flips to the trailing axes."""
    if geometry.quarter_turns:
        array = np.rot90(array, geometry.quarter_turns, axes=(-2, -1))
    flipped = tuple(i - len(geometry.flips) for i, flip in enumerate(geometry.flips) if flip)
    if flipped:
        array = np.flip(array, flipped)
    return np.ascontiguousarray(array)
