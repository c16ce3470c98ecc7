"""Files of images and labels for tests that match them."""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image as PilImage


def put(path: Path, data: Any = None) -> Path:
    """Write an array, by default a diagonal, as PNG or TIFF; create its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.eye(8, dtype=np.uint8) if data is None else data
    if path.suffix == ".png":
        PilImage.fromarray(data).save(path)
    else:
        tifffile.imwrite(path, data, photometric="rgb" if data.shape[-1] == 3 else "minisblack")
    return path
