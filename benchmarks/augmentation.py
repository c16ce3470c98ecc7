"""Measure the time to augment one patch: this package, kornia, MONAI and other resamplers.

    python benchmarks/augmentation.py [--quick]

A patch has 192 x 192 pixels, one channel and labels, and is cut from a plane of 512 x 512. Every
candidate applies the same changes: flips, rotation by any angle, scale, shear and elastic
deformation ("geometry"), or these with brightness, contrast, gamma, blur and noise ("all"). Times
are the lower quartile. Libraries that are not installed are reported as absent. augmentation.md has
the findings.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

SIZE, PLANE, BATCH = 192, 512, 8
IDS = {"uint16": (40_001, 65_535), "int32": (20_000_001, 20_000_003)}
MODULES = {
    "kornia": ("kornia", "kornia"),
    "MONAI": ("monai", "monai"),
    "cv2.remap": ("cv2", "opencv-python-headless"),
    "map_coordinates": ("scipy", "scipy"),
    "skimage.warp": ("skimage", "scikit-image"),
    "grid_sample": ("torch", "torch"),
}
Transform = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def scene(dtype: str = "int32") -> tuple[np.ndarray, np.ndarray]:
    """Return an image and a plane of striped labels."""
    stripes = (np.arange(PLANE)[:, None] // 16 + np.arange(PLANE)[None, :] // 16) % 3
    labels = np.array([0, *IDS[dtype]], dtype)[stripes]
    noise = np.random.default_rng(0).normal(0, 0.05, stripes.shape)
    return (stripes / 2 + noise).astype(np.float32)[None], labels


def package(intensity: bool, preset: bool = False) -> Transform:
    from napari_unet.core.augmentation.patch import sample_patch
    from napari_unet.core.augmentation.settings import Augmentation

    values = {"brightness": 0.1, "contrast": 1.5, "gamma": 1.4, "blur_px": 1.2, "noise": 0.06}
    settings = Augmentation(
        flips=True,
        rotation_deg=180,
        scale=(0.75, 1.33),
        shear_deg=6,
        elastic_px=8,
        elastic_scale_px=40,
        intensity_probability=1,
        **(values if intensity else {}),
    )
    if preset:
        settings = Augmentation.preset("standard")
    rng = np.random.default_rng(0)

    def transform(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        centre = (PLANE // 2, PLANE // 2)
        return sample_patch(image, labels, None, centre, (SIZE, SIZE), settings, rng)[:2]

    return transform


def resampler(name: str) -> Transform:
    """Return a transform of this package's grid with another sampling function; geometry only."""
    from napari_unet.core.augmentation import patch as augment
    from napari_unet.core.augmentation.warp import warped_grid

    settings = augment.Augmentation.preset("standard")
    rng = np.random.default_rng(0)
    sample = SAMPLERS[name]()

    def transform(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        axes = [np.arange(SIZE) + (PLANE - SIZE) // 2] * 2
        matrix = augment._draw_matrix(settings, rng)
        elastic = augment._draw_elastic(settings, (SIZE, SIZE), rng)
        grid = warped_grid((PLANE // 2, PLANE // 2), axes, matrix, elastic)
        return sample(image[0], grid, 1), sample(labels, grid, 0)

    return transform


def sampler_scipy():
    from scipy.ndimage import map_coordinates

    return lambda a, grid, order: map_coordinates(a, grid, order=order, mode="mirror")


def sampler_skimage():
    from skimage.transform import warp

    return lambda a, grid, order: warp(
        a, grid, order=order, mode="reflect", preserve_range=True
    ).astype(a.dtype)


def sampler_cv2():
    import cv2

    cv2.setNumThreads(int(os.environ["OMP_NUM_THREADS"]))
    modes = {0: cv2.INTER_NEAREST, 1: cv2.INTER_LINEAR}
    return lambda a, grid, order: cv2.remap(
        a, grid[1], grid[0], modes[order], borderMode=cv2.BORDER_REFLECT_101
    )


def sampler_torch():
    import torch

    def sample(array: np.ndarray, grid: np.ndarray, order: int) -> np.ndarray:
        points = torch.from_numpy(np.moveaxis(grid[::-1], 0, -1) * np.float32(2 / (PLANE - 1)) - 1)
        sampled = torch.nn.functional.grid_sample(
            torch.from_numpy(array.astype(np.float32))[None, None],
            points[None],
            mode="bilinear" if order else "nearest",
            padding_mode="reflection",
            align_corners=True,
        )
        return sampled[0, 0].numpy().astype(array.dtype)

    return sample


SAMPLERS = {
    "map_coordinates": sampler_scipy,
    "skimage.warp": sampler_skimage,
    "cv2.remap": sampler_cv2,
    "grid_sample": sampler_torch,
}


def kornia(intensity: bool) -> Transform:
    import kornia.augmentation as k
    import torch

    steps = [
        k.RandomHorizontalFlip(p=0.5),
        k.RandomVerticalFlip(p=0.5),
        k.RandomAffine(180, scale=(0.75, 1.33), shear=6, p=1),
        k.RandomElasticTransform(kernel_size=(63, 63), sigma=(16, 16), p=1),
    ]
    if intensity:
        steps += [
            k.RandomBrightness((0.9, 1.1), clip_output=False, p=1),
            k.RandomContrast((0.66, 1.5), clip_output=False, p=1),
            k.RandomGamma((0.71, 1.4), p=1),
            k.RandomGaussianBlur((9, 9), (0.1, 1.2), p=1),
            k.RandomGaussianNoise(std=0.03, p=1),
        ]
    sequence = k.AugmentationSequential(*steps, data_keys=["input", "mask"])
    low = (PLANE - SIZE) // 2
    box = (..., slice(low, low + SIZE), slice(low, low + SIZE))

    def transform(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # kornia only accepts floating-point masks of the image's type.
        images = torch.from_numpy(np.stack([image[box]] * BATCH))
        masks = torch.from_numpy(np.stack([labels[box][None]] * BATCH).astype(np.float32))
        out, moved = sequence(images, masks)
        return out.numpy(), moved.numpy().astype(labels.dtype)

    return transform


def monai(intensity: bool) -> Transform:
    from monai import transforms as m

    both = ["image", "labels"]
    steps = [
        m.RandFlipd(both, prob=0.5, spatial_axis=0),
        m.RandFlipd(both, prob=0.5, spatial_axis=1),
        m.Rand2DElasticd(
            both,
            spacing=(40, 40),
            magnitude_range=(0, 8),
            prob=1,
            rotate_range=np.pi,
            scale_range=(-0.25, 0.33),
            shear_range=0.1,
            spatial_size=(SIZE, SIZE),
            mode=["bilinear", "nearest"],
            padding_mode="reflection",
        ),
    ]
    if intensity:
        steps += [
            m.RandShiftIntensityd("image", 0.1, prob=1),
            m.RandScaleIntensityd("image", 0.5, prob=1),
            m.RandAdjustContrastd("image", prob=1, gamma=(0.71, 1.4)),
            m.RandGaussianSmoothd("image", (0.1, 1.2), (0.1, 1.2), prob=1),
            m.RandGaussianNoised("image", prob=1, std=0.03),
        ]
    composed = m.Compose(steps)

    def transform(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        out = composed({"image": image, "labels": labels[None]})
        return np.asarray(out["image"]), np.asarray(out["labels"])

    return transform


def candidates() -> dict[str, tuple[Callable[[], Transform], int]]:
    """Return a factory of each transform and the number of patches per call, by name."""
    found: dict[str, tuple[Callable[[], Transform], int]] = {
        "this package, geometry": (lambda: package(False), 1),
        "this package, all": (lambda: package(True), 1),
        'this package, preset "standard"': (lambda: package(True, preset=True), 1),
        "kornia, geometry": (lambda: kornia(False), BATCH),
        "kornia, all": (lambda: kornia(True), BATCH),
        "MONAI, geometry": (lambda: monai(False), 1),
        "MONAI, all": (lambda: monai(True), 1),
    }
    for name in SAMPLERS:
        found[f"own grid + {name}, geometry"] = (lambda name=name: resampler(name), 1)
    return found


def exactness(transform: Transform) -> str:
    """Report for each label type whether its ids are preserved."""
    verdicts = []
    for dtype in IDS:
        image, labels = scene(dtype)
        try:
            with np.errstate(invalid="ignore"):
                moved = transform(image, labels)[1]
        except Exception as error:  # report any error of a library
            verdicts.append(f"{dtype} refused ({type(error).__name__})")
            continue
        values = set(np.unique(moved).tolist())
        exact = values <= {0, *IDS[dtype]} and len(values) > 1
        verdicts.append(
            f"{dtype} {'exact' if exact else 'CHANGED'}"
            + ("" if moved.dtype == labels.dtype else f", as {moved.dtype}")
        )
    return "; ".join(verdicts)


def measure(rounds: int) -> list[dict[str, object]]:
    """Time all candidates in turn, so that other load on the machine affects all of them."""
    warnings.simplefilter("ignore")
    transforms, rows = {}, []
    for name, (make, patches) in candidates().items():
        needed = next((m for key, (m, _) in MODULES.items() if key in name), "numpy")
        if importlib.util.find_spec(needed) is None:
            rows.append({"name": name, "ms": None, "labels": f"absent: {needed}"})
        else:
            transforms[name] = (make(), patches, [])
    image, labels = scene("uint16")

    for _ in range(rounds + 2):
        for transform, patches, seconds in transforms.values():
            start = time.perf_counter()
            transform(image, labels)
            seconds.append((time.perf_counter() - start) / patches)
    for name, (transform, _, seconds) in transforms.items():
        ms = float(np.percentile(seconds[2:], 25)) * 1000  # other work only adds time
        rows.append({"name": name, "ms": ms, "labels": exactness(transform)})
    return rows


def import_seconds(module: str) -> float:
    """Return the median time to import a module in a new interpreter after NumPy and torch."""
    code = f"import time, numpy{'' if module == 'torch' else ', torch'}; t = time.perf_counter(); "
    code += f"import {module}; print(time.perf_counter() - t)"
    runs = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(3)
    ]
    return statistics.median(runs)


def megabytes(distribution: str) -> float:
    files = importlib.metadata.files(distribution) or []
    paths = [f.locate() for f in files]
    return sum(os.stat(p).st_size for p in paths if os.path.exists(p)) / 1e6  # noqa: PTH110, PTH116


def in_subprocess(threads: int, rounds: int) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, __file__, "--measure", str(rounds)],
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    rounds = 10 if "--quick" in sys.argv else 60
    one, two = in_subprocess(1, rounds), in_subprocess(2, rounds)
    print("| candidate | ms per patch, 1 thread | 2 threads | labels |\n|---|---|---|---|")
    for row, other in zip(one, two, strict=True):
        times = ["–" if r["ms"] is None else f"{r['ms']:.2f}" for r in (row, other)]
        print(f"| {row['name']} | {times[0]} | {times[1]} | {row['labels']} |")
    print("\n| library | version | import, s (after torch) | installed, MB |\n|---|---|---|---|")
    for module, distribution in dict.fromkeys(MODULES.values()):
        if importlib.util.find_spec(module) is None:
            print(f"| {distribution} | absent | | |")
            continue
        version = importlib.metadata.version(distribution)
        seconds, size = import_seconds(module), megabytes(distribution)
        print(f"| {distribution} | {version} | {seconds:.2f} | {size:.0f} |")


if __name__ == "__main__":
    if "--measure" in sys.argv:
        print(json.dumps(measure(int(sys.argv[-1]))))
    else:
        main()
