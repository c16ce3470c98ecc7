"""Score a model on the validation images of its split and draw the best and worst results.

    python benchmarks/best_and_worst.py nuclei dsb2018/train --split random42 --out scores
    python benchmarks/best_and_worst.py nuclei-brightfield dsb2018_brightfield/stage1_train \\
        --groups dsb2018_brightfield/fields.csv --out scores

Prints the scores of every image, worst first, and the scores by image and pooled. Writes
``best.png`` and ``worst.png`` with image, ground truth, prediction and errors in a row per image.
"""

import argparse
from pathlib import Path

import numpy as np

from napari_unet import evaluate, evaluate_many, load_model, predict
from napari_unet.core.datasets.data_source import DataSource
from napari_unet.core.datasets.splits import split_by_group, split_random_state
from napari_unet.core.evaluation.figures import comparison_figure
from napari_unet.core.models.catalogue import find_model

SCORES = {
    "AP50": "ap50_by_image",
    "mean AP": "mean_ap_by_image",
    "Dice": "dice_foreground_by_image",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--groups", help="CSV table with the columns id and group (or field)")
    parser.add_argument("--split", choices=["random42", "groups"], default="groups")
    parser.add_argument("--number", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    data = DataSource(source=options.data.absolute(), groups=options.groups)
    pairs = data.load(data.find())
    if options.split == "random42":
        split = split_random_state(len(pairs))
    else:
        split = split_by_group([pair.group for pair in pairs])
    model = load_model(find_model(options.model))
    rows = []
    for pair in (pairs[i] for i in split.validation):
        labels = np.asarray(predict(model, pair.image).labels)
        scores = evaluate(labels, pair.labels, name=pair.name).summary()
        rows.append((scores, (pair.name, pair.image, pair.labels, labels)))
    rows.sort(key=lambda row: (row[0]["ap50_by_image"], row[0]["mean_ap_by_image"]))
    for scores, (name, image, *_) in rows:
        words = "  ".join(f"{word} {scores[key]:.3f}" for word, key in SCORES.items())
        print(f"{name[:12]}  {image.label_shape}  {words}")
    report = evaluate_many([(name, found, truth) for _, (name, _, truth, found) in rows])
    print(f"\n{'':28}  by image  pooled")
    for row in report.score_rows():
        print(f"{row.score:28}  {row.by_image:8.3f}  {row.pooled:6.3f}")
    options.out.mkdir(parents=True, exist_ok=True)
    comparison_figure(options.out / "worst.png", [row[1] for row in rows[: options.number]])
    comparison_figure(
        options.out / "best.png", [row[1] for row in rows[: -options.number - 1 : -1]]
    )


if __name__ == "__main__":
    main()
