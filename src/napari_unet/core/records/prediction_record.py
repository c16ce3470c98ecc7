"""Record of a prediction, and the script and command that reproduce it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from napari_unet.core.errors import ImageError, SettingsError
from napari_unet.core.images.image import Image
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.settings import Settings, SettingsField, fields_to_show
from napari_unet.core.system.command_line import command_line
from napari_unet.core.tasks.any_task import AnyTask

__all__ = [
    "LOCAL_OPTIONS",
    "FileSource",
    "PredictionRecord",
    "as_command",
    "as_python",
    "find_file_source",
    "today",
]


LOCAL_OPTIONS = {"block_px", "device"}
"""Options that depend on the computer and do not change the result."""


class FileSource(Settings):
    """Arguments that read an image from a file with `napari_unet.core.io.image_files.read_image`.

    Parameters
    ----------
    path
        Path of the file.
    axes
        Axis letters for the reader; None: the file names its axes.
    channels
        Channels of the file; None: all.
    """

    path: str
    axes: str | None = None
    channels: tuple[str | int, ...] | None = None


class PredictionRecord(PredictOptions):
    """Everything that determines a result, as plain values stored with the result.

    The fields of `PredictOptions` are stored with those below. Decoder settings are those of
    `task`; ``adjustments`` is empty.

    Parameters
    ----------
    version
        Version of this package.
    date
        Day of the prediction, ISO 8601.
    model
        Path of the model file.
    model_name, model_sha256
        Name and hash of the model.
    task
        Task with the decoder settings that were used.
    image
        Name of the image, or of the folder.
    path
        File named by the layer of the image.
    file
        Arguments that read the image from that file, once it is known to contain the image; see
        `find_file_source`.
    channels
        Channels of the layer that were used; None: all.
    layers
        Names of the layers of the image, one or one per channel.
    axes
        Axes of the array in that layer, in its order (``S`` for colour samples).
    position
        Index along each axis that was cut, if only one plane was predicted.
    diameter_px
        Estimated diameter of the objects, if the scale was derived from it.
    probabilities
        Whether probabilities were requested.
    folder
        Folder, file or pattern whose files were predicted, instead of one image.
    out
        Folder of their results.
    rescale
        Whether files were resized to the model's pixel size if both were known.
    """

    version: str
    date: str
    model: str
    model_name: str
    model_sha256: str
    task: AnyTask
    image: str
    path: str | None = None
    file: FileSource | None = None
    channels: tuple[str | int, ...] | None = None
    layers: tuple[str, ...] = ()
    axes: str = "YX"
    position: dict[str, int] = Field(default_factory=dict)
    diameter_px: float | None = None
    probabilities: bool = False
    folder: str | None = None
    out: str | None = None
    rescale: bool = False

    @property
    def options(self) -> PredictOptions:
        """Options that repeat the prediction, without those specific to the computer."""
        names = PredictOptions.model_fields.keys() - LOCAL_OPTIONS
        own = {name: getattr(self, name) for name in names}
        return PredictOptions(**own | {"adjustments": self.decoding()})

    def decoding(self) -> dict[str, float]:
        """Return the decoder settings by name."""
        return {adjustment.name: adjustment.value for adjustment in self.task.adjustments}


def today() -> str:
    """Return today's date (UTC) in the format of records."""
    return datetime.now(UTC).date().isoformat()


