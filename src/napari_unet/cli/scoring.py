"""What ``evaluate`` does: gather predictions and truth, score, show, write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_unet.cli.console import Output, stoppable
from napari_unet.cli.scores import show_report
from napari_unet.core.errors import LabelsError

if TYPE_CHECKING:
    from napari_unet.core.data_source import DataSource
    from napari_unet.core.figures import Comparison
    from napari_unet.core.images import Pair
    from napari_unet.core.model_file import Model, ModelInfo
    from napari_unet.core.report import Report

__all__ = [
    "ClassTable",
    "Computing",
    "Evaluation",
    "ImageChoice",
    "score_files",
    "score_model",
    "score_pairs",
    "show",
]

_ROWS = 4
"""Images in the picture."""


@dataclass(frozen=True)
class ClassTable:
    """What the labels of the truth mean."""

    kind: str
    names: dict[int, str] = field(default_factory=dict)
    background: int | None = None
    sparse: bool = False

    def settings(self) -> dict[str, Any]:
        """Give the settings of `evaluate_many`."""
        if self.kind == "instances":
            return {"kind": "instances"}
        return {
            "kind": "semantic",
            "classes": self.names or None,
            "background": self.background,
            "sparse": self.sparse,
        }


@dataclass(frozen=True)
class ImageChoice:
    """Which images of a folder are scored, see ``evaluate --split``."""

    how: str
    fraction: float = 0.15
    seed: int = 0


@dataclass(frozen=True)
class Computing:
    """How to predict."""

    device: str = "auto"
    precision: str = "auto"
    test_time_augmentation: bool = False


@dataclass(frozen=True)
class Evaluation:
    """Scores, and the images for the picture."""

    report: Report
    table: ClassTable
    title: str
    rows: Sequence[Comparison]


def score_files(
    output: Output, prediction: Path, truth: Path, images: Path | None, table: ClassTable
) -> Evaluation:
    """Score label files against label files."""
    from napari_unet.core.evaluation import evaluate_many
    from napari_unet.core.label_matching import match_labels

    matches = match_labels(prediction, truth, images)
    total = len(matches.matches)

    with output.counting("scoring") as progress:

        def samples() -> Iterator[tuple[str, Any, Any]]:
            for i, match in enumerate(matches.matches, start=1):
                yield (match.name, *match.load())
                progress(i, total)

        report = evaluate_many(samples(), unmatched=matches.unmatched, **table.settings())
    by_name = {match.name: match for match in matches.matches}
    rows: list[Comparison] = []
    for name in _telling(report, list(by_name)):
        match = by_name[name]
        predicted, true = match.load()
        rows.append((name, match.load_image(), true, predicted))
    title = f"'{prediction}' against '{truth}'"
    return Evaluation(report, table, title, rows)


def score_model(
    output: Output,
    name: str,
    data: DataSource,
    choice: ImageChoice,
    computing: Computing,
    names: dict[int, str],
) -> Evaluation:
    """Predict images with labels and score the predictions."""
    from napari_unet.core.catalogue import find_model
    from napari_unet.core.model_file import load_model

    path = find_model(name)
    model = load_model(path)
    dataset = data.find()
    output.say(dataset.describe())
    with output.counting("reading") as progress:
        pairs = data.load(dataset, progress)
    chosen = _choose(output, model.info, pairs, list(dataset.groups), choice)
    title = f"Model '{path}' on {len(chosen)} image(s) of '{data.source}'"
    return score_pairs(output, model, chosen, computing, title, names)


def score_pairs(
    output: Output,
    model: Model,
    pairs: Sequence[Pair],
    computing: Computing,
    title: str,
    names: dict[int, str] | None = None,
) -> Evaluation:
    """Predict pairs and score the predictions; `names`: of the truth's classes, by id."""
    from napari_unet.core.evaluation import evaluate_many

    table, predicted_names = _class_tables(model.info, names or {})
    predictions: dict[str, Any] = {}

    with (
        stoppable(output, "Stopping after this image") as should_stop,
        output.counting("predicting") as progress,
    ):

        def samples() -> Iterator[tuple[str, Any, Any, Any]]:
            for i, pair in enumerate(pairs, start=1):
                predictions[pair.name] = _predict(model, pair, computing, should_stop)
                yield pair.name, predictions[pair.name], pair.labels, pair.annotated
                progress(i, len(pairs))

        settings = table.settings()
        if predicted_names:
            settings["prediction_classes"] = predicted_names
        report = evaluate_many(samples(), **settings)
    by_name = {pair.name: pair for pair in pairs}
    rows: list[Comparison] = [
        (name, by_name[name].image, by_name[name].labels, predictions[name])
        for name in _telling(report, list(by_name))
    ]
    return Evaluation(report, table, title, rows)


