"""Write the reference of the command line from the command line itself, before the pages are read.

`napari-unet` is a Typer application, and Typer can describe one as Markdown.
"""

import subprocess
import sys
from pathlib import Path

from sphinx.application import Sphinx

PAGE = Path("_generated", "command-line.md")


def write_command_line(app: Sphinx) -> None:
    """Write every command with its arguments, options and examples."""
    command = [sys.executable, "-m", "typer", "napari_unet.cli", "utils", "docs"]
    command += ["--name", "napari-unet"]
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
    page = Path(app.srcdir, PAGE)
    page.parent.mkdir(exist_ok=True)
    page.write_text(done.stdout.replace("$ napari-unet", "napari-unet"), "utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("builder-inited", write_command_line)
    return {"parallel_read_safe": True}
