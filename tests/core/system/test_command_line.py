"""Displayed commands can be typed without changes."""

import os
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.core.system.command_line import command_line


@pytest.mark.skipif(os.name == "nt", reason="the rules of a POSIX shell")
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_the_shell_reads_back_the_same_words(words: list[str]) -> None:
    assert shlex.split(command_line(words)) == words


def test_paths_with_spaces_are_quoted() -> None:
    shown = command_line(["napari-unet", "train", "--resume", Path("my runs")])
    assert shown in (
        "napari-unet train --resume 'my runs'",
        'napari-unet train --resume "my runs"',
    )