def find_file_source(
    image: Image, path: Path | str | None, axes: str | None = None
) -> FileSource | None:
    """Find the arguments that read an image in a viewer from its file.

    Parameters
    ----------
    image
        The whole image, as it was predicted.
    path
        File named by the layer of the image.
    axes
        Axis letters to try if the file does not name its axes.

    Returns
    -------
    FileSource or None
        None if there is no file or its content differs: the image in the viewer was changed, or
        is a part of the file.
    """
    from napari_unet.core.io.image_files import read_image

    if path is None or not Path(path).exists():
        return None
    for letters in dict.fromkeys((None, axes)):
        try:
            there = read_image(path, axes=letters, lazy=True)
        except (ImageError, MemoryError):
            continue
        if there.label_axes != image.label_axes or there.label_shape != image.label_shape:
            continue
        channels = _same_channels(_samples(there), _samples(image))
        if channels is None:
            continue
        everything = channels == tuple(range(there.channels))
        path = Path(path).absolute()
        return FileSource(path=str(path), axes=letters, channels=None if everything else channels)
    return None


def as_python(record: PredictionRecord) -> str:
    """Write a script that reproduces the labels.

    It reads the image from its file. If there is no file, it reads the layer and must be run in
    napari's console.
    """
    head = (
        f"# napari-unet-live {record.version}, model '{record.model_name}'\n"
        f"# SHA-256 of the model: {record.model_sha256}\n"
    )
    return head + (_python_folder(record) if record.folder else _python_image(record))


def as_command(record: PredictionRecord) -> str:
    """Write the command line that reproduces the labels.

    Raises
    ------
    SettingsError
        If the image is not in a file, or is one plane of a file: the command reads whole files.
    """
    source = record.folder
    if source is None:
        if record.file is None:
            raise SettingsError(
                f"'{record.image}' is not saved in a file in its current form, and the command "
                "line reads files. Save the layer (File > Save Selected Layers) and predict the "
                "saved file, or use 'Copy as Python'."
            )
        if record.position:
            raise SettingsError(
                f"Only the plane {_position(record)} of '{record.image}' was predicted, but the "
                "command line predicts whole files. Predict the whole stack, or use 'Copy as "
                "Python'."
            )
        source = record.file.path
    words = ["napari-unet", "predict", record.model, source, "--out", record.out or "results"]
    if record.file is not None:
        words += ["--axes", record.file.axes] if record.file.axes else []
        if record.file.channels is not None:
            words += ["--channels", ",".join(map(str, record.file.channels))]
    for adjustment in record.task.adjustments:
        words += [adjustment.flag, f"{adjustment.value:.12g}"]
    words += ["--rescale"] if record.rescale else []
    for field in fields_to_show(PredictOptions):
        value = getattr(record.options, field.name)
        if value != field.default and not (field.name == "scale" and record.rescale):
            words += _command_words(field, value)
    words += ["--probability"] if record.probabilities else []
    return command_line(words)


def _command_words(field: SettingsField, value: Any) -> list[str]:
    if field.name == "scale" and value == "auto":
        return ["--diameter", "auto"]
    if field.kind is bool:
        return [field.flag]
    return [field.flag, f"{value:.12g}" if isinstance(value, float) else str(value)]


# -- Python -------------------------------------------------------------------------------------


def _python_image(record: PredictionRecord) -> str:
    options, needed = _python_options(record)
    names = ["load_model", "predict", "write_labels", *needed]
    names.append("read_image" if record.file else "Image")
    lines = [f"from napari_unet import {', '.join(sorted(names))}", ""]
    lines += [f"model = load_model({record.model!r})", *_read_lines(record)]
    if record.position:
        lines.insert(0, "from dataclasses import replace\n")
        lines += [
            f"position = {record.position!r}  # only this plane was predicted",
            "plane = image.data[tuple(position.get(axis, slice(None)) for axis in image.axes)]",
            'axes = "".join(axis for axis in image.axes if axis not in position)',
            "image = replace(image, data=plane, axes=axes)",
        ]
    lines += [f"options = {options}"] if options else []
    given = ", options" if options else ""
    given += ", probabilities=True" if record.probabilities else ""
    lines.append(f"prediction = predict(model, image{given})")
    lines.append("labels = prediction.labels  # axes of the image without C")
    target = f"{_plain(record.image)}_labels.tif"
    lines.append(f"write_labels({target!r}, labels, image.label_axes, image.pixel_size)")
    return "\n".join(lines) + "\n"


