"""Files of annotated areas: masks beside images and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from napari_unet.core.datasets.folder_layouts import label_owner
from napari_unet.core.datasets.matched_files import MatchedFiles
from napari_unet.core.errors import SettingsError
from napari_unet.core.io.formats import bare_name, is_image_file
from napari_unet.core.system.atomic_files import exists

__all__ = ["describe_areas", "with_areas"]

FOLDER = "annotated"
"""Folder beside images and masks that holds the areas."""

_SUFFIX = "_annotated"


def with_areas(
    matches: Sequence[MatchedFiles], source: Path, areas: Path | None
) -> list[MatchedFiles]:
    """Add the file of its annotated area to each image, if there is one.

    Parameters
    ----------
    matches
        Images with their labels.
    source
        Folder of the data; if `areas` is None, an ``annotated`` folder in it is used.
    areas
        Folder of masks named like the images (optionally with ``_annotated`` or a suffix of labels
        appended), or one mask for one image. An image without a mask is annotated everywhere.

    Raises
    ------
    SettingsError
        If there is no such file or folder, or no mask belongs to an image.
    """
    if areas is None:
        areas = source / FOLDER
        if not (source.is_dir() and areas.is_dir()):
            return list(matches)
    if not exists(areas):
        raise SettingsError(
            f"There is no file or folder of annotated areas '{areas}'. Check the name."
        )
    if is_image_file(areas):
        if len(matches) != 1:
            raise SettingsError(
                f"One annotated area '{areas.name}' for {len(matches)} images: expected a folder "
                "with a mask for each, named like the image."
            )
        return [replace(matches[0], annotated=areas)]
    try:
        masks = {_owner(path): path for path in sorted(areas.iterdir()) if is_image_file(path)}
    except OSError as error:
        raise SettingsError(
            f"'{areas}' is neither a mask nor a folder of masks that can be read "
            f"({error.strerror}): expected an image that is not 0 in the annotated area."
        ) from error
    found = [replace(m, annotated=masks.get(bare_name(Path(m.name)))) for m in matches]
    if not any(m.annotated for m in found):
        raise SettingsError(
            f"None of the {len(masks)} mask(s) in '{areas}' has the name of an image, such as "
            f"'{matches[0].name}': name the masks of annotated areas like the images."
        )
    return found


def _owner(path: Path) -> str:
    name = bare_name(path)
    if name.lower().endswith(_SUFFIX) and len(name) > len(_SUFFIX):
        return name[: -len(_SUFFIX)]
    return label_owner(path)


def describe_areas(annotated: Sequence[Path | None]) -> str:
    """Describe how many images have an annotated area; empty if none has."""
    count = sum(path is not None for path in annotated)
    if not count:
        return ""
    rest = len(annotated) - count
    text = f"{count} with an annotated area"
    return text + (f" ({rest} annotated everywhere)" if rest else "")
