"""Suggestions of where to paint next, with a proposal to correct. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_unet.core.errors import UNetError
from napari_unet.core.live import commands
from napari_unet.gui.live.proposal import Proposal

if TYPE_CHECKING:
    import napari

    from napari_unet.core.live.events import LiveSuggestion
    from napari_unet.gui.live.notices import Notices
    from napari_unet.gui.live.planes import LivePlane
    from napari_unet.gui.live.run import LiveRun
    from napari_unet.gui.live.sender import CommandSender

__all__ = ["Suggestions"]


class Suggestions:
    """Asks the training where painting would help most, and keeps the proposal it returns.

    Parameters
    ----------
    viewer
        The viewer that shows the proposal.
    run
        The live training.
    sender
        Sends the question to the training.
    notices
        Show the answer as text.
    proposed
        Called with whether there is a proposal to accept or reject.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        run: LiveRun,
        sender: CommandSender,
        notices: Notices,
        proposed: Callable[[bool], None],
    ) -> None:
        self._viewer, self._run = viewer, run
        self._sender, self._notices = sender, notices
        self._proposed = proposed
        self._asked = ""
        self._proposal: Proposal | None = None

    @property
    def busy(self) -> bool:
        """Whether an answer is pending, or a proposal waits for the user."""
        return bool(self._asked) or self._proposal is not None

    def needs(self, plane: LivePlane) -> bool:
        """Return whether the pending question or the proposal is about a plane."""
        proposed = self._proposal is not None and self._proposal.plane is plane
        return proposed or self._asked == plane.name

    def ask(self, name: str) -> None:
        """Ask about a plane, unless its answer is pending."""
        self._notices.say("Searching for the place where the network is least certain …")
        if self._asked != name:
            self._asked = name
            self.ask_again()

    def ask_again(self) -> None:
        """Repeat the pending question, for example to a new process."""
        if self._asked:
            self._sender.send(commands.Suggest(self._asked))

    def take(self, suggestion: LiveSuggestion) -> None:
        """Show the answer: a proposal, or the reason why there is none."""
        if suggestion.name != self._asked:
            return
        self._asked = ""
        if self._proposal is not None or self._run.stopping:
            return
        if suggestion.origin is None:
            self._notices.explain(suggestion.reason)
            return
        plane = self._run.planes[suggestion.name]
        self._propose(Proposal(self._viewer, plane, suggestion, self._run.task))

    def accept(self) -> LivePlane | None:
        """Paint the corrected proposal and return its plane; None if that is not possible."""
        if self._proposal is None:
            return None
        try:
            self._proposal.accept()
        except UNetError as error:
            self._notices.complain(str(error))
            return None
        return self._proposal.plane

    def reject(self) -> None:
        """Remove the proposal."""
        if self._proposal is not None:
            self._proposal.remove()
            self.forget_proposal()

    def give_up(self) -> None:
        """Remove the proposal unless the user painted on it; for when Live stops."""
        if self._proposal is not None:
            self._proposal.give_up()
            self.forget_proposal()

    def forget(self, plane: LivePlane) -> None:
        """Drop the pending question and the proposal if they are about a plane."""
        if self._asked == plane.name:
            self._asked = ""
        if self._proposal is not None and self._proposal.plane is plane:
            self.give_up()

    def notice_removed(self) -> None:
        """Drop the proposal if the user removed its layer."""
        if self._proposal is not None and self._proposal.layer not in self._viewer.layers:
            self.forget_proposal()

    def forget_proposal(self) -> None:
        """Drop the proposal without removing its layer."""
        self._propose(None)

    def _propose(self, proposal: Proposal | None) -> None:
        self._proposal = proposal
        self._proposed(proposal is not None)