def show(output: Output, evaluation: Evaluation, folder: Path | None, definitions: bool) -> None:
    """Print the table, and write tables and a picture where a folder is given."""
    from napari_unet.core.report import write_report

    report = evaluation.report
    show_report(output, report, evaluation.title, definitions)
    result = report.as_dict()
    if folder is not None:
        scores, by_image = write_report(report, folder)
        picture = write_picture(evaluation, folder)
        output.say(f"Written: {scores}, {by_image}, {picture}")
        result["files"] = [scores, by_image, picture]
    output.result(result)


def write_picture(evaluation: Evaluation, folder: Path) -> Path:
    """Write ``comparison.png``: the image with the median score, the best and the worst."""
    from napari_unet.core.figures import comparison_figure

    table = evaluation.table
    kind: Literal["instances", "semantic"] = (
        "instances" if table.kind == "instances" else "semantic"
    )
    path = folder / "comparison.png"
    comparison_figure(
        path,
        evaluation.rows,
        kind=kind,
        classes=table.names or None,
        background=table.background or 0,
    )
    return path


def _predict(model: Model, pair: Pair, computing: Computing, should_stop: Any) -> Any:
    import numpy as np

    from napari_unet.core.prediction import predict

    prediction = predict(
        model,
        pair.image,
        test_time_augmentation=computing.test_time_augmentation,
        device=computing.device,
        precision=computing.precision,
        should_stop=should_stop,
    )
    return np.asarray(prediction.labels)


def _class_tables(info: ModelInfo, names: dict[int, str]) -> tuple[ClassTable, dict[int, str]]:
    """Tell what the truth's labels mean, and the names of the predicted classes."""
    task = info.task
    if task.kind == "instances":
        return ClassTable("instances"), {}
    predicted = {c.id: c.name for c in task.classes}
    background = task.background
    truth = names or predicted
    by_name = [i for i, name in truth.items() if name.casefold() == background.name.casefold()]
    table = ClassTable(
        "semantic", truth, by_name[0] if by_name else background.id, sparse=task.sparse
    )
    return table, predicted


def _choose(
    output: Output, info: ModelInfo, pairs: list[Pair], groups: list[str], choice: ImageChoice
) -> list[Pair]:
    """Pick the images to score, and warn where the model was trained on some of them."""
    seen = _roles(info, pairs)
    if choice.how == "all":
        chosen = list(range(len(pairs)))
    elif choice.how == "model":
        chosen = _validated(info, seen)
    else:
        chosen = _of_split(pairs, groups, choice)
    trained = sum(seen[i] in ("training", "both") for i in chosen)
    if trained:
        output.warn(
            f"{trained} of these {len(chosen)} images were used to train this model: the scores "
            "say nothing about new images."
        )
    return [pairs[i] for i in chosen]


def _roles(info: ModelInfo, pairs: list[Pair]) -> list[str]:
    """Tell what each image was to the model: training, validation, both or unseen."""
    from napari_unet.core.validation import image_hash

    known = {image.sha256: image.role for image in info.trained_on}
    return [known.get(image_hash(pair.image.data), "unseen") for pair in pairs]


def _validated(info: ModelInfo, seen: list[str]) -> list[int]:
    validated = [i for i, role in enumerate(seen) if role == "validation"]
    if validated:
        return validated
    unseen = [i for i, role in enumerate(seen) if role == "unseen"]
    if len(unseen) == len(seen):
        return unseen
    raise LabelsError(
        f"The model '{info.name}' was validated on none of these images, and trained on "
        f"{len(seen) - len(unseen)} of {len(seen)}. Choose other images, or --split all."
    )


def _of_split(pairs: list[Pair], groups: list[str], choice: ImageChoice) -> list[int]:
    from napari_unet.core.data_source import choose_split
    from napari_unet.core.splits import split_by_group

    names = [pair.name for pair in pairs]
    split = choose_split(choice.how, names, groups, choice.fraction, choice.seed)
    split = split or split_by_group(groups, choice.fraction, choice.seed)
    if not split.validation:
        raise LabelsError(f"--split {choice.how} leaves no image to score: use --split all.")
    return list(split.validation)


def _telling(report: Report, names: Sequence[str]) -> list[str]:
    """Names of a few images for the picture: around the median, the best and the worst."""
    if len(names) <= _ROWS:
        return list(names)
    key = "mean_ap" if report.kind == "instances" else "dice_foreground"
    scored: dict[str, float] = {}
    for row in report.to_rows():
        owner = next((n for n in names if row["image"] == n), None)
        if owner is not None and row.get(key) is not None:
            scored[owner] = float(row[key])
    ranked = sorted(scored, key=lambda name: scored[name]) or list(names)
    places = [len(ranked) - 1, 2 * len(ranked) // 3, len(ranked) // 3, 0]
    return list(dict.fromkeys(ranked[p] for p in places))
