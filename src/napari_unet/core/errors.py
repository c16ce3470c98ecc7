"""The errors that the core raises; messages name what came, what was expected and what to do.

They derive from `Exception` directly, because generator-based workers of the Qt world swallow
`RuntimeError`.
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
    """Base class of everything that a user can mend; its text is shown as it is.

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
    """An image cannot be used: unreadable, wrong axes, wrong channels, not finite."""


class LabelsError(UNetError):
    """Labels cannot be used: wrong shape, wrong values, nothing painted."""


class ModelFileError(UNetError):
    """A model file cannot be used: truncated, foreign, newer, or for another kind of image."""


class SettingsError(UNetError):
    """Settings contradict each other, the data or the saved run."""


class StorageError(UNetError):
    """A file or folder cannot be written: no space, no permission, not a folder."""


class DeviceError(UNetError):
    """The compute device is missing or ran out of memory."""


class Cancelled(UNetError):
    """The caller asked to stop a prediction; nothing was written."""
