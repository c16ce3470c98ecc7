"""Test a model of nuclei on the variety of images that users bring.

    python benchmarks/robustness.py nuclei
    python benchmarks/robustness.py run/best.safetensors --fields 1 --diameters 8 24 120

Prints three tables for drawn images with exact ground truth, predicted with an estimated diameter
and automatic contrast:

- error of the count in percent by diameter and condition (all fields together), and F1 =
  2 TP / (2 TP + FP + FN) of objects matched at an intersection over union of 0.5;
- objects found in eleven kinds of empty images, also at scale 1;
- objects found in a field of 2048 x 2048 pixels with five nuclei.

Exits with 1 if a requirement is not met: counts within 5 %, nothing in empty images, all five
nuclei and nothing else.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.evaluation.object_matching import match_objects, overlaps
from napari_unet.core.images.image import Image
from napari_unet.core.models.catalogue import find_model
from napari_unet.core.models.model import Model
from napari_unet.core.models.model_file import load_model
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.prediction.prediction import Prediction, predict

DIAMETERS = (8, 12, 16, 24, 40, 60, 80, 100, 120)
MOST_ERROR = 0.05
COVERED = 0.25
"""Share of a field covered by nuclei."""

Pixels = NDArray[Any]


class Condition(NamedTuple):
    """Options for drawing a field and a change applied to it afterwards."""

    options: Mapping[str, Any]
    then: Callable[[Pixels, float], Pixels] = lambda image, _: image


def camera(image: Pixels, _: float) -> Pixels:
    """Convert to 12 of 16 bits above an offset."""
    return np.rint(100 + 3000 * image).astype(np.uint16)


CONDITIONS = {
    "plain": Condition({}),
    "inverted": Condition({"inverted": True}),
    "uint8, dim": Condition({"dtype": np.float32}, lambda i, _: np.rint(10 + 60 * i).astype("u1")),
    "uint16": Condition({"dtype": np.float32}, camera),
    "float32": Condition({"dtype": np.float32}, lambda i, _: 7.3 * i - 2),
    "gradient": Condition({"background_gradient": 0.5}),
    "noise": Condition({"noise": 0.12}),
    "blur": Condition({"dtype": np.float32}, lambda i, d: gaussian_filter(i, 0.08 * d)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="model file, run folder or name of a model")
    parser.add_argument("--fields", type=int, default=2, help="number per diameter and condition")
    parser.add_argument("--diameters", type=int, nargs="*", default=DIAMETERS)
    parser.add_argument("--conditions", nargs="*", default=list(CONDITIONS))
    parser.add_argument("--only", choices=["counts", "empty", "sparse"])
    options = parser.parse_args()
    model = load_model(find_model(options.model))
    info = model.info
    print(f"model '{info.name}', objects of {info.object_diameter_px} px, {info.contrast} contrast")
    start = time.perf_counter()
    broken: list[str] = []
    if options.only in (None, "counts"):
        broken += counts(model, options.diameters, options.conditions, options.fields)
    if options.only in (None, "empty"):
        broken += empty(model)
    if options.only in (None, "sparse"):
        broken += sparse(model)
    print(f"\n{time.perf_counter() - start:.0f} s")
    print("\n".join(["Requirements not met:", *broken]) if broken else "All requirements met.")
    sys.exit(bool(broken))


# -- counts -------------------------------------------------------------------------------------


def counts(model: Model, diameters: list[int], conditions: list[str], fields: int) -> list[str]:
    print(f"\nError of the count in % (and F1), {fields} field(s) each\n")
    print(f"{'':>12}" + "".join(f"{f'{d} px':>14}" for d in diameters))
    broken = []
    for name in conditions:
        print(f"{name:>12}", end="", flush=True)
        for diameter in diameters:
            error, f1, about = count_error(model, diameter, name, fields)
            print(f"{f'{100 * error:+.1f} ({f1:.2f})':>14}", end="", flush=True)
            if abs(error) > MOST_ERROR:
                broken.append(f"{name}, {diameter} px: count {100 * error:+.1f} % ({about})")
        print()
    return broken


def count_error(model: Model, diameter: int, name: str, fields: int) -> tuple[float, float, str]:
    """Return the relative error of the total count, F1, and the estimated scales."""
    condition, true, found, hits, about = CONDITIONS[name], 0, 0, 0, []
    for seed in range(fields):
        image, labels = draw(diameter, seed, **condition.options)
        prediction = as_shipped(model, condition.then(image, diameter))
        hits += right(prediction, labels)
        true += int(labels.max())
        found += count(prediction)
        about.append(fitted(prediction))
    return (found - true) / true, 2 * hits / max(1, true + found), "; ".join(about)


def draw(diameter: int, seed: int, **options: Any) -> tuple[Pixels, Pixels]:
    side = min(1024, max(320, 10 * diameter))
    number = round(COVERED * side**2 / (np.pi / 4 * diameter**2))
    sizes = 0.8 * diameter, 1.2 * diameter
    return synthetic_nuclei((side, side), number, sizes, [seed, diameter], **options)


def as_shipped(model: Model, image: Pixels) -> Prediction:
    return predict(model, Image.from_array(image, "YX"), PredictOptions(scale="auto"))


def count(prediction: Prediction) -> int:
    return len(prediction.confidence) - 1


def right(prediction: Prediction, labels: Pixels) -> int:
    return len(match_objects(overlaps(prediction.labels, labels), 0.5)[0])


def fitted(prediction: Prediction) -> str:
    diameter = prediction.diameter_px
    width = "nothing measured" if diameter is None else f"{diameter:.3g} px"
    return f"{width}, scale {prediction.scale:g}" + (", inverted" if prediction.inverted else "")


# -- empty images -------------------------------------------------------------------------------


def empty_images(side: int = 512) -> Iterator[tuple[str, Pixels]]:
    """Yield eleven kinds of images without any object."""
    rng = np.random.default_rng(2018)
    shape = side, side
    y, x = np.mgrid[:side, :side] / side
    vignette = 1 - 1.2 * ((y - 0.5) ** 2 + (x - 0.5) ** 2)
    lines = rng.normal(0, 4, (side, 1)) * np.ones((1, side))
    clouds = gaussian_filter(rng.normal(0, 1, shape), 40, mode="wrap")
    clouds *= 12 / clouds.std()
    hot = rng.normal(100, 3, shape)
    hot[rng.random(shape) < 2e-4] = 4000
    read = rng.normal(0, 1.5, shape)
    yield "zeros", np.zeros(shape, np.uint8)
    yield "constant", np.full(shape, 1200, np.uint16)
    yield "Gaussian noise", byte(rng.normal(30, 5, shape))
    yield "Poisson noise", byte(rng.poisson(6, shape))
    yield "gradient", (40 + 60 * x + 30 * y).astype(np.float32)
    yield "gradient + noise", byte(30 + 80 * x + rng.normal(0, 3, shape))
    yield "vignette + noise", np.rint(rng.poisson(600 * vignette)).astype(np.uint16)
    yield "hot pixels", np.rint(hot).astype(np.uint16)
    yield "line noise", byte(60 + lines + rng.normal(0, 2, shape))
    yield "clouds + noise", byte(80 + clouds + rng.normal(0, 3, shape))
    yield "offset + read noise", np.rint(100 + read).astype(np.uint16)


def byte(image: Pixels) -> Pixels:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def empty(model: Model) -> list[str]:
    print(f"\nObjects in empty images\n\n{'':>22}{'as shipped':>14}{'scale 1':>10}")
    broken = []
    for name, image in empty_images():
        shipped = as_shipped(model, image)
        plain = predict(model, Image.from_array(image, "YX"), PredictOptions(contrast="as-is"))
        print(f"{name:>22}{count(shipped):14}{count(plain):10}", flush=True)
        if count(shipped) or count(plain):
            found = f"{count(shipped)} as shipped, {count(plain)} at scale 1"
            broken.append(f"empty, {name}: {found} ({fitted(shipped)})")
    return broken


# -- five nuclei --------------------------------------------------------------------------------


def sparse(model: Model) -> list[str]:
    print("\nObjects in a field of 2048 x 2048 pixels with five nuclei\n")
    broken = []
    for name in ("plain", "inverted", "uint16", "noise", "gradient"):
        condition = CONDITIONS[name]
        options = {"touching": 0} | condition.options
        image, labels = synthetic_nuclei((2048, 2048), 5, (20, 28), 5, **options)
        prediction = as_shipped(model, condition.then(image, 24))
        hits = right(prediction, labels)
        text = f"{count(prediction)} found, {hits} of them correct ({fitted(prediction)})"
        print(f"{name:>12}  {text}", flush=True)
        if (count(prediction), hits) != (5, 5):
            broken.append(f"five nuclei, {name}: {text}")
    return broken


if __name__ == "__main__":
    main()
