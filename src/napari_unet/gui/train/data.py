"""Training data from layers or a folder, for new and for resumed runs. No Qt."""

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
    """Settings of the form about the data.

    Parameters
    ----------
    rows
        Pairs of layers.
    folder
        Folder of images and masks, instead of layers.
    axes, channels
        Axes and channels of all images; None: those of each image.
    empty_planes, separate
        Meaning of planes without labels, and whether planes are separate images.
    repair
        Kinds of repairs for the labels of a folder; its files are not changed.
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
    """A pair with its origin, which is enough to find its image again.

    Parameters
    ----------
    pair
        Image with a snapshot of its labels.
    origin
        Plain values for the run's ``sources``.
    row
        Index of its row in the table.
    """

    pair: Pair
    origin: Mapping[str, Any]
    row: int = 0


class PairCache:
    """Makes pairs, and caches them and the facts about their labels until layers change.

    Can be used from several threads; one waits for the other.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pairs: dict[Any, list[TracedPair]] = {}
        self._facts: dict[Any, tuple[Pair, LabelFacts]] = {}

    def gather(self, choice: DataChoice, versions: Mapping[int, int]) -> list[TracedPair]:
        """Return the pairs, with a snapshot of their labels.

        Parameters
        ----------
        choice
            Settings of the form.
        versions
            Number of changes of each layer, by ``id``; unchanged layers are not copied again.

        Raises
        ------
        UNetError
            If images and labels do not match, or a file cannot be read.
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
        """Count and check the labels of pairs that are not in the cache."""
        with self._lock:
            return self._facts_of(pairs, form)

    def _facts_of(self, pairs: Sequence[TracedPair], form: TrainForm) -> list[LabelFacts]:
        # The value keeps the pair alive, because its id could be reused otherwise.
        known, self._facts = self._facts, {}
        found = []
        for sourced in pairs:
            key = (id(sourced.pair), form.meaning)
            entry = known.get(key) or (sourced.pair, label_facts(sourced.pair, form))
            self._facts[key] = entry
            found.append(entry[1])
        return found


def sources_of(choice: DataChoice, pairs: Sequence[TracedPair]) -> dict[str, Any]:
    """Describe where the data comes from, for the run's settings.

    A folder is described as on the command line, which can therefore resume the run, too.
    """
    if choice.folder is not None:
        source: dict[str, Any] = _data_source(choice).model_dump(mode="json")
        return source
    return {_LAYERS: [dict(s.origin) for s in pairs]}


def same_layers(sources: Mapping[str, Any], choice: DataChoice) -> bool:
    """Return whether a run used the data chosen now, by layer names or folder."""
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
        The open image layers.

    Raises
    ------
    UNetError
        If an image is neither open nor at its former path, or the run is damaged.
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
        image = _find_image(origin, layers, images)
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
    """Return a data set with the time of the last change and the size of each file."""

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
            f"The run in '{run_folder}' does not record where its data came from. Start a new run, "
            "for example from its last model."
        )
    source = parse_settings(DataSource, dict(sources))
    if not source.source.exists():
        raise SettingsError(
            f"The data of this run is no longer at '{source.source}'. Move it back, or start a new "
            "run from its last model."
        )
    return source.load(source.find())


def _find_image(origin: Mapping[str, Any], layers: Sequence[Any], known: dict[Any, Image]) -> Image:
    """Return the image of the layer of the same name, else of the layer's file."""
    names = tuple(origin["images"])
    if names not in known:
        known[names] = _reopen_image(origin, layers)
    image, position = known[names], origin.get("position") or {}
    return plane_of(image, position, origin["name"]) if position else image


def _reopen_image(origin: Mapping[str, Any], layers: Sequence[Any]) -> Image:
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
        f"The image '{missing}', which this run was trained on, is not open: expected a layer with "
        "this name. Open it or rename its layer, then resume."
    )
