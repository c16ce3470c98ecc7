"""Write docs/images: the end-to-end tests are run, train for some minutes, and take the pictures.

    python docs/make_pictures.py [NAME ...]

With names of tests only these are run. Needs the development environment (``make setup``), the
DSB2018 nuclei where the tests look for them (``../shared``), and a screen or xvfb.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
TRAIN_S = "150"
LITTLE_BYTES, MOST_BYTES = 100_000, 300_000
COLOURS = 255


def take(folder: Path, names: list[str]) -> None:
    """Run the tests that take the pictures."""
    environment = {
        **os.environ,
        "NAPARI_UNET_PICTURES": str(folder),
        "NAPARI_UNET_TRAIN_S": os.environ.get("NAPARI_UNET_TRAIN_S", TRAIN_S),
    }
    command = [sys.executable, "-m", "pytest", "tests/gui/test_end_to_end.py"]
    command += ["-k", " or ".join(names)] if names else []
    if not os.environ.get("DISPLAY") and shutil.which("xvfb-run"):
        screen = ["xvfb-run", "--auto-servernum", "--server-args", "-screen 0 1600x1200x24"]
        command = screen + command
    subprocess.run(command, check=True, cwd=ROOT, env=environment)


def trimmed(picture: Image.Image) -> Image.Image:
    """Cut off what is empty below the last thing that is seen."""
    empty = Image.new("RGB", picture.size, picture.getpixel((0, picture.height - 1)))
    seen = ImageChops.difference(picture, empty).getbbox()
    last = picture.height if seen is None else min(picture.height, seen[3] + 8)
    return picture.crop((0, 0, picture.width, last))


def shrink(source: Path, target: Path) -> int:
    """Save as a small file, gives its size in bytes: in full colour where that is little."""
    picture = trimmed(Image.open(source).convert("RGB"))
    picture.save(target, optimize=True)
    if target.stat().st_size > LITTLE_BYTES:
        # An octree keeps the rare colours, which a legend consists of.
        palette = picture.quantize(COLOURS, method=Image.Quantize.FASTOCTREE)
        plain = picture.quantize(palette=palette, dither=Image.Dither.NONE)
        plain.save(target, optimize=True)
    return target.stat().st_size


def main() -> None:
    """Take all pictures, then replace the old ones."""
    with tempfile.TemporaryDirectory() as folder:
        take(Path(folder), sys.argv[1:])
        IMAGES.mkdir(exist_ok=True)
        for source in sorted(Path(folder).glob("*.png")):
            size = shrink(source, IMAGES / source.name)
            print(f"{source.name}: {size / 1000:.0f} kB")
            assert size < MOST_BYTES, f"{source.name} is too large for the repository"


if __name__ == "__main__":
    main()
