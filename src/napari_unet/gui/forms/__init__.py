"""What the forms of the widgets share: rows, folds, sentences, and choosing layers and models."""

from napari_unet.gui.forms.choosers import LayerChooser, follow_layers
from napari_unet.gui.forms.models import ModelChooser, model_card
from napari_unet.gui.forms.pieces import (
    Collapsible,
    Form,
    Legend,
    Message,
    ProgressRow,
    duration_words,
    plain_container,
    row,
)

__all__ = [
    "Collapsible",
    "Form",
    "LayerChooser",
    "Legend",
    "Message",
    "ModelChooser",
    "ProgressRow",
    "duration_words",
    "follow_layers",
    "model_card",
    "plain_container",
    "row",
]
