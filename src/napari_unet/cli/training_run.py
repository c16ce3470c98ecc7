"""Start or resume a training run, and show its data, progress, results and next steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from napari_unet.cli.console import INTERRUPTED, Output, duration, stoppable
from napari_unet.cli.options import use_threads
from napari_unet.cli.scores import short_scores, show_scores
from napari_unet.core.errors import SettingsError
from napari_unet.core.system.command_line import command_line
from napari_unet.core.training.events import (
    EpochDone,
    Event,
    Finished,
    FinishReason,
    Started,
    StepDone,
)

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from napari_unet.core.datasets.data_source import DataSource
    from napari_unet.core.datasets.label_check import LabelIssue
    from napari_unet.core.images.pair import Pair
    from napari_unet.core.models.model import Model
    from napari_unet.core.tasks.base import Task
    from napari_unet.core.training.settings import TrainingSettings

__all__ = ["follow", "resume_run", "start_run"]

_REASONS = {
    FinishReason.COMPLETED: "Finished",
    FinishReason.STOPPED: "Stopped",
    FinishReason.NO_IMPROVEMENT: "Ended early (no further improvement)",
}


def start_run(
    output: Output,
    data: DataSource,
    folder: Path,
    settings: TrainingSettings,
    make_task: Callable[[list[Pair]], Task],
    split: str,
    start: Model | None,
    name: str,
) -> None:
    """Read the data, describe it, and train."""
    from napari_unet.core.datasets.split_choice import choose_split
    from napari_unet.core.training.run_folder import RunFolder
    from napari_unet.core.training.training import train

    RunFolder(folder).check_free()  # before the data is read
    pairs, groups = _load(output, data)
    task = make_task(pairs)
    _show_label_check(output, pairs, task, data)
    chosen = choose_split(
        split, [p.name for p in pairs], groups, settings.validation_fraction, settings.seed
    )
    if chosen is not None:
        _warn_of_shared_groups(
            output, [groups[i] for i in chosen.train], [groups[i] for i in chosen.validation]
        )
    with stoppable("Stopping after this step, everything is saved") as should_stop:
        events = train(
            pairs,
            task,
            folder,
            settings,
            start=start,
            split=chosen,
            name=name,
            sources=data.model_dump(mode="json"),
            should_stop=should_stop,
        )
        finished = follow(output, events)
    _show_end(output, finished, folder, data)


def resume_run(output: Output, folder: Path, source: Path | None, threads: int | None) -> None:
    """Resume a run with its data; `source` is the current location of the data, if it moved."""
    from napari_unet.core.datasets.data_source import DataSource
    from napari_unet.core.settings import parse_settings
    from napari_unet.core.training.run_folder import RunFolder
    from napari_unet.core.training.training import resume

    run = RunFolder(folder).settings()
    values = dict(run.sources)
    if source is not None:
        values["source"] = source.absolute()
    again = command_line(["napari-unet", "train", "DATA", "--resume", folder])
    if "source" not in values:
        raise SettingsError(
            f"The data folder of the run in '{folder}' is not recorded. Name the folder: " + again
        )
    use_threads(threads or run.threads)
    data = parse_settings(DataSource, values)
    if not data.source.exists():
        raise SettingsError(
            f"The data of this run is no longer at '{data.source}'. Name its current location: "
            + again
        )
    pairs, _ = _load(output, data)
    with stoppable("Stopping after this step, everything is saved") as should_stop:
        finished = follow(output, resume(folder, pairs, should_stop=should_stop))
    _show_end(output, finished, folder, data)


def follow(output: Output, events: Iterator[Event]) -> Finished:
    """Show events as they arrive: a bar with the time left on a terminal, and a line per epoch."""
    with output.progress() as progress:
        task = progress.add_task("training", total=1.0, note="")
        for event in events:
            if isinstance(event, Started):
                _show_start(output, event)
            elif isinstance(event, StepDone):
                _advance(progress, task, event)
            elif isinstance(event, EpochDone):
                progress.console.print(_epoch_line(event), highlight=False, soft_wrap=True)
            elif isinstance(event, Finished):
                return event
    raise AssertionError("training ended without a Finished event")


def _load(output: Output, data: DataSource) -> tuple[list[Pair], list[str]]:
    dataset = data.find()
    output.say(dataset.describe())
    with output.counting("reading") as progress:
        pairs = data.load(dataset, progress)
    return pairs, list(dataset.groups)


def _show_label_check(output: Output, pairs: list[Pair], task: Task, data: DataSource) -> None:
    from napari_unet.core.datasets.label_check import check_pairs

    found = check_pairs(pairs, instances=task.labels_are_objects, sparse=task.sparse)
    for kind, issues in found.items():
        output.warn(_issue_text(kind, issues))
    fixable = [k for k, issues in found.items() if issues[0].repairable and k not in data.repair]
    if fixable:
        options = " ".join(f"--repair {kind}" for kind in fixable)
        output.warn(
            f"To repair: {options} (the files are not changed). Training continues without repair."
        )


def _issue_text(kind: str, issues: list[LabelIssue]) -> str:
    more = f" {len(issues) - 1} more image(s) have the same problem." if len(issues) > 1 else ""
    return f"Label check, {kind}: {issues[0].message}{more}"


def _warn_of_shared_groups(output: Output, train: list[str], validation: list[str]) -> None:
    shared = set(train) & set(validation)
    if shared:
        output.warn(
            f"{len(shared)} group(s) are on both sides of this split, so its scores are too "
            "optimistic. Use it to compare with published results, and --split group to choose "
            "settings."
        )


def _show_start(output: Output, event: Started) -> None:
    text = event.summary[0].upper() + event.summary[1:] + "."
    if event.step:
        text += f" Resuming at step {event.step}."
    output.say(text)


def _advance(progress: Progress, task: TaskID, event: StepDone) -> None:
    note = f"step {event.step}, loss {event.loss:.3f}, {duration(event.seconds_left)} left"
    progress.update(task, completed=event.progress, note=note)


def _epoch_line(event: EpochDone) -> str:
    parts = [f"epoch {event.epoch:>3}  step {event.step:>5}  loss {event.train_loss:.3f}"]
    if event.validation_loss is not None:
        parts.append(f"validation loss {event.validation_loss:.3f}")
    parts += [f"{name} {value:.3f}" for name, value in short_scores(event.scores).items()]
    return "  ".join(parts) + ("  best so far" if event.is_best else "")


def _show_end(output: Output, event: Finished, folder: Path, data: DataSource) -> None:
    stopped = event.reason is FinishReason.STOPPED
    output.say("")
    output.say(
        f"{_REASONS[event.reason]} after {event.step} steps, {duration(event.seconds)}.",
        style="bold",
    )
    if event.best_model:
        output.say(f"Best model: {event.best_model}")
        show_scores(output, event.best_scores, title="Best model on the validation images")
    elif not stopped:
        output.say("There was no validation, so there is no best model.")
    output.say(f"Last model: {event.last_model}")
    if (curves := folder / "curves.png").exists():
        output.say(f"Curves:     {curves}")
    output.next_steps(_next_steps(event, folder, data))
    output.result(_as_json(event, folder))
    if stopped:
        raise typer.Exit(INTERRUPTED)


def _next_steps(event: Finished, folder: Path, data: DataSource) -> list[str]:
    run, lines = str(folder), []
    reading = _reading_options(data)
    if event.reason is FinishReason.STOPPED:
        lines.append(["train", "--resume", run])
    lines.append(["predict", run, "IMAGES", *reading, "--out", "results"])
    if event.best_model:
        given = reading + _label_options(data)
        lines.append(["evaluate", "--model", run, str(data.source), *given, "--out", "scores"])
    return [command_line(["napari-unet", *line]) for line in lines]


def _reading_options(data: DataSource) -> list[str]:
    """Return the options that read images as they were read for training."""
    options: list[str] = []
    if data.channels is not None:
        options += ["--channels", ",".join(map(str, data.channels))]
    return options + (["--axes", data.axes] if data.axes else [])


def _label_options(data: DataSource) -> list[str]:
    """Return the options that read labels as they were read for training."""
    options = [part for kind in data.repair for part in ("--repair", kind)]
    if data.annotated is not None:
        options += ["--annotated", str(data.annotated)]
    if data.empty_planes != "ignore":
        options += ["--empty-planes", data.empty_planes]
    return options


def _as_json(event: Finished, folder: Path) -> dict[str, Any]:
    return {
        "run": folder,
        "reason": event.reason.value,
        "steps": event.step,
        "seconds": event.seconds,
        "best_model": event.best_model,
        "last_model": event.last_model,
        "scores": event.best_scores,
    }
