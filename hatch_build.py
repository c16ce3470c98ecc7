"""The README as package indexes and the napari hub show it: relative links made absolute."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

# The target of `[text](target)`, `![text](target)` and `src="target"`; no addresses, no #anchors.
TARGET = re.compile(r'(?P<before>\]\(|\bsrc=")(?![a-z]+:|#|//)(?P<path>[^)"\s]+)')
PICTURES = (".png", ".gif", ".jpg", ".svg")


def absolute(readme: str, repository: str) -> str:
    """Make relative links absolute: to a picture itself, or to the page that shows the file."""

    def replace(found: re.Match[str]) -> str:
        view = "raw" if found["path"].lower().endswith(PICTURES) else "blob"
        return f"{found['before']}{repository.rstrip('/')}/{view}/main/{found['path']}"

    return TARGET.sub(replace, readme)


class CustomMetadataHook(MetadataHookInterface):
    """Gives the project its README, with the repository's address of ``[project.urls]``."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in the field that pyproject.toml calls dynamic."""
        text = Path(self.root, "README.md").read_text("utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": absolute(text, metadata["urls"]["Repository"]),
        }
