"""Work of the Train widget on another thread: checks the data and prepares runs. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.compute import ResumeRequest, TrainRequest
from napari_unet.core.errors import ImageError, SettingsError
from napari_unet.core.training.run_folder import next_run_folder
from napari_unet.gui.train.data import DataChoice, PairCache, TracedPair, pairs_of_run, sources_of
from napari_unet.gui.train.form import (
    TrainForm,
    preview_interval_s,
    propose_classes,
    request_from,
)
from napari_unet.gui.train.run_summary import (
    RunSummary,
    everywhere_annotated,
    propose_meaning,
    summarise_run,
)

if TYPE_CHECKING:
    from napari_unet.core.images.normalization import Normalization
    from napari_unet.core.images.pair import Pair
    from napari_unet.core.tasks.semantic import ClassInfo
    from napari_unet.gui.layers.pair_row import PairRow
    from napari_unet.gui.layers.preview import PreviewSource

__all__ = ["Look", "look", "make_repaired_labels", "prepare", "prepare_resume"]


@dataclass(frozen=True)
class Look:
    """Result of a check of the data.

    Parameters
    ----------
    summary
        Summary of the run to come.
    form
        The form, with the meaning of labels and the classes filled in.
    pairs
        The pairs that were checked.
    """

    summary: RunSummary
    form: TrainForm
    pairs: Sequence[TracedPair]


def look(
    library: PairCache,
    choice: DataChoice,
    versions: dict[int, int],
    form: TrainForm,
    guess: bool,
    device: str,
) -> Look:
    """Check the data; runs on another thread."""
    traced = library.gather(choice, versions)
    form, _ = _fill_in_classes(library, traced, form, guess)
    pairs = [s.pair for s in traced]
    summary = summarise_run(pairs, form, library.facts(traced, form), device=device)
    return Look(summary, form, traced)


def _fill_in_classes(
    library: PairCache, sourced: Sequence[TracedPair], form: TrainForm, guess: bool
) -> tuple[TrainForm, dict[int, int]]:
    """Fill in the classes, and the meaning of the labels if the user has not chosen it."""
    facts = library.facts(sourced, form)
    if guess and any(f.labelled for f in facts):
        form = replace(form, meaning=propose_meaning(facts))
    counts: dict[int, int] = {}
    for fact in facts:
        for label, number in fact.counts.items():
            counts[label] = counts.get(label, 0) + number
    if form.meaning == "objects" or len([i for i in counts if i]) > 256:
        return replace(form, classes=()), counts
    known: tuple[ClassInfo, ...] = form.classes
    if not known and form.start_info is not None:
        known = form.start_info.task.label_classes
    classes = propose_classes(counts, form.meaning == "strokes", known=known)
    return replace(form, classes=classes), counts


def prepare(
    library: PairCache,
    choice: DataChoice,
    versions: dict[int, int],
    form: TrainForm,
    runs: Path,
    preview: PreviewSource | None,
) -> TrainRequest:
    """Copy the labels and return the request; runs on another thread."""
    from napari_unet.core.training.model_header import choose_normalization

    library = PairCache() if choice.folder is None else library
    sourced = library.gather(choice, versions)
    form, counts = _fill_in_classes(library, sourced, form, guess=False)
    outlook = summarise_run([s.pair for s in sourced], form, library.facts(sourced, form))
    if outlook.problem:
        raise SettingsError(outlook.problem)
    form = replace(form, sources=sources_of(choice, sourced))
    pairs = everywhere_annotated((s.pair for s in sourced), form)
    request = request_from(form, pairs, next_run_folder(runs, form.name.strip()), counts)
    assert request.settings is not None
    normalization = choose_normalization(
        request.settings.normalization, pairs[0].image.rgb, form.start_info
    )
    return replace(request, **_preview_fields(preview, pairs, normalization))


def prepare_resume(
    folder: Path, images: Sequence[Any], preview: PreviewSource | None
) -> ResumeRequest:
    """Find the data of a run and return the request; runs on another thread."""
    from napari_unet.core.training.run_folder import RunFolder

    pairs = pairs_of_run(folder, images)
    normalization = RunFolder(folder).settings().info.normalization
    return ResumeRequest(folder, tuple(pairs), **_preview_fields(preview, pairs, normalization))


def _preview_fields(
    preview: PreviewSource | None, pairs: Sequence[Pair], normalization: Normalization
) -> dict[str, Any]:
    """Return the preview fields of a request; empty if the image in view does not fit."""
    if preview is None or not pairs or preview.image.channels != pairs[0].image.channels:
        return {}
    try:
        ranges = preview.ranges(normalization)
    except ImageError:  # training images are checked elsewhere
        return {}
    image = preview.loaded()
    return {
        "preview": image,
        "preview_ranges": ranges,
        "preview_s": preview_interval_s(image),
    }


def make_repaired_labels(table_row: PairRow, axes: str | None, kinds: Sequence[str]) -> Any:
    """Return a repaired copy of a layer's labels; runs on another thread."""
    from napari_unet.core.datasets.label_check import repair_labels
    from napari_unet.gui.layers import labels_from_layer

    labels = labels_from_layer(table_row.labels, table_row.images[0], axes)
    return repair_labels(labels, kinds, is_colour=False)
