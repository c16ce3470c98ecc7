"""Where the training data comes from: layers or a folder, now and when a run is resumed. No Qt."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_unet.core.errors import SettingsError
from napari_unet.core.images.image import Image
from napari_unet.core.images.pair import Pair
from napari_unet.gui.train.run_summary import LabelFacts, label_facts, plane_of, separate_planes

if TYPE_CHECKING:
    from napari_unet.core.datasets.data_source import DataSource
    from napari_unet.core.datasets.pairs import Dataset
    from napari_unet.gui.layers.pair_row import PairRow
    from napari_unet.gui.train.form import TrainForm

__all__ = ["DataChoice", "PairCache", "TracedPair", "pairs_of_run", "same_layers", "sources_of"]

_LAYERS = "layers"


@dataclass(frozen=True)
class DataChoice:
    """What the form says about the data.

    Parameters
    ----------
    rows
        Pairs of layers.
    folder
        Folder of images and masks, instead of layers.
    axes, channels
        For all of them; None: as each says.
    empty_planes, separate
        What planes without labels mean, and whether planes are images of their own.
    repair
        What to repair in the labels of a folder; its files stay as they are.
    """

    rows: tuple[PairRow, ...] = ()
    folder: Path | None = None
    axes: str | None = None
    channels: tuple[str | int, ...] | None = None
    empty_planes: Literal["ignore", "background"] = "ignore"
    separate: bool = False
    repair: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class TracedPair:
    """A pair, and where it came from: enough to find its image again.

    Parameters
    ----------
    pair
        With a snapshot of the labels.
    origin
        Plain values for the run's ``sources``.
    row
        Which row of the table it is of.
    """

    pair: Pair
    origin: Mapping[str, Any]
    row: int = 0


class PairCache:
    """Makes pairs, and remembers them and what their labels hold until layers change.

    Of several threads one waits for the other.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pairs: dict[Any, list[TracedPair]] = {}
        self._facts: dict[Any, tuple[Pair, LabelFacts]] = {}

    def gather(self, choice: DataChoice, versions: Mapping[int, int]) -> list[TracedPair]:
        """Make the pairs, with a snapshot of the labels.

        Parameters
        ----------
        choice
            What the form says.
        versions
            How often each layer (by ``id``) was changed: others are not copied again.

        Raises
        ------
        UNetError
            When images and labels do not fit together, or a file cannot be read.
        """
        with self._lock:
            return self._gather(choice, versions)

    def _gather(self, choice: DataChoice, versions: Mapping[int, int]) -> list[TracedPair]:
        before, self._pairs = self._pairs, {}
        if choice.folder is not None:
            source = _data_source(choice)
            dataset = source.find()
            key: Any = (source, _versions(dataset))
            if (known := before.get(key)) is None:
                known = [TracedPair(p, {}, row=i) for i, p in enumerate(source.load(dataset))]
            self._pairs[key] = known
            return known
        found: list[TracedPair] = []
        for index, row in enumerate(choice.rows):
            layers = (*row.images, row.labels, row.area)
            key = tuple((id(layer), versions.get(id(layer), 0)) for layer in layers)
            key += (choice.axes, choice.channels, choice.empty_planes, choice.separate)
            pairs = before.get(key) or _layer_pairs(row, choice)
            self._pairs[key] = pairs
            found += [replace(s, row=index) for s in pairs]
        return found

    def facts(self, pairs: Sequence[TracedPair], form: TrainForm) -> list[LabelFacts]:
        """Count and check the labels of pairs, those that are new."""
        with self._lock:
            return self._look_at(pairs, form)

    def _look_at(self, pairs: Sequence[TracedPair], form: TrainForm) -> list[LabelFacts]:
        # The pair is in the value too: an id is its own only while the object lives.
        known, self._facts = self._facts, {}
        found = []
        for sourced in pairs:
            key = (id(sourced.pair), form.meaning)
            entry = known.get(key) or (sourced.pair, label_facts(sourced.pair, form))
            self._facts[key] = entry
            found.append(entry[1])
        return found


def sources_of(choice: DataChoice, pairs: Sequence[TracedPair]) -> dict[str, Any]:
    """Say where the data comes from, for the run's settings.

    A folder is described as the command line does, which can then resume the run, too.
    """
    if choice.folder is not None:
        source: dict[str, Any] = _data_source(choice).model_dump(mode="json")
        return source
    return {_LAYERS: [dict(s.origin) for s in pairs]}


def same_layers(sources: Mapping[str, Any], choice: DataChoice) -> bool:
    """Whether a run learned from what is chosen now, by the names of layers or the folder."""
    if choice.folder is not None:
        return str(sources.get("source")) == str(choice.folder.absolute())
    if _LAYERS not in sources:
        return False
    then = {(*origin["images"], origin.get("labels")) for origin in sources[_LAYERS]}
    now = {(*(str(i.name) for i in row.images), str(row.labels.name)) for row in choice.rows}
    return then == now


