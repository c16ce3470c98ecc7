"""Training without end on labels that change while it learns. No window and no cluster here."""

from napari_unet.core.live.strokes import Canvas, StrokeScores
from napari_unet.core.live.trainer import LiveSettings, LiveTraining

__all__ = ["Canvas", "LiveSettings", "LiveTraining", "StrokeScores"]