def _read_lines(record: PredictionRecord) -> list[str]:
    if record.file is not None:
        given = {"axes": record.file.axes, "channels": record.file.channels}
        options = {name: value for name, value in given.items() if value is not None}
        return [f"image = read_image({record.file.path!r}{_keywords(options)})"]
    lines = [
        "import napari",
        "viewer = napari.current_viewer()",
        "if viewer is None:",
        "    raise SystemExit(",
        '        "Run this in napari\'s console (Window > Console), with the layer open: "',
        '        "the image is not saved in a file."',
        "    )",
        "layers = viewer.layers",
    ]
    if len(record.layers) == 1:
        lines.append(f"layer = layers[{record.layers[0]!r}]")
        lines.append("data = layer.data[0] if layer.multiscale else layer.data")
        letters = record.axes
    else:
        lines.append("import numpy as np")
        lines.append(f"data = np.stack([layers[name].data for name in {list(record.layers)!r}])")
        letters = "C" + record.axes
    named = {"name": record.image}
    lines.append(f"image = Image.from_array(data, {letters!r}{_keywords(named)})")
    if record.channels is not None:
        lines.append(f"image = image.select_channels({record.channels!r})")
    return lines


def _python_folder(record: PredictionRecord) -> str:
    options, needed = _python_options(record)
    given: dict[str, Any] = {}
    if record.file is not None:
        given = {"axes": record.file.axes, "channels": record.file.channels}
    given |= {"probabilities": record.probabilities, "rescale": record.rescale}
    settings = _keywords({name: value for name, value in given.items() if value})
    prediction = f", {options}" if options else ""
    names = ["load_model", "predict_files", *needed]
    lines = [
        "from pathlib import Path",
        "",
        f"from napari_unet import {', '.join(sorted(names))}",
        "from napari_unet.core.prediction import BatchOptions, find_inputs",
        "",
        f"model = load_model({record.model!r})",
        f"files = find_inputs([{record.folder!r}]).files",
        f"options = BatchOptions(Path({record.out or 'results'!r}){prediction}{settings})",
        "for result in predict_files(model, files, options):",
        "    print(result.input)",
    ]
    return "\n".join(lines) + "\n"


def _python_options(record: PredictionRecord) -> tuple[str, list[str]]:
    """Write the options that differ from the defaults, and list the names to import."""
    default = PredictOptions()
    values = {name: value for name, value in record.options if value != getattr(default, name)}
    if not values:
        return "", []
    return f"PredictOptions({_keywords(values).removeprefix(', ')})", ["PredictOptions"]


def _keywords(values: dict[str, Any]) -> str:
    return "".join(f", {name}={value!r}" for name, value in values.items())


def _position(record: PredictionRecord) -> str:
    return ", ".join(f"{axis}={index}" for axis, index in record.position.items())


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name) or "image"


# -- comparison with the file -------------------------------------------------------------------


def _samples(image: Image) -> NDArray[Any]:
    """Sample about 64 x 64 pixels of the first and last plane, axes (plane, C, Y, X)."""
    planes = list(image.planes(2))
    step = [max(1, n // 64) for n in image.label_shape[-2:]]
    first_and_last = (planes[0][1], planes[-1][1])
    return np.stack([np.asarray(p[:, :: step[0], :: step[1]]) for p in first_and_last])


def _same_channels(there: NDArray[Any], image: NDArray[Any]) -> tuple[int, ...] | None:
    """Find the image's channels among those of the file; None if one is not in the file."""
    found = []
    for channel in range(image.shape[1]):
        wanted = image[:, channel]
        order = [channel, *range(there.shape[1])]
        matches = (c for c in order if c < there.shape[1] and np.array_equal(there[:, c], wanted))
        match = next(matches, None)
        if match is None:
            return None
        found.append(match)
    return tuple(found)
