"""What is done for each kind of request, in the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_unet.compute import requests as ask
from napari_unet.core.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_unet.compute.worker import JobContext
    from napari_unet.core.events import Event, Finished

__all__ = ["work"]


def work(request: Any, context: JobContext) -> Any:
    """Do what is asked and return the result; see the classes of `napari_unet.compute.requests`.

    Raises
    ------
    UNetError
        As the functions of the core that are called.
    """
    kinds: dict[type, Any] = {
        ask.TrainRequest: _train,
        ask.ResumeRequest: _resume,
    }
    if type(request) not in kinds:
        raise SettingsError(f"A worker cannot do {type(request).__name__}. Update both sides.")
    return kinds[type(request)](request, context)


def _train(request: ask.TrainRequest, context: JobContext) -> Finished:
    from napari_unet.core.model_file import load_model
    from napari_unet.core.training import train

    events = train(
        list(request.pairs),
        request.task,
        request.run_folder,
        request.settings,
        start=load_model(request.start) if request.start else None,
        split=request.split,
        name=request.name,
        sources=request.sources,
        should_stop=context.should_stop,
    )
    return _follow(events, context)


def _resume(request: ask.ResumeRequest, context: JobContext) -> Finished:
    from napari_unet.core.training import resume

    events = resume(request.run_folder, list(request.pairs), should_stop=context.should_stop)
    return _follow(events, context)


def _follow(events: Iterator[Event], context: JobContext) -> Finished:
    from napari_unet.core.events import Finished

    for event in events:
        context.emit(event)
        if isinstance(event, Finished):
            return event
    raise AssertionError("training ended without saying so")
