"""Live training in the worker, which sends its events to the client and receives commands."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from napari_unet.compute.free_cores import FreeCores
from napari_unet.core.live.events import LiveFinished, LivePreview

if TYPE_CHECKING:
    from napari_unet.compute.job_context import JobContext
    from napari_unet.compute.requests import LiveRequest

__all__ = ["train_live"]


def train_live(request: LiveRequest, context: JobContext) -> LiveFinished:
    """Train until the job is stopped, as described by `LiveRequest`."""
    from napari_unet.core.live.loop import run_live
    from napari_unet.core.live.settings import LiveSettings

    events = run_live(
        request.images,
        request.task,
        request.folder,
        request.settings or LiveSettings(device=request.device),
        commands=context.commands,
        start=request.start,
        resume=request.resume,
        name=request.name,
        should_stop=context.should_stop,
        preview_wanted=lambda: not context.preview_waits,  # a slow client gets only the latest
    )
    with FreeCores() as cores, closing(events):
        for event in events:
            cores.adapt()
            if isinstance(event, LiveFinished):
                return event
            if isinstance(event, LivePreview):
                context.show(event)
            else:
                context.emit(event)
    raise AssertionError("A live training ends with LiveFinished.")
