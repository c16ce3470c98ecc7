"""Compare fine-tuning a built-in model on a few images with training from scratch.

Trains for the same time from the model and from scratch on a few images, chosen by seed from
different fields, and scores both on all images of other fields. Results depend on the few images,
so use several seeds.

    python benchmarks/fine_tuning.py dsb2018_brightfield/stage1_train --groups \\
        dsb2018_brightfield/fields.csv --minutes 3 --images 5 --seeds 0 1 2
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from napari_unet import Instances, TrainingSettings, evaluate_many, load_model, predict, train
from napari_unet.core.datasets.data_source import DataSource
from napari_unet.core.models.catalogue import DEFAULT_MODEL, find_model
from napari_unet.core.training.presets import preset_values
from napari_unet.core.training.settings import Budget

SCORES = ("ap50_by_image", "ap50_pooled", "mean_ap_by_image", "dice_foreground_by_image")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("source", type=Path, help="folder of images with labels")
    parser.add_argument("--groups", help="CSV table with the columns id and group (or field)")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="model to start from")
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--images", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    data = DataSource(source=options.source.absolute(), groups=options.groups)
    pairs = data.load(data.find())
    start = load_model(find_model(options.model))
    print(f"{'':>14}" + "".join(f"{name:>26}" for name in SCORES) + f"{'steps':>8}")
    found = {"fine-tuned": [], "from scratch": []}
    for seed in options.seeds:
        few, rest = divide(pairs, options.images, seed)
        print(f"seed {seed}: {len(few)} images to train on, {len(rest)} of other fields to score")
        for name, model in zip(found, (start, None), strict=True):
            report, steps = trained(few, rest, model, options.minutes, seed)
            found[name].append([report.summary()[score] for score in SCORES])
            show(name, found[name][-1], steps)
    if len(options.seeds) > 1:
        print(f"mean of {len(options.seeds)}:")
        for name, values in found.items():
            show(name, np.mean(values, axis=0))


def show(name, values, steps=""):
    print(f"{name:>14}" + "".join(f"{value:26.3f}" for value in values) + f"{steps:8}", flush=True)


def divide(pairs, count, seed):
    """Draw images of different groups; return them and all images of other groups."""
    order = np.random.default_rng(seed).permutation(len(pairs))
    few = []
    for index in order:
        if len(few) < count and pairs[index].group not in {p.group for p in few}:
            few.append(pairs[index])
    groups = {p.group for p in few}
    return few, [p for p in pairs if p.group not in groups]


def trained(few, rest, start, minutes, seed):
    """Train with a preset, then predict and score the other images."""
    values = preset_values("standard", fine_tuning=start is not None)
    values |= {"budget": Budget(minutes=minutes), "validation_fraction": 0, "seed": seed}
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        for event in train(few, Instances(), run, TrainingSettings(**values), start=start):
            last = event
        model = load_model(run / "last.safetensors")
    samples = ((p.name, predict(model, p.image).labels, p.labels) for p in rest)
    return evaluate_many(samples), last.step


if __name__ == "__main__":
    main()
