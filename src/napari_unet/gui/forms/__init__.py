"""Parts shared by the forms: rows, collapsible sections, messages, layer and model choosers."""

from napari_unet.gui.forms.choosers import LayerChooser, follow_layers
from napari_unet.gui.forms.fields import FolderField, narrow, parse_channels
from napari_unet.gui.forms.help import HelpButton
from napari_unet.gui.forms.models import ModelChooser, model_card
from napari_unet.gui.forms.pieces import (
    Collapsible,
    Form,
    Legend,
    Message,
    ProgressRow,
    duration_words,
    is_alive,
    plain_container,
    row,
)

__all__ = [
    "Collapsible",
    "FolderField",
    "Form",
    "HelpButton",
    "LayerChooser",
    "Legend",
    "Message",
    "ModelChooser",
    "ProgressRow",
    "duration_words",
    "follow_layers",
    "is_alive",
    "model_card",
    "narrow",
    "parse_channels",
    "plain_container",
    "row",
]
