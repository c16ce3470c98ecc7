"""Runner of commands in this process and a small folder of drawn nuclei."""

import shlex
from pathlib import Path

from typer.testing import CliRunner

from napari_unet import Image, PixelSize, write_image, write_labels
from napari_unet.cli import app
from napari_unet.core.datasets.synthetic import synthetic_dataset

PIXEL_UM = (0.25, 0.25)

SMALL = "--patch 32 --batch 4 --base-channels 8 --depth 2 --augmentation none --threads 1"


class Cli:
    """Runs commands in this process."""

    def __call__(self, line: str, *paths: Path | str, code: int = 0):
        arguments = [*shlex.split(line.format(*(shlex.quote(str(p)) for p in paths)))]
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result


def draw(folder: Path, n: int, seed: int = 0) -> Path:
    size = PixelSize(PIXEL_UM)
    drawn = synthetic_dataset(n, shape=(64, 80), n=(4, 7), diameter_px=(12, 18), seed=seed)
    for i, (image, labels) in enumerate(drawn):
        write_image(folder / "images" / f"cell_{i}.tif", Image(image, "YX", pixel_size=size))
        write_labels(folder / "masks" / f"cell_{i}.tif", labels, pixel_size=size)
    return folder


def table(path: Path) -> list[dict[str, str]]:
    import csv

    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
