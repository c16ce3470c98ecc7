"""The terminal: interrupts, durations, and names that the terminal cannot show."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest


def test_names_that_the_terminal_cannot_show_are_shown_as_far_as_it_can(
    data: Path, tmp_path: Path
) -> None:
    mask = tmp_path / "Łódź [b].tif"
    mask.write_bytes((data / "masks" / "cell_0.tif").read_bytes())
    odd = tmp_path / "models"
    odd.mkdir()
    (odd / "nuclei[v2] [b].safetensors").write_bytes(b"no model")
    environment = os.environ | {"PYTHONIOENCODING": "latin-1", "NAPARI_UNET_MODELS": str(odd)}
    for words in (["evaluate", str(mask), str(mask)], ["models"]):
        command = [sys.executable, "-m", "napari_unet", *words]
        done = subprocess.run(command, capture_output=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
    assert b"nuclei[v2]" in done.stdout


def test_a_second_interrupt_breaks_off() -> None:
    from napari_unet.cli.console import stoppable

    with stoppable("Stopping") as should_stop:
        assert not should_stop()
        signal.raise_signal(signal.SIGTERM)
        assert should_stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (65, "1 min 05 s"), (7800, "2 h 10 min"), (float("inf"), "?")],
)
def test_durations_are_read_at_a_glance(seconds: float, text: str) -> None:
    from napari_unet.cli.console import duration

    assert duration(seconds) == text
