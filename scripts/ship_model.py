"""Add a trained model to the package in half precision, with a name, a purpose and a licence.

    python scripts/ship_model.py run --name nuclei --description "Nuclei in fluorescence images." \\
        --data dsb2018/train

The scores in the file are those of the half-precision model on the validation images of the run.
Write its card, ``NAME.md`` beside it, by hand. Prints the largest difference of an output on a
drawn image that half precision causes.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from napari_unet import evaluate_many, load_model, predict
from napari_unet.core.datasets.data_source import DataSource
from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.models.blocks import BlockNetwork
from napari_unet.core.models.catalogue import find_model, shipped_folder
from napari_unet.core.models.model import Model
from napari_unet.core.models.model_file import save_model
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.system.device import choose_compute

LARGEST_BYTES = 8_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("runs", nargs="+", help="run folders or model files; several are averaged")
    parser.add_argument("--name", required=True)
    parser.add_argument("--description", required=True)
    parser.add_argument("--data", type=Path, required=True, help="images and labels of the run")
    parser.add_argument("--licence", default="BSD-3-Clause")
    parser.add_argument(
        "--contrast", choices=["bright", "dark"], help="if the run does not record it"
    )
    parser.add_argument(
        "--decoder",
        nargs="*",
        default=[],
        metavar="NAME=VALUE",
        help="for example min_agreement=0.5",
    )
    options = parser.parse_args()
    model = mean([load_model(find_model(run)) for run in options.runs])
    named = {k: getattr(options, k) for k in ("name", "description", "licence")}
    if options.contrast is not None:
        named["contrast"] = options.contrast
    if options.decoder:
        task = model.info.task
        changes = dict(setting.split("=") for setting in options.decoder)
        decoder = type(task.decoder).model_validate(task.decoder.model_dump() | changes)
        named["task"] = task.model_copy(update={"decoder": decoder})
    halves = {k: w.half() if w.is_floating_point() else w for k, w in model.weights.items()}
    path = shipped_folder() / f"{options.name}.safetensors"
    save_model(path, Model(model.info.model_copy(update=named), halves))
    named["scores"] = scores(load_model(path), options.data)
    save_model(path, Model(model.info.model_copy(update=named), halves))
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        raise SystemExit(f"{path} has {size:,} bytes; the limit is {LARGEST_BYTES:,}.")
    print(
        f"{path}: {size:,} bytes, outputs differ by at most {difference(model, load_model(path))}"
    )


def mean(models: list[Model]) -> Model:
    """Average the weights of models of one training run; the header is that of the first."""
    weights = {
        k: torch.stack([m.weights[k].double() for m in models]).mean(0).to(w.dtype)
        for k, w in models[0].weights.items()
    }
    return Model(models[0].info, weights)


def scores(model: Model, source: Path) -> dict[str, float]:
    """Score a model on its validation images, in float32, which every computer supports."""
    data = DataSource(source=source.absolute())
    names = {image.name for image in model.info.trained_on if image.role == "validation"}
    pairs = [pair for pair in data.load(data.find()) if pair.name in names]
    if len(pairs) != len(names):
        raise SystemExit(f"{source} contains {len(pairs)} of the {len(names)} validation images.")
    labels = (
        np.asarray(predict(model, p.image, PredictOptions(precision="float32")).labels)
        for p in pairs
    )
    found = ((p.name, predicted, p.labels) for p, predicted in zip(pairs, labels, strict=True))
    return {k: v for k, v in evaluate_many(found).summary().items() if k in model.info.scores}


def difference(a: Model, b: Model) -> float:
    """Return the largest difference of an output on a drawn image."""
    compute = choose_compute("cpu", "float32")
    image, _ = synthetic_nuclei((256, 256), 40, seed=0)
    channels = a.info.unet.in_channels
    normalized = a.info.normalization(np.repeat(image[None], channels, 0), a.info.rgb)
    outputs = [BlockNetwork(m, compute)(normalized) for m in (a, b)]
    return float(np.abs(outputs[0] - outputs[1]).max())


if __name__ == "__main__":
    main()
