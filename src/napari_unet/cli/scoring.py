"""Steps of ``evaluate``: collect predictions and ground truth, score, print and write."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_unet.cli.console import Output, stoppable
from napari_unet.cli.scores import show_report
from napari_unet.core.errors import ImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_unet.core.datasets.data_source import DataSource
    from napari_unet.core.datasets.matched_files import MatchedFiles
    from napari_unet.core.evaluation.figures import Comparison
    from napari_unet.core.evaluation.report import Report
    from napari_unet.core.evaluation.scored_images import ImageChoice
    from napari_unet.core.images.image import Image
    from napari_unet.core.images.pair import Pair
    from napari_unet.core.models.model import Model, ModelInfo
    from napari_unet.core.models.predict_options import PredictOptions

__all__ = [
    "ClassTable",
    "Evaluation",
    "score_files",
    "score_model",
    "score_pairs",
    "show",
]

_ROWS = 4
"""Number of images in the picture."""


@dataclass(frozen=True)
class ClassTable:
    """Meaning of the ground-truth labels."""

    kind: str
    names: dict[int, str] = field(default_factory=dict)
    background: int | None = None
    sparse: bool = False
    empty_planes: Literal["ignore", "background"] = "ignore"

    def settings(self) -> dict[str, Any]:
        """Return the settings of `evaluate_many`."""
        values: dict[str, Any] = {"sparse": self.sparse, "empty_planes": self.empty_planes}
        if self.kind == "instances":
            return values | {"kind": "instances"}
        return values | {
            "kind": "semantic",
            "classes": self.names or None,
            "background": self.background,
        }


@dataclass(frozen=True)
class Evaluation:
    """Scores, and the images of the picture."""

    report: Report
    table: ClassTable
    title: str
    rows: Sequence[Comparison]


def score_files(
    output: Output,
    prediction: Path,
    truth: Path,
    images: Path | None,
    table: ClassTable,
    axes: str | None = None,
    annotated: Path | None = None,
) -> Evaluation:
    """Score label files against label files; `axes` are those of images whose files name none."""
    from napari_unet.core.evaluation.evaluation import evaluate_many
    from napari_unet.core.evaluation.label_files import ComparisonReader, match_labels

    matches = match_labels(prediction, truth, images, annotated)
    total = len(matches.matches)
    reader = ComparisonReader(axes and "".join(a for a in axes.upper() if a not in "CS"))

    with output.counting("scoring") as progress:

        def samples() -> Iterator[tuple[str, Any, Any, Any]]:
            for i, match in enumerate(matches.matches, start=1):
                yield (match.name, *reader.load(match))
                progress(i, total)

        report = evaluate_many(samples(), unmatched=matches.unmatched, **table.settings())
    by_name = {match.name: match for match in matches.matches}
    rows: list[Comparison] = []
    for name in _choose_images(report, list(by_name)):
        match = by_name[name]
        predicted, true, area = reader.load(match)
        image = _picture(output, match, axes, true.shape)
        rows.append(_make_row(report, table, name, image, true, predicted, area))
    title = f"'{prediction}' against '{truth}'"
    return Evaluation(report, table, title, rows)


def score_model(
    output: Output,
    name: str,
    data: DataSource,
    choice: ImageChoice,
    options: PredictOptions,
    names: dict[int, str],
) -> Evaluation:
    """Predict images with labels and score the predictions."""
    from napari_unet.core.evaluation.scored_images import choose_images
    from napari_unet.core.models.catalogue import find_model
    from napari_unet.core.models.model_file import load_model

    path = find_model(name)
    model = load_model(path)
    dataset = data.find()
    output.say(dataset.describe())
    with output.counting("reading") as progress:
        pairs = data.load(dataset, progress)
    choice_made = choose_images(model.info, pairs, dataset.groups, choice)
    if choice_made.warning:
        output.warn(choice_made.warning)
    chosen = [pairs[i] for i in choice_made.indices]
    title = f"Model '{path}' on {len(chosen)} image(s) of '{data.source}'"
    return score_pairs(output, model, chosen, options, title, names)


def score_pairs(
    output: Output,
    model: Model,
    pairs: Sequence[Pair],
    options: PredictOptions,
    title: str,
    names: dict[int, str] | None = None,
) -> Evaluation:
    """Predict pairs and score the predictions; `names` are ground-truth classes by id."""
    from napari_unet.core.evaluation.evaluation import evaluate_many

    guessed = sum(pair.annotated is None for pair in pairs) if model.info.task.sparse else 0
    if guessed and model.info.task.labels_are_objects:
        output.warn(
            f"The model was trained on partly annotated images, but {guessed} image(s) here have "
            "no annotated area: label 0 counts as background everywhere. If that is wrong, name "
            "the annotated areas (--annotated)."
        )
    empty_planes = pairs[0].empty_planes if pairs else "ignore"
    table, predicted_names = _class_tables(model.info, names or {}, empty_planes)
    predictions: dict[str, Any] = {}

    with (
        stoppable("Stopping after this image") as should_stop,
        output.counting("predicting") as progress,
    ):

        def samples() -> Iterator[tuple[str, Any, Any, Any]]:
            for i, pair in enumerate(pairs, start=1):
                predictions[pair.name] = _predict(model, pair, options, should_stop)
                yield pair.name, predictions[pair.name], pair.labels, pair.annotated
                progress(i, len(pairs))

        settings = table.settings()
        if predicted_names:
            settings["prediction_classes"] = predicted_names
        report = evaluate_many(samples(), **settings)
    by_name = {pair.name: pair for pair in pairs}
    rows: list[Comparison] = []
    for name in _choose_images(report, list(by_name)):
        pair, predicted = by_name[name], predictions[name]
        row = _make_row(report, table, name, pair.image, pair.labels, predicted, pair.annotated)
        rows.append(row)
    return Evaluation(report, table, title, rows)


def show(output: Output, evaluation: Evaluation, folder: Path | None, definitions: bool) -> None:
    """Print the table, and write tables and a picture if a folder is given."""
    from napari_unet.core.evaluation.report import write_report

    report = evaluation.report
    result = report.as_dict()
    replaced = folder is not None and (folder / "scores.csv").exists()
    if folder is not None:
        result["files"] = [*write_report(report, folder), write_picture(evaluation, folder)]
    show_report(output, report, evaluation.title, definitions)
    if folder is not None:
        done = "Replaced earlier scores" if replaced else "Written"
        output.say(f"{done}: {', '.join(map(str, result['files']))}")
    output.result(result)


def write_picture(evaluation: Evaluation, folder: Path) -> Path:
    """Write ``comparison.png`` with images from the best to the worst score."""
    from napari_unet.core.evaluation.figures import comparison_figure

    table = evaluation.table
    kind: Literal["instances", "semantic"] = (
        "instances" if table.kind == "instances" else "semantic"
    )
    path = folder / "comparison.png"
    background = table.background
    if background is None:
        background = min(table.names) if table.sparse and table.names else 0
    classes = table.names or None
    comparison_figure(path, evaluation.rows, kind=kind, classes=classes, background=background)
    return path


def _make_row(
    report: Report,
    table: ClassTable,
    name: str,
    image: Image | None,
    truth: NDArray[Any],
    prediction: NDArray[Any],
    annotated: NDArray[Any] | None,
) -> Comparison:
    """Make a row of the picture, with the class ids of the ground truth."""
    from napari_unet.core.evaluation.evaluation import scored_area, with_true_ids

    sparse, empty_planes = table.sparse, table.empty_planes
    scored = scored_area(truth, annotated, sparse=sparse, empty_planes=empty_planes)
    return name, image, truth, with_true_ids(prediction, report.class_ids), scored


def _picture(
    output: Output, match: MatchedFiles, axes: str | None, shape: tuple[int, ...]
) -> Image | None:
    """Read the image for the picture; problems are only reported, as scores do not need it."""
    try:
        image = match.load_image(axes)
    except ImageError as error:
        output.warn(f"The picture shows no image for '{match.name}': {error}")
        return None
    if image is not None and image.label_shape != shape:
        output.warn(
            f"The picture shows no image for '{match.name}': '{match.image}' has shape "
            f"{image.label_shape}, the labels {shape}."
        )
        return None
    return image


def _predict(model: Model, pair: Pair, options: PredictOptions, should_stop: Any) -> Any:
    import numpy as np

    from napari_unet.core.prediction.prediction import predict

    with tempfile.TemporaryDirectory(prefix="napari-unet-") as folder:
        prediction = predict(
            model,
            pair.image,
            options,
            folder=Path(folder),
            should_stop=should_stop,
        )
        return np.asarray(prediction.labels)


def _class_tables(
    info: ModelInfo, names: dict[int, str], empty_planes: Literal["ignore", "background"]
) -> tuple[ClassTable, dict[int, str]]:
    """Return the meaning of ground-truth labels, and the names of the predicted classes."""
    task = info.task
    if task.labels_are_objects:
        return ClassTable("instances", empty_planes=empty_planes), {}
    predicted = {c.id: c.name for c in task.label_classes}
    truth = names or predicted
    by_name = [
        i
        for i, name in truth.items()
        if name.casefold() == predicted[task.background_id].casefold()
    ]
    table = ClassTable(
        "semantic",
        truth,
        by_name[0] if by_name else task.background_id,
        task.sparse,
        empty_planes,
    )
    return table, predicted


def _choose_images(report: Report, names: Sequence[str]) -> list[str]:
    """Choose a few images for the picture, spread from the best to the worst score."""
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
