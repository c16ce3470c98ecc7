"""Cut a patch out of a plane and vary it: one seeded transform for image and labels.

Cropping, flips, rotation, scale, shear and elastic deformation are one grid of coordinates, so
pixels are resampled once, and the corners of a turned patch are filled from the image around it.
Labels are looked up by rounded coordinates, never interpolated: ids of any size and integer type
arrive as they were.

Why not a library's augmentation: `benchmarks/augmentation.md` has the measurements.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator

from napari_unet.core.augmentation.empty_patches import empty_patch
from napari_unet.core.errors import ImageError, LabelsError, SettingsError
from napari_unet.core.augmentation.intensity import vary_intensity
from napari_unet.core.augmentation.warp import crop, warp, warped_grid

__all__ = ["Augmentation", "sample_patch"]

Float = NDArray[np.float32]
Probability = Annotated[float, Field(ge=0, le=1)]
Preset = Literal["none", "light", "standard"]

_INJECTIVE = 0.48
"""Largest displacement, in control point distances, at which a cubic B-spline cannot fold.

Choi and Lee, Injectivity conditions of 2D and 3D uniform cubic B-spline functions, Graphical
Models 62 (2000): 1 / 2.0464 in two dimensions.
"""


class Augmentation(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """How much a patch may be varied; every number is the largest change, 0 or 1 is no change.

    Parameters
    ----------
    flips
        Mirror along each spatial axis, half of the time.
    quarter_turns
        Turn by a multiple of 90 degrees (nothing is interpolated).
    shift_px
        Move the centre by up to this many pixels along Y and X, not out of the image.
    warp_probability
        How often rotation, scale, shear and elastic deformation (together) are applied. The
        others are exact copies, as sharp as the images to predict later.
    rotation_deg
        Turn by up to this angle either way.
    scale
        Smallest and largest magnification.
    shear_deg
        Slant by up to this angle either way.
    elastic_px
        Move the control points of the elastic grid by up to this many pixels.
    elastic_scale_px
        Distance of the control points: larger is smoother.
    intensity_probability
        How often each of the following is applied, on its own. They take a normalised image: most
        values between 0 and 1.
    brightness
        Add up to this much.
    contrast
        Multiply the difference to the mean by up to this factor, or divide.
    gamma
        Raise to a power of up to this much, or one over it.
    channel_jitter
        With more than one channel: brightness and contrast of each channel on its own, up to this
        much (varying stains and exposures).
    background
        Add an uneven background, a broad wave, of up to this height.
    blur_px
        Standard deviation of a Gaussian, up to.
    noise
        Standard deviation of Gaussian noise, up to.
    empty
        How often a patch is replaced by drawn background without any object, whose labels are 0;
        see `napari_unet.core.augmentation.empty_patches`. For models that meet empty fields; not for labels
        whose background has another number.

    Raises
    ------
    SettingsError
        When `scale` is not ascending or the elastic grid could fold.
    """

    flips: bool = False
    quarter_turns: bool = False
    shift_px: float = Field(0, ge=0)
    warp_probability: Probability = 1
    rotation_deg: float = Field(0, ge=0, le=180)
    scale: tuple[float, float] = (1, 1)
    shear_deg: float = Field(0, ge=0, le=45)
    elastic_px: float = Field(0, ge=0)
    elastic_scale_px: float = Field(32, ge=4)
    intensity_probability: Probability = 0.5
    brightness: float = Field(0, ge=0, le=1)
    contrast: float = Field(1, ge=1, le=10)
    gamma: float = Field(1, ge=1, le=5)
    channel_jitter: float = Field(0, ge=0, le=0.5)
    background: float = Field(0, ge=0, le=1)
    blur_px: float = Field(0, ge=0, le=20)
    noise: float = Field(0, ge=0, le=1)
    empty: Probability = 0

    @model_validator(mode="after")
    def _check(self) -> Augmentation:
        low, high = self.scale
        if not 0.1 <= low <= high <= 10:
            raise SettingsError(
                f"Augmentation: scale is {low} to {high}. Expected the smallest and the largest "
                "magnification, between 0.1 and 10, for example (0.8, 1.25)."
            )
        largest = _INJECTIVE * self.elastic_scale_px
        if self.elastic_px > largest:
            raise SettingsError(
                f"Augmentation: elastic_px is {self.elastic_px:g} with elastic_scale_px "
                f"{self.elastic_scale_px:g}: the deformation could fold the image over itself. "
                f"Expected at most {largest:.3g}: choose less, or a larger elastic_scale_px."
            )
        return self

    @classmethod
    def preset(cls, name: Preset) -> Augmentation:
        """Return settings by name.

        Parameters
        ----------
        name
            ``"none"``: exact crops. ``"light"``: flips, quarter turns, a little brightness,
            contrast and uneven background; best where time is short. ``"standard"``: everything,
            for nuclei, cells and tissue without an up or down.

        Raises
        ------
        SettingsError
            When there is no such preset.
        """
        if name not in _PRESETS:
            known = ", ".join(_PRESETS)
            raise SettingsError(
                f"There is no augmentation preset {name!r}. Choose one of: {known}."
            )
        return cls(**_PRESETS[name])

    @property
    def warps(self) -> bool:
        """Whether anything in these settings resamples."""
        geometry = (self.rotation_deg, self.shear_deg, self.elastic_px)
        return self.warp_probability > 0 and (any(geometry) or self.scale != (1, 1))


_PRESETS: dict[str, dict[str, Any]] = {
    "none": {},
    "light": {
        "flips": True,
        "quarter_turns": True,
        "shift_px": 8,
        "brightness": 0.05,
        "contrast": 1.2,
        "background": 0.2,
    },
    "standard": {
        "flips": True,
        "quarter_turns": True,
        "shift_px": 16,
        "warp_probability": 0.8,
        "rotation_deg": 180,
        "scale": (0.75, 1.33),
        "shear_deg": 6,
        "elastic_px": 8,
        "elastic_scale_px": 40,
        "brightness": 0.1,
        "contrast": 1.5,
        "gamma": 1.4,
        "channel_jitter": 0.08,
        "background": 0.3,
        "blur_px": 1.2,
        "noise": 0.06,
    },
}


@dataclass(frozen=True)
class _Geometry:
    """One draw of everything that moves pixels."""

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
    """Cut one varied patch out of a plane.

    The cost depends on the patch, not on the plane, which may be a memory-mapped array.

    Parameters
    ----------
    plane_image
        Normalised values, float32 [C, Y, X], or [C, Z, Y, X]: rotation, scale, shear and elastic
        deformation are in the YX plane, the same in all Z.
    plane_labels
        Integers, [Y, X] or [Z, Y, X].
    annotated
        True where labels count, shape of `plane_labels`; None: everywhere.
    centre_px
        The pixel at index ``size // 2`` of the patch, (y, x) or (z, y, x).
    patch_size
        Height and width, or depth, height and width, in pixels; may exceed the plane.
    augmentation
        What may vary.
    rng
        The only source of randomness: the same state gives the same patch.

    Returns
    -------
    image
        float32 [C, *patch_size]; reflected where the patch leaves the plane.
    labels
        Type of `plane_labels`, [*patch_size]; 0 where the patch leaves the plane.
    inside
        bool [*patch_size]; False where the patch leaves the plane or the annotated area.

    Raises
    ------
    ImageError
        When image, centre and patch size differ in their number of dimensions.
    LabelsError
        When the shape of labels or annotated area is not that of the image.
    """
    _check(plane_image, plane_labels, annotated, centre_px, patch_size)
    shape = plane_labels.shape
    geometry = _draw_geometry(shape, centre_px, patch_size, augmentation, rng)
    # A quarter turn swaps the sides, so the patch is cut with swapped sides before it.
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
            f"A patch of {len(patch_size)} dimensions at a centre of {len(centre_px)} was asked of "
            f"an image with {image.ndim} axes. Expected an image CYX or CZYX and one number for "
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
    """Matrix that takes an offset from the centre in the patch to one in the plane."""
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
    """Smooth random displacements, float32 [2, h, w]: a cubic B-spline on a coarse grid."""
    if not augmentation.elastic_px:
        return np.zeros((2, 1, 1), np.float32)
    rows, columns = (_spline_basis(n, augmentation.elastic_scale_px) for n in size)
    amplitude = rng.uniform(0, augmentation.elastic_px)
    points = rng.uniform(-amplitude, amplitude, (2, rows.shape[1], columns.shape[1]))
    displacement: Float = rows @ points.astype(np.float32) @ columns.T
    return displacement


@lru_cache(maxsize=64)
def _spline_basis(length: int, spacing_px: float) -> Float:
    """Weights of each control point at each pixel, float32 [length, points]."""
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
