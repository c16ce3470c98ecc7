"""The viewer and the layers behind what napari hands to plugins."""

from __future__ import annotations

from typing import TypeVar

__all__ = ["unwrapped"]

T = TypeVar("T")


def unwrapped(thing: T) -> T:
    """Take a viewer or layer out of the proxy in which napari hands it to a plugin's widget.

    The proxy is there to hide private attributes, which we do not need. But a layer taken from it
    by index is a new object each time, so that ``is`` fails, and each look at an attribute walks
    the stack and blocks warnings: a widget unwraps its viewer once, in its constructor.

    Parameters
    ----------
    thing
        Viewer, layer, or anything else, which is returned as it is.
    """
    wrapped: T = getattr(thing, "__wrapped__", thing)
    return wrapped
