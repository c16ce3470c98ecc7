"""Classes of a live training: those in the class table and those that are painted. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_unet.core.live import commands
from napari_unet.gui.live.form import MOST_CLASSES, default_classes

if TYPE_CHECKING:
    from napari_unet.core.tasks.semantic import ClassInfo, Semantic
    from napari_unet.gui.live.notices import Notices
    from napari_unet.gui.live.previews import LivePreviews
    from napari_unet.gui.live.run import LiveRun
    from napari_unet.gui.live.sender import CommandSender

__all__ = ["LiveClasses"]


class LiveClasses:
    """Updates the classes of a live training; a training on objects has none.

    Parameters
    ----------
    run
        The live training; its task changes with the classes.
    sender
        Sends new classes to the training.
    previews
        Preview layers, which show the classes in their colours.
    notices
        Report labels that are ignored.

    Attributes
    ----------
    changed_by
        Number of the last command that changed the classes; earlier previews show the old ones.
    """

    def __init__(
        self, run: LiveRun, sender: CommandSender, previews: LivePreviews, notices: Notices
    ) -> None:
        self._run, self._sender = run, sender
        self._previews, self._notices = previews, notices
        self.changed_by = 0

    def use(self, classes: Sequence[ClassInfo]) -> None:
        """Use the names, colours and background that the user chose."""
        task = self._run.task
        if task.labels_are_objects:
            return
        known = {c.id: c.model_copy(update={"background": False}) for c in task.label_classes}
        known |= {c.id: c for c in classes if c.id}
        self._use_task(default_classes(list(known.values()), ()))

    def add(self, painted: Sequence[int]) -> None:
        """Add classes that are painted for the first time."""
        task = self._run.task
        if not task.labels_are_objects:
            self._use_task(default_classes(task.label_classes, painted))

    def check(self, painted: Sequence[int]) -> None:
        """Report a painted label that is ignored because there are too many classes."""
        task = self._run.task
        if task.labels_are_objects:
            return
        if more := {i for i in painted if i > 0} - {c.id for c in task.label_classes}:
            self._notices.complain(
                f"Label {min(more)} is ignored: Live can train on at most {MOST_CLASSES} classes. "
                "If each label is one object, stop, set 'Labels are' to objects, and start Live "
                "again."
            )

    def _use_task(self, task: Semantic) -> None:
        if task != self._run.task:
            self._run.task = task
            self.changed_by = self._sender.send(commands.ChangeClasses(task))
            self._previews.forget_colours()
