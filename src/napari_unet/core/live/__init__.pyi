from .commands import (
    ChangeClasses,
    LiveImage,
    Paint,
    PutImage,
    RemoveImage,
    ShowView,
    Suggest,
)
from .events import (
    LiveEvent,
    LiveFinished,
    LivePreview,
    LiveState,
    LiveSuggestion,
    LiveTrouble,
)
from .loop import run_live
from .session import LiveSession
from .settings import LiveSettings
from .trainer import LiveTraining

__all__ = [
    "ChangeClasses",
    "LiveEvent",
    "LiveFinished",
    "LiveImage",
    "LivePreview",
    "LiveSession",
    "LiveSettings",
    "LiveState",
    "LiveSuggestion",
    "LiveTraining",
    "LiveTrouble",
    "Paint",
    "PutImage",
    "RemoveImage",
    "ShowView",
    "Suggest",
    "run_live",
]
