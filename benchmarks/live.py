"""Compare Live after half a minute of training on a few strokes with a random forest.

Strokes on one or three images are simulated from the ground truth with a seed. Both methods learn
from the same strokes and are scored on images without strokes:

    python benchmarks/live.py dsb2018 dsb2018_brightfield --seconds 30 --seeds 10

The first folder contains ``train/images`` and ``train/masks``, the second ``stage1_train/<id>``.
Each domain is learned from the start model of the other one (``--fluorescence MODEL``,
``--brightfield MODEL``), from scratch, and by a forest. Needs scikit-learn.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np
from skimage.feature import multiscale_basic_features
from skimage.segmentation import find_boundaries

from napari_unet import find_pairs, load_model, load_pairs
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.live.settings import LiveSettings
from napari_unet.core.live.trainer import LiveTraining
from napari_unet.core.models.catalogue import find_model
from napari_unet.core.tasks.semantic import ClassInfo, Semantic
from napari_unet.core.training.model_header import choose_normalization

BACKGROUND, NUCLEI = 1, 2
TASK = Semantic(
    classes=(
        ClassInfo(id=BACKGROUND, name="background", background=True),
        ClassInfo(id=NUCLEI, name="nuclei"),
    ),
    sparse=True,
)
BRUSH_PX = 3
STROKES, STROKE_PX = 8, 15
SCORED = 27


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("fluorescence_data", type=Path)
    parser.add_argument("brightfield_data", type=Path)
    parser.add_argument(
        "--fluorescence", default="nuclei", help="model of fluorescence, to start from"
    )
    parser.add_argument("--brightfield", default="nuclei-brightfield", help="model of brightfield")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--domains", nargs="*", default=["brightfield", "fluorescence"])
    parser.add_argument("--no-scratch", action="store_true")
    parser.add_argument("--out", type=Path, help="CSV with every case")
    options = parser.parse_args()
    sources = {
        "fluorescence": options.fluorescence_data / "train",
        "brightfield": options.brightfield_data / "stage1_train",
    }
    rows = []
    for domain in options.domains:
        pairs = load_pairs(find_pairs(sources[domain]))
        other = options.fluorescence if domain == "brightfield" else options.brightfield
        starts = {"live": other} if options.no_scratch else {"live": other, "scratch": None}
        for images in (1, 3):
            for seed in range(options.first_seed, options.first_seed + options.seeds):
                row = {"domain": domain, "images": images, "seed": seed}
                row |= case(pairs, images, seed, starts, options.seconds)
                rows.append(row)
                print(
                    "  ".join(
                        f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}"
                        for k, v in row.items()
                    ),
                    flush=True,
                )
    report(rows, options.out)


def case(pairs, images, seed, starts, seconds):
    """Score every method with the same strokes."""
    rng = np.random.default_rng([seed, images])
    order = rng.permutation(len(pairs))
    painted = [i for i in order if 0.02 < (pairs[i].labels > 0).mean() < 0.7][:images]
    scored = [pairs[i] for i in order if i not in painted][:SCORED]
    canvases = [(pairs[i], scribble(pairs[i].labels, rng)) for i in painted]
    row = {"pixels": int(sum((strokes > 0).sum() for _, strokes in canvases))}
    for name, start in starts.items():
        model = None if start is None else load_model(find_model(start))
        row[name] = score(live(canvases, model, seconds, seed), scored)
    row["forest"] = score(forest(canvases, seed), scored)
    return row


def scribble(truth, rng):
    """Draw strokes of a small brush inside nuclei and background, away from outlines."""
    strokes = np.zeros(truth.shape, np.uint8)
    edge = find_boundaries(truth, mode="thick")
    for value, region in ((BACKGROUND, truth == 0), (NUCLEI, truth > 0)):
        region = region & ~edge
        places = np.argwhere(region)
        for _ in range(STROKES if len(places) else 0):
            y, x = places[rng.integers(len(places))].astype(float)
            angle = rng.uniform(0, 2 * np.pi)
            for _ in range(STROKE_PX):
                top, left = int(y) - BRUSH_PX // 2, int(x) - BRUSH_PX // 2
                here = (slice(max(0, top), top + BRUSH_PX), slice(max(0, left), left + BRUSH_PX))
                strokes[here][region[here]] = value
                angle += rng.normal(0, 0.3)
                y, x = y + np.sin(angle), x + np.cos(angle)
                inside = 0 <= y < truth.shape[0] and 0 <= x < truth.shape[1]
                if not inside or not region[int(y), int(x)]:
                    break
    return strokes


def live(canvases, model, seconds, seed):
    """Train for some seconds; return a function that predicts the foreground of a pair."""
    training = LiveTraining(TASK, model, LiveSettings(seed=seed))
    start = time.monotonic()
    for number, (pair, strokes) in enumerate(canvases):
        plane = pair.planes()[0]
        training.put(str(number), plane.image, strokes, plane.rgb)
    while time.monotonic() - start < seconds:
        training.step()

    def predict(pair):
        plane = pair.planes()[0]
        training.put("scored", plane.image, np.zeros(plane.labels.shape, np.uint8), plane.rgb)
        return training.outputs("scored")[1] > 0.5

    return predict


def forest(canvases, seed):
    """Train scikit-learn's forest on multiscale features, as in scikit-image's example."""
    from sklearn.ensemble import RandomForestClassifier

    features, classes = [], []
    for pair, strokes in canvases:
        features.append(features_of(pair)[strokes > 0])
        classes.append(strokes[strokes > 0])
    classifier = RandomForestClassifier(100, max_samples=None, n_jobs=-1, random_state=seed)
    classifier.fit(np.concatenate(features), np.concatenate(classes))

    def predict(pair):
        values = features_of(pair)
        found = classifier.predict(values.reshape(-1, values.shape[-1]))
        return found.reshape(values.shape[:2]) == NUCLEI

    return predict


def features_of(pair):
    plane = pair.planes()[0]
    normalization = choose_normalization(Normalization(), plane.rgb)
    image = np.moveaxis(normalization(plane.image, plane.rgb), 0, -1)
    return multiscale_basic_features(image, channel_axis=-1, sigma_min=1, sigma_max=16)


def score(predict, pairs):
    """Return the mean Dice over images."""
    dice = []
    for pair in pairs:
        found, truth = predict(pair), pair.labels > 0
        dice.append(2 * (found & truth).sum() / max(1, found.sum() + truth.sum()))
    return float(np.mean(dice))


def report(rows, out):
    if out is not None:
        with out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    methods = [m for m in ("live", "scratch", "forest") if m in rows[0]]
    groups = sorted({(r["domain"], r["images"]) for r in rows})
    print(f"\n{'domain':>14}{'images':>8}" + "".join(f"{m:>9}" for m in methods) + f"{'won':>8}")
    for domain, images in [*groups, ("all", "")]:
        some = [
            r for r in rows if domain == "all" or (r["domain"], r["images"]) == (domain, images)
        ]
        means = "".join(f"{np.mean([r[m] for r in some]):9.3f}" for m in methods)
        won = sum(r["live"] > r["forest"] for r in some)
        print(f"{domain:>14}{images:>8}{means}{won:>4}/{len(some)}")


if __name__ == "__main__":
    main()
