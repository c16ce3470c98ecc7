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
TESTS = ["tests/gui/test_end_to_end.py", "tests/gui/live/test_live_story.py"]
TRAIN_S = "150"
LITTLE_BYTES, MOST_BYTES = 100_000, 300_000
COLOURS = 255
STRIP_PX, GAP_PX = 420, 8


def take(folder: Path, names: list[str]) -> None:
    """Run the tests that take the pictures."""
    environment = {
        **os.environ,
        "NAPARI_UNET_PICTURES": str(folder),
        "NAPARI_UNET_TRAIN_S": os.environ.get("NAPARI_UNET_TRAIN_S", TRAIN_S),
    }
    command = [sys.executable, "-m", "pytest", *TESTS]
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
    """Save as a small file, in full colour if it is small enough; return its size in bytes."""
    picture = trimmed(Image.open(source).convert("RGB"))
    picture.save(target, optimize=True)
    if target.stat().st_size > LITTLE_BYTES:
        # An octree keeps the rare colours, which a legend consists of.
        palette = picture.quantize(COLOURS, method=Image.Quantize.FASTOCTREE)
        plain = picture.quantize(palette=palette, dither=Image.Dither.NONE)
        plain.save(target, optimize=True)
    return target.stat().st_size


def strip(pictures: list[Path], target: Path) -> None:
    """Join pictures side by side, as high as the lowest."""
    opened = [Image.open(picture).convert("RGB") for picture in pictures]
    height = min(*(picture.height for picture in opened), STRIP_PX)
    scaled = [p.resize((round(p.width * height / p.height), height)) for p in opened]
    width = sum(p.width for p in scaled) + GAP_PX * (len(scaled) - 1)
    whole = Image.new("RGB", (width, height), "white")
    x = 0
    for picture in scaled:
        whole.paste(picture, (x, 0))
        x += picture.width + GAP_PX
    whole.save(target)


def main() -> None:
    """Make all pictures, then replace the old ones."""
    with tempfile.TemporaryDirectory() as folder:
        take(Path(folder), sys.argv[1:])
        IMAGES.mkdir(exist_ok=True)
        if story := sorted(Path(folder).glob("live-*.png")):
            strip(story, Path(folder) / "live.png")
            for picture in story:
                picture.unlink()
        for source in sorted(Path(folder).glob("*.png")):
            size = shrink(source, IMAGES / source.name)
            print(f"{source.name}: {size / 1000:.0f} kB")
            assert size < MOST_BYTES, f"{source.name} is too large for the repository"


if __name__ == "__main__":
    main()
