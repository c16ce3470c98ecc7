"""Unwrapping of the proxies that napari passes to plugins."""

from __future__ import annotations

from typing import TypeVar

__all__ = ["unwrapped"]

T = TypeVar("T")


def unwrapped(thing: T) -> T:
    """Return the viewer or layer inside the proxy that napari passes to a plugin's widget.

    The proxy hides private attributes, which we do not need. But a layer from it is a new object
    each time, so that ``is`` fails, and each attribute access walks the stack and blocks warnings.
    Widgets therefore unwrap their viewer once, in the constructor.

    Parameters
    ----------
    thing
        Viewer or layer; anything else is returned as it is.
    """
    wrapped: T = getattr(thing, "__wrapped__", thing)
    return wrapped
