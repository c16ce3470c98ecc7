"""Summary of the run to come in one line, or its problem and how to fix it. No Qt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import UNetError
from napari_unet.core.images.image import Image, PixelSize
from napari_unet.core.images.pair import Pair
from napari_unet.gui.train.form import MEANINGS, Meaning, TrainForm, task_from, training_settings
from napari_unet.gui.train.validation import without_pixels

if TYPE_CHECKING:
    from napari_unet.core.datasets.label_check import LabelIssue
    from napari_unet.core.tasks.base import Task
    from napari_unet.core.training.division import Division
    from napari_unet.core.training.settings import TrainingSettings

__all__ = [
    "LabelFacts",
    "RunSummary",
    "everywhere_annotated",
    "label_facts",
    "plane_of",
    "propose_meaning",
    "separate_planes",
    "summarise_run",
]

_MANY_CLASSES = 12
_MOST_GUESSED_CLASSES = 8
_STROKES_SHARE = 0.1
_LARGEST_TABLE = 1 << 22
_COUNTED_AT_ONCE = 1 << 20
_STEP_S = 0.183 / 256**2 / 16**2
"""Seconds per pixel and squared base channels of a training step on two CPU cores, depth 4."""


@dataclass(frozen=True)
class LabelFacts:
    """Facts about the labels of a pair.

    Parameters
    ----------
    counts
        Number of pixels of each id, including 0.
    planes, labelled
        Number of planes, and of planes with a label.
    labelled_pixels
        Number of pixels of the labelled planes.
    issues
        Probable mistakes in the labels.
    """

    counts: Mapping[int, int]
    planes: int
    labelled: int
    labelled_pixels: int
    issues: tuple[LabelIssue, ...] = ()

    @property
    def objects(self) -> int:
        """Number of different ids above 0."""
        return sum(1 for i in self.counts if i)


@dataclass(frozen=True)
class RunSummary:
    """Summary of the run to come, shown in the form.

    Parameters
    ----------
    problem
        Why the run cannot start and what to do; empty if it can.
    summary
        Description of the run in one line.
    warning
        A setting that is possible but probably not intended; else empty.
    counts
        Number of pixels of each id in all labels.
    issues
        Label issues, each with the index of its pair.
    """

    problem: str = ""
    summary: str = ""
    warning: str = ""
    counts: Mapping[int, int] = field(default_factory=dict)
    issues: tuple[tuple[int, LabelIssue], ...] = ()


def label_facts(pair: Pair, form: TrainForm) -> LabelFacts:
    """Count and check the labels of a pair; takes a while for large labels."""
    from napari_unet.core.datasets.label_check import check_labels

    planes = pair.labels.reshape(-1, *pair.labels.shape[-2:])
    painted = np.array([p.any() for p in planes], bool)
    counts: Counter[int] = Counter()
    for plane in planes:
        counts.update(_count(plane))
    if pair.empty_planes == "ignore" and len(planes) > 1:
        planes = planes[painted]
    issues = check_labels(
        planes,
        instances=form.meaning == "objects",
        sparse=form.meaning == "strokes" or pair.annotated is not None,
        name=pair.name,
        is_colour=False,
    )
    return LabelFacts(
        counts=dict(sorted(counts.items())),
        planes=len(painted),
        labelled=int(painted.sum()),
        labelled_pixels=int(planes.size),
        issues=tuple(issues) if painted.any() else (),
    )


def summarise_run(
    pairs: Sequence[Pair],
    form: TrainForm,
    facts: Sequence[LabelFacts] | None = None,
    *,
    device: str = "",
) -> RunSummary:
    """Summarise a run with these data and settings, or describe why it cannot start.

    Only the labels are read, not the images.

    Parameters
    ----------
    pairs
        Images with labels.
    form
        The form.
    facts
        Facts about the labels of each pair, if already known.
    device
        Device of the run, if known; else empty.
    """
    facts = [label_facts(p, form) for p in pairs] if facts is None else facts
    counts: Counter[int] = Counter()
    for fact in facts:
        counts.update(fact.counts)
    issues = tuple((i, issue) for i, fact in enumerate(facts) for issue in fact.issues)
    found = RunSummary(counts=dict(sorted(counts.items())), issues=issues)
    if not pairs:
        return replace(
            found,
            problem="Open an image, add a Labels layer (the tag button above the layer list) and "
            "paint what the network should find, or choose a folder of images and masks.",
        )
    try:
        task = task_from(form, counts, any_area=any(p.annotated is not None for p in pairs))
        settings = training_settings(form, sum(f.labelled_pixels for f in facts))
        division = _check(pairs, form, task, settings)
    except UNetError as error:
        return replace(found, problem=str(error))
    return replace(
        found,
        summary=_summary(pairs, facts, form, task, settings, division, device),
        warning=_warning(division, settings, task),
    )


def propose_meaning(facts: Sequence[LabelFacts]) -> Meaning:
    """Guess the meaning of labels from the number of ids and of painted pixels."""
    painted = sum(n for f in facts for i, n in f.counts.items() if i)
    ids = {i for f in facts for i in f.counts if i}
    if len(ids) > _MOST_GUESSED_CLASSES:
        return "objects"
    few = painted < _STROKES_SHARE * sum(f.labelled_pixels for f in facts)
    return "strokes" if len(ids) > 1 and few else "classes"


def separate_planes(pair: Pair) -> list[tuple[Pair, dict[str, int]]]:
    """Split a stack of unrelated images into one pair per plane.

    Returns
    -------
    list
        The pair of each plane that is trained on, and the plane's index along T and Z.
    """
    leading = [a for a in pair.image.label_axes if a in "TZ"]
    found = []
    for index in np.ndindex(pair.labels.shape[: len(leading)]):
        if leading and pair.empty_planes == "ignore" and not pair.labels[index].any():
            continue
        position = dict(zip(leading, index, strict=True))
        name = " ".join([pair.name, *(f"{a}={i}" for a, i in position.items())])
        annotated = None if pair.annotated is None else pair.annotated[index]
        plane = plane_of(pair.image, position, name)
        found.append((Pair(plane, pair.labels[index], annotated), position))
    return found or [(pair, {})]


def plane_of(image: Image, position: Mapping[str, int], name: str) -> Image:
    """Return one plane (YX or CYX) of a stack, as an image of this name."""
    index = tuple(position.get(a, slice(None)) for a in image.axes)
    axes = "".join(a for a in image.axes if a not in position)
    size = image.pixel_size
    if size is not None and "Z" in position:
        size = PixelSize(size.yx, size.unit)
    return replace(image, data=image.data[index], axes=axes, name=name, pixel_size=size)


def everywhere_annotated(pairs: Iterable[Pair], form: TrainForm) -> list[Pair]:
    """Mark pairs without an annotated area as fully annotated if other pairs have one."""
    pairs = list(pairs)
    if form.meaning != "objects" or all(p.annotated is None for p in pairs):
        return pairs
    return [
        replace(p, annotated=np.ones(p.labels.shape, bool)) if p.annotated is None else p
        for p in pairs
    ]


def _check(
    pairs: Sequence[Pair],
    form: TrainForm,
    task: Task,
    settings: TrainingSettings,
) -> Division:
    """Raise the errors that training would raise, and return its division of the data."""
    from napari_unet.core.models.catalogue import checked_name
    from napari_unet.core.models.unet_config import UNetConfig
    from napari_unet.core.training.checks import check_data, check_division
    from napari_unet.core.training.division import divide

    checked_name(form.name)
    stand_ins = everywhere_annotated((without_pixels(p) for p in pairs), form)
    check_data(stand_ins, task)
    unet = UNetConfig(depth=settings.depth)
    if form.start_info is not None:
        form.start_info.check_start(pairs[0].image)
        unet = form.start_info.unet
    division = divide(
        stand_ins, unet, settings.validation_fraction, settings.seed, fingerprints=False
    )
    check_division(division)
    return division


def _count(labels: NDArray[Any]) -> dict[int, int]:
    """Return the number of pixels of each id; fast for small ids."""
    if not labels.size:
        return {}
    largest = int(labels.max())
    if largest < _LARGEST_TABLE:
        # Count in parts, because numpy blocks all other threads, and so napari, during a count.
        flat, step = labels.ravel(), max(_COUNTED_AT_ONCE, 4 * largest)
        numbers = np.zeros(largest + 1, np.int64)
        for start in range(0, labels.size, step):
            numbers += np.bincount(flat[start : start + step], minlength=largest + 1)
        return {int(i): int(numbers[i]) for i in np.flatnonzero(numbers)}
    ids, numbers = np.unique(labels, return_counts=True)
    return dict(zip(ids.tolist(), numbers.tolist(), strict=True))


def _summary(
    pairs: Sequence[Pair],
    facts: Sequence[LabelFacts],
    form: TrainForm,
    task: Task,
    settings: TrainingSettings,
    division: Division,
    device: str,
) -> str:
    images = [p.image for p in pairs]
    parts = [_number(len(pairs), "pair"), _axes_and_types(images), *_channels(images[0])]
    parts.append(_pixel_sizes(images))
    if task.labels_are_objects:
        parts.append(_number(sum(f.objects for f in facts), "object"))
    else:
        parts.append(_number(len(task.label_classes), "class", "classes"))
    planes, labelled = sum(f.planes for f in facts), sum(f.labelled for f in facts)
    if planes > len(pairs):
        some = planes != labelled and pairs[0].empty_planes == "ignore"
        parts.append(f"{labelled} of {planes} planes annotated" if some else f"{planes} planes")
    parts += ["2-D", _validation(division, task), _duration(settings, device or form.device)]
    if form.start_info is not None:
        parts.insert(0, f"starting from '{form.start_info.name}'")
    return ", ".join(parts)


def _axes_and_types(images: Sequence[Image]) -> str:
    axes = sorted({i.axes.replace("C", "") for i in images})
    types = sorted({str(i.data.dtype) for i in images})
    return f"{' and '.join(axes)} {' and '.join(types)}"


def _channels(image: Image) -> list[str]:
    if image.rgb:
        return ["RGB"]
    if image.channels == 1:
        return []
    names = f" ({', '.join(image.channel_names)})" if image.channel_names else ""
    return [f"{image.channels} channels{names}"]


def _pixel_sizes(images: Sequence[Image]) -> str:
    sizes = {i.pixel_size for i in images}
    if len(sizes) > 1:
        return "pixel sizes differ"
    (size,) = sizes
    if size is None or size.unit == "pixel":
        return "pixel size unknown"
    y, x = size.yx
    return f"{y:.3g} {size.unit}" if np.isclose(y, x) else f"{y:.3g} x {x:.3g} {size.unit}"


def _validation(division: Division, task: Task) -> str:
    if division.kind == "none":
        return "no validation"
    counts = division.counts
    objects = _number(counts["validation_objects"], "object")
    holding = f" with {objects}" if task.labels_are_objects else ""
    if division.kind == "block":
        return f"validation: a strip of each image{holding}"
    return f"validation: {_number(counts['validation_images'], 'image')}{holding}"


def _duration(settings: TrainingSettings, device: str) -> str:
    """Describe the duration; the time of a step is only known for a CPU."""
    budget = settings.budget
    where = "" if device in ("", "auto") else f" on {device}"
    if budget.minutes is not None:
        return f"about {_minutes(60 * budget.minutes)}{where}"
    steps = budget.steps or (budget.epochs or 0) * (settings.epoch_steps or 1)
    if device != "cpu":
        return f"{steps} steps{where}"
    pixels = settings.patch_px**2 * settings.batch_size
    seconds = steps * pixels * settings.base_channels**2 * _STEP_S
    return f"{steps} steps, about {_minutes(seconds)}{where}"


def _minutes(seconds: float) -> str:
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    if seconds < 3600:
        return f"{seconds / 60:.2g} min" if seconds < 600 else f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.2g} h"


def _warning(division: Division, settings: TrainingSettings, task: Task) -> str:
    if len(task.label_classes) > _MANY_CLASSES:
        return (
            f"The labels contain {len(task.label_classes)} classes. If each number is one object, "
            f"choose '{MEANINGS['objects']}'."
        )
    if division.kind == "none" and settings.validation_fraction > 0:
        return (
            "There will be no score because nothing can be set aside for validation: the image is "
            "too small, or too little of it is painted. Paint a second image or choose a smaller "
            "depth."
        )
    return ""


def _number(n: int, one: str, many: str = "") -> str:
    return f"{n} {one}" if n == 1 else f"{n} {many or one + 's'}"
