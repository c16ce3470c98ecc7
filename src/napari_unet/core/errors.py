"""Exceptions raised by the core; their messages state what came, what was expected and what to do.

They derive directly from `Exception`, because Qt's generator-based workers swallow `RuntimeError`.
"""

__all__ = [
    "Cancelled",
    "DeviceError",
    "ImageError",
    "LabelsError",
    "ModelFileError",
    "SettingsError",
    "StorageError",
    "UNetError",
]


class UNetError(Exception):
    """Base class of all errors that a user can fix; the message is shown unchanged.

    Examples
    --------
    >>> from napari_unet import UNetError, read_image
    >>> try:
    ...     read_image("missing.tif")
    ... except UNetError as error:
    ...     print(error)
    There is no file ...missing.tif...
    """


class ImageError(UNetError):
    """An image cannot be used: it is unreadable, not finite, or has the wrong axes or channels."""


class LabelsError(UNetError):
    """Labels cannot be used: they have the wrong shape or values, or are empty."""


class ModelFileError(UNetError):
    """A model file cannot be used: it is damaged, foreign, too new or for other images."""


class SettingsError(UNetError):
    """Settings are invalid, or contradict each other, the data or the saved run."""


class StorageError(UNetError):
    """A file or folder cannot be written, for example because the disk is full."""


class DeviceError(UNetError):
    """The compute device is missing or ran out of memory."""


class Cancelled(UNetError):
    """The caller asked to stop a prediction; nothing was written."""