def pairs_of_run(run_folder: Path, layers: Sequence[Any]) -> list[Pair]:
    """Find the data of a run again: images from layers or files, labels from its snapshot.

    Parameters
    ----------
    run_folder
        Folder of the run.
    layers
        The image layers that are open.

    Raises
    ------
    UNetError
        When an image is neither open nor where it was, or the run is damaged.
    """
    from napari_unet.core.training.run_folder import RunFolder

    run = RunFolder(run_folder)
    sources = run.settings().sources
    if _LAYERS not in sources:
        return _pairs_of_source(sources, run_folder)
    snapshot = run.snapshot()
    images: dict[Any, Image] = {}
    pairs = []
    for origin, (labels, area) in zip(sources[_LAYERS], snapshot, strict=False):
        image = _image_again(origin, layers, images)
        pairs.append(
            Pair(image, labels, area, origin.get("group"), origin.get("empty_planes", "ignore"))
        )
    return pairs


def _layer_pairs(row: PairRow, choice: DataChoice) -> list[TracedPair]:
    from napari_unet.gui.layers import pair_from_layers

    pair = pair_from_layers(
        row.images,
        row.labels,
        row.area,
        axes=choice.axes,
        channels=choice.channels,
        empty_planes=choice.empty_planes,
    )
    origin = {
        "name": pair.name,
        "images": [str(layer.name) for layer in row.images],
        "path": None if pair.image.path is None else str(pair.image.path),
        "labels": str(row.labels.name),
        "axes": choice.axes,
        "channels": None if choice.channels is None else list(choice.channels),
        "empty_planes": choice.empty_planes,
    }
    if not choice.separate:
        return [TracedPair(pair, origin)]
    return [
        TracedPair(
            p, origin | {"name": p.name, "position": position, "empty_planes": p.empty_planes}
        )
        for p, position in separate_planes(pair)
    ]


def _data_source(choice: DataChoice) -> DataSource:
    from napari_unet.core.datasets.data_source import DataSource

    assert choice.folder is not None
    groups = choice.folder / "groups.csv"
    return DataSource(
        source=choice.folder.absolute(),
        channels=choice.channels,
        axes=choice.axes,
        groups=str(groups.absolute()) if groups.is_file() else None,
        repair=choice.repair,
    )


def _versions(dataset: Dataset) -> tuple[Any, ...]:
    """The files of a data set, and when each was changed last."""

    def version(path: Path | None) -> tuple[tuple[int, int], ...]:
        if path is None:
            return ()
        parts = sorted(path.rglob("*")) if path.is_dir() else [path]
        return tuple((part.stat().st_mtime_ns, part.stat().st_size) for part in parts)

    files = ((p.image, *p.labels, p.annotated) for p in dataset.pairs)
    return dataset, tuple(tuple(map(version, some)) for some in files)


def _pairs_of_source(sources: Mapping[str, Any], run_folder: Path) -> list[Pair]:
    from napari_unet.core.datasets.data_source import DataSource
    from napari_unet.core.settings import parse_settings

    if "source" not in sources:
        raise SettingsError(
            f"The run in '{run_folder}' does not say where its data came from. Start a new run, "
            "for example from its last model."
        )
    source = parse_settings(DataSource, dict(sources))
    if not source.source.exists():
        raise SettingsError(
            f"The data of this run is no longer at '{source.source}'. Put it back, or start a new "
            "run from its last model."
        )
    return source.load(source.find())


def _image_again(
    origin: Mapping[str, Any], layers: Sequence[Any], known: dict[Any, Image]
) -> Image:
    """Image of a layer of the same name, else of the file that was behind it."""
    names = tuple(origin["images"])
    if names not in known:
        known[names] = _open_again(origin, layers)
    image, position = known[names], origin.get("position") or {}
    return plane_of(image, position, origin["name"]) if position else image


def _open_again(origin: Mapping[str, Any], layers: Sequence[Any]) -> Image:
    from napari_unet.core.io.image_files import read_image
    from napari_unet.gui.layers import image_from_layers

    by_name = {str(layer.name): layer for layer in layers}
    names, channels = origin["images"], origin.get("channels")
    if all(name in by_name for name in names):
        return image_from_layers([by_name[n] for n in names], origin.get("axes"), channels)
    path = Path(origin["path"]) if origin.get("path") else None
    if path is not None and path.exists() and len(names) == 1:
        return replace(read_image(path, channels, axes=origin.get("axes")), name=names[0])
    missing = next(name for name in names if name not in by_name)
    raise SettingsError(
        f"The image '{missing}', which this run learns from, is not open: expected a layer of that "
        "name. Open it again, or rename its layer back, and resume."
    )
