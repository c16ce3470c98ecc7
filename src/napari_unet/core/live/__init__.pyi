from .session import LiveSession
from .settings import LiveSettings
from .trainer import LiveTraining

__all__ = [
    "LiveSession",
    "LiveSettings",
    "LiveTraining",
]
