"""A U-Net that trains, predicts and evaluates on your own images: headless, and in napari.

The public names are imported when they are first used, so that ``import napari_unet`` costs
nothing and napari, which imports the package to find its manifest, never loads torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_unet.core.errors import UNetError as UNetError
    from napari_unet.core.images import Image as Image
    from napari_unet.core.images import Pair as Pair
    from napari_unet.core.images import PixelSize as PixelSize

__version__ = "0.1.0.dev0"

_HOMES = {
    "Image": "core.images",
    "Pair": "core.images",
    "PixelSize": "core.images",
    "UNetError": "core.errors",
}
"""Public name: the module it comes from. The imports above say the same to type checkers."""

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
